"""Bans: who is kept out of which room. They are made on the pages of members, and lifted here."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rooms import moderation
from rooms.models import Ban
from rooms.selectors import CHANGE_MEMBERS

from .filters import PersonFilter, RoomFilter
from .lists import ReadOnlyAdmin, actor_of, link_to, link_to_account, short


@admin.register(Ban)
class BanAdmin(ReadOnlyAdmin[Ban]):
    not_deleted = _("A ban is lifted, not deleted: choose “Lift selected bans” in the list of bans.")
    list_display = ("__str__", "person", "room", "address", "since")
    list_filter = (RoomFilter, PersonFilter)
    list_select_related = ("room", "user", "guest")
    sortable_by = ()
    ordering = ("-id",)
    fields = ("person", "room", "address", "created_at")
    readonly_fields = fields
    actions = ("lift",)

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(CHANGE_MEMBERS)

    @admin.display(description=_("person"))
    def person(self, ban: Ban) -> SafeString:
        if ban.user is None:
            return link_to("guest", ban.guest_id or 0, gettext("guest"))
        return link_to_account(ban.user)

    @admin.display(description=_("since"))
    def since(self, ban: Ban) -> str | None:
        return short(ban.created_at)

    @admin.action(permissions=["lift"], description=_("Lift selected bans"))
    def lift(self, request: HttpRequest, queryset: QuerySet[Ban]) -> None:
        actor = actor_of(request)
        note = gettext("The ban was lifted.")
        count = self.do_to_each(
            request, list(queryset), lambda ban: moderation.lift_ban(actor=actor, ban_id=ban.pk), note
        )
        self.tell(request, ngettext("%(count)d ban was lifted.", "%(count)d bans were lifted.", count), count)
