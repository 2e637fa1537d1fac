"""Bearer tokens, to be looked at and revoked: they are made by logging in or joining, and shown once, there."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from rooms.models import Token

from .lists import ReadOnlyAdmin, short


@admin.register(Token)
class TokenAdmin(ReadOnlyAdmin[Token]):
    """Revoking is deleting: every socket that was opened with the token ends."""

    not_deleted = _("A token is revoked, not deleted: choose “Revoke selected tokens” in the list of tokens.")
    list_display = ("holder", "created", "expires", "last_used")
    list_select_related = ("user", "guest")
    sortable_by = ()
    ordering = ("-id",)
    search_fields = (f"user__{get_user_model().USERNAME_FIELD}", "guest__display_name")
    fields = ("holder", "created_at", "expires_at", "last_used_at")
    readonly_fields = fields
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("rooms.delete_token")

    @admin.display(description=_("holder"))
    def holder(self, token: Token) -> str:
        return str(token.guest if token.user is None else token.user)

    @admin.display(description=_("created at"))
    def created(self, token: Token) -> str | None:
        return short(token.created_at)

    @admin.display(description=_("expires at"))
    def expires(self, token: Token) -> str | None:
        return short(token.expires_at)

    @admin.display(description=_("last used"))
    def last_used(self, token: Token) -> str | None:
        return short(token.last_used_at)

    @admin.action(permissions=["revoke"], description=_("Revoke selected tokens"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        count = queryset.count()
        self.log_deletions(request, queryset)
        queryset.delete()
        self.tell(request, ngettext("%(count)d token was revoked.", "%(count)d tokens were revoked.", count), count)
