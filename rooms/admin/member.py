"""Members: the list of them all, and the form for one, here and on the page of a room."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rooms import moderation, services, validation
from rooms.identity import Viewer
from rooms.models import Member, MemberRole
from rooms.moderation import is_moment_ahead
from rooms.selectors import banned, is_own

from .filters import PersonFilter, PresenceFilter, RoomFilter
from .generics import ModelForm
from .lists import ListAdmin, actor_of, link_to, link_to_account, link_to_list, short


class MemberForm(ModelForm[Member]):
    """Somebody who is in the room."""

    actor: Viewer  # whoever has the form before them; set on the class that is made for a request
    removed = forms.BooleanField(
        label=_("Remove"), required=False, help_text=_("Ends the membership; what they wrote stays.")
    )
    banned = forms.BooleanField(
        label=_("Ban"),
        required=False,
        help_text=_("Ends the membership and keeps them out; of a guest’s address, everybody without an account."),
    )

    class Meta:
        model = Member
        fields = ("display_name", "role", "muted_until")
        help_texts = {  # noqa: RUF012
            "muted_until": _("Until then they can neither send nor edit, also if they leave and come back.")
        }

    def clean_display_name(self) -> str:
        return validation.display_name(self.cleaned_data["display_name"])

    def clean(self) -> dict[str, Any] | None:
        if self.instance.left_at is not None and self.has_changed():
            raise ValidationError(_("Has left the room in the meantime."))
        if is_own(self.actor, self.instance) and {"removed", "banned", "muted_until"} & set(self.changed_data):
            raise ValidationError(_("This is you: nobody mutes, removes or bans themselves."))
        return super().clean()

    def clean_muted_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["muted_until"]
        if until is not None and "muted_until" in self.changed_data and not is_moment_ahead(until):
            raise ValidationError(_("A moment ahead, ten years at most."))
        return until

    def write(self) -> None:
        whom: dict[str, Any] = {"actor": self.actor, "member_id": self.instance.pk}
        given = self.cleaned_data
        if {"display_name", "role"} & set(self.changed_data):
            services.update_member(**whom, display_name=given["display_name"], role=MemberRole(given["role"]))
        if "muted_until" in self.changed_data:
            self._write_mute(whom, given["muted_until"])
        if given["banned"]:
            moderation.ban_member(**whom)
        elif given["removed"]:
            moderation.remove_member(**whom)

    def _write_mute(self, whom: dict[str, Any], until: datetime | None) -> None:
        if until is None:
            moderation.unmute_member(**whom)
        else:
            moderation.mute_member(**whom, until=until)


def link_to_person(member: Member) -> SafeString:
    if member.user is None:
        return link_to("guest", member.guest_id or 0, gettext("guest"))
    return link_to_account(member.user)


@admin.register(Member)
class MemberAdmin(ListAdmin[Member]):
    """Members are added on the page of their room."""

    not_deleted = _(
        "A membership is not deleted, as messages keep their author. Remove the member from the room instead."
    )
    form = MemberForm
    list_display = ("display_name", "person", "room", "role", "joined", "muted")
    list_filter = (PresenceFilter, RoomFilter, "role", PersonFilter)
    list_select_related = ("room", "user")
    sortable_by = ()
    ordering = ("-id",)
    search_fields = ("display_name", "user")
    search_help_text = _("Searches display names and user names; faster within one room.")
    readonly_fields = ("room", "person", "joined_at", "left_at", "writings")
    actions = ("mute_for_a_day", "unmute", "remove_from_room", "ban", "unban")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Member | None = None) -> bool:
        has_left = obj is not None and obj.left_at is not None
        return not has_left and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Member | None = None) -> tuple[str, ...]:
        shown = ("room", "person", "display_name", "role", "writings", "joined_at", "muted_until")
        if obj is not None and obj.left_at is not None:
            return (*shown, "left_at")
        return (*shown, "removed", "banned") if self.has_change_permission(request, obj) else shown

    def get_form(self, request: HttpRequest, obj: Member | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.actor = actor_of(request)
        return form

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Member], bool]:
        """Each word in the display name or the user name."""
        accounts = get_user_model()
        for word in search_term.split():
            users = accounts._default_manager.filter(**{f"{accounts.USERNAME_FIELD}__icontains": word})
            queryset = queryset.filter(Q(display_name__icontains=word) | Q(user__in=users.values("pk")))
        return queryset, False

    def save_model(self, request: HttpRequest, obj: Member, form: MemberForm, change: bool) -> None:
        form.write()

    @admin.display(description=_("person"))
    def person(self, member: Member) -> SafeString:
        return link_to_person(member)

    @admin.display(description=_("joined at"))
    def joined(self, member: Member) -> str | None:
        return short(member.joined_at)

    @admin.display(description=_("messages"))
    def writings(self, member: Member) -> SafeString:
        return link_to_list("message", _("What they wrote"), author__id__exact=member.pk)

    @admin.display(description=_("muted until"))
    def muted(self, member: Member) -> str | None:
        return short(member.mute)

    # What is done

    @admin.action(permissions=["change"], description=_("Mute selected members for a day"))
    def mute_for_a_day(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        mute = partial(moderation.mute_member, until=timezone.now() + timedelta(days=1))
        count = self._do(request, queryset, mute, gettext("Muted for a day."))
        self.tell(request, ngettext("%(count)d member was muted.", "%(count)d members were muted.", count), count)

    @admin.action(permissions=["change"], description=_("Let selected members speak again"))
    def unmute(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        muted = queryset.filter(muted_until__gt=timezone.now())
        count = self._do(request, muted, moderation.unmute_member, gettext("Unmuted."))
        self.tell(request, ngettext("%(count)d member was unmuted.", "%(count)d members were unmuted.", count), count)

    @admin.action(permissions=["change"], description=_("Remove selected members from their rooms"))
    def remove_from_room(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        present = queryset.filter(left_at=None)
        count = self._do(request, present, moderation.remove_member, gettext("Removed from the room."))
        self.tell(request, ngettext("%(count)d member was removed.", "%(count)d members were removed.", count), count)

    @admin.action(permissions=["change"], description=_("Ban selected members from their rooms"))
    def ban(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        free = queryset.exclude(pk__in=banned(queryset).values("pk"))
        count = self._do(request, free, moderation.ban_member, gettext("Banned from the room."))
        self.tell(request, ngettext("%(count)d member was banned.", "%(count)d members were banned.", count), count)

    @admin.action(permissions=["change"], description=_("Lift the bans of selected members"))
    def unban(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        count = self._do(request, banned(queryset), moderation.unban_member, gettext("The ban was lifted."))
        self.tell(request, ngettext("%(count)d ban was lifted.", "%(count)d bans were lifted.", count), count)

    def _do(self, request: HttpRequest, members: QuerySet[Member], do: Callable[..., Member], note: str) -> int:
        actor = actor_of(request)
        return self.do_to_each(request, list(members), lambda each: do(actor=actor, member_id=each.pk), note)
