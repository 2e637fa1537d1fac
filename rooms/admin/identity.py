"""Which account belongs to whom at the operator's identity provider: to be looked at."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _

from rooms.identity import has_field
from rooms.models import Identity

from .lists import ReadOnlyAdmin

NAMES = (get_user_model().USERNAME_FIELD, "first_name")


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin[Identity]):
    not_deleted = _("An identity goes with its account: delete or deactivate that.")
    list_display = ("subject", "issuer", "user", "created_at")
    list_select_related = ("user",)
    sortable_by = ()
    ordering = ("-id",)
    search_fields = ("subject", *(f"user__{name}" for name in NAMES if has_field(get_user_model(), name)))
    fields = ("subject", "issuer", "user", "created_at")
    readonly_fields = fields
