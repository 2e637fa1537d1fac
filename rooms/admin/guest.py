"""Guests, to be looked at: they are made by joining a room."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rooms.models import Guest

from .lists import ReadOnlyAdmin, link_to

ROOMS_SHOWN = 50


@admin.register(Guest)
class GuestAdmin(ReadOnlyAdmin[Guest]):
    not_deleted = _(
        "A guest is not deleted, as messages keep their author. Remove or ban them on the pages of "
        "their memberships, and revoke their tokens."
    )
    list_display = ("display_name", "created_at")
    sortable_by = ()
    ordering = ("-id",)
    search_fields = ("display_name",)
    fields = ("display_name", "created_at", "rooms")
    readonly_fields = fields

    @admin.display(description=_("rooms"))
    def rooms(self, guest: Guest) -> SafeString:
        """The rooms that the guest entered last, and the name in each."""
        members = guest.room_members.select_related("room").order_by("-id")[:ROOMS_SHOWN]
        rows = ((link_to("room", each.room_id, each.room), link_to("member", each.pk, each)) for each in members)
        return format_html_join(SafeString("<br>"), "{}: {}", rows)
