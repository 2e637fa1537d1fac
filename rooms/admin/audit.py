"""The audit log: shown, and written by nobody from here. The database itself refuses to change it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rooms.models import AuditEntry

from .filters import RoomFilter
from .lists import ReadOnlyAdmin, link_to, short


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    not_deleted = _("The audit log is only added to.")
    list_display = ("at", "action", "actor_name", "target", "room", "detail")
    list_filter = (RoomFilter, "action")
    list_select_related = ("room", "member")
    sortable_by = ()
    ordering = ("-id",)
    fields = ("room", "action", "actor_name", "actor_user", "actor_guest", "member", "message", "detail", "created_at")
    readonly_fields = fields

    @admin.display(description=_("at"))
    def at(self, entry: AuditEntry) -> str | None:
        return short(entry.created_at)

    @admin.display(description=_("member"))
    def target(self, entry: AuditEntry) -> SafeString | None:
        return None if entry.member_id is None else link_to("member", entry.member_id, entry.member)
