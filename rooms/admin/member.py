"""Members: the list of them all, and the form for one, here and on the page of a room."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rooms import services
from rooms.models import Member, MemberRole

from .filters import PersonFilter, PresenceFilter, RoomFilter
from .generics import ModelForm
from .lists import ListAdmin, link, link_to, link_to_list, short


class MemberForm(ModelForm[Member]):
    """Somebody who is in the room."""

    removed = forms.BooleanField(
        label=_("Remove"), required=False, help_text=_("Ends the membership; what they wrote stays.")
    )

    class Meta:
        model = Member
        fields = ("display_name", "role")

    def clean(self) -> dict[str, Any] | None:
        if self.instance.left_at is not None and self.has_changed():
            raise ValidationError(_("Has left the room in the meantime."))
        return super().clean()

    def write(self) -> None:
        if self.cleaned_data["removed"]:
            services.remove_member(member_id=self.instance.pk)
            return
        services.update_member(
            member_id=self.instance.pk,
            display_name=self.cleaned_data["display_name"],
            role=MemberRole(self.cleaned_data["role"]),
        )


def link_to_person(member: Member) -> SafeString:
    if member.guest_id is not None:
        return link_to("guest", member.guest_id, gettext("guest"))
    return link(member.user, reverse("admin:auth_user_change", args=[member.user_id]))


@admin.register(Member)
class MemberAdmin(ListAdmin[Member]):
    """Members are added on the page of their room."""

    form = MemberForm
    list_display = ("display_name", "person", "room", "role", "joined")
    list_filter = (PresenceFilter, RoomFilter, "role", PersonFilter)
    list_select_related = ("room", "user")
    sortable_by = ()
    ordering = ("-id",)
    search_fields = ("display_name", "user")
    search_help_text = _("Searches display names and user names; faster within one room.")
    readonly_fields = ("room", "person", "joined_at", "left_at", "writings")
    actions = ("remove_from_room",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Member | None = None) -> bool:
        has_left = obj is not None and obj.left_at is not None
        return not has_left and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Member | None = None) -> tuple[str, ...]:
        last = "left_at" if obj is not None and obj.left_at is not None else "removed"
        shown = ("room", "person", "display_name", "role", "writings", "joined_at", last)
        return shown if last == "left_at" or self.has_change_permission(request, obj) else shown[:-1]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Member], bool]:
        """Each word in the display name or the user name."""
        for word in search_term.split():
            users = User.objects.filter(username__icontains=word)
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

    @admin.action(permissions=["change"], description=_("Remove selected members from their rooms"))
    def remove_from_room(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        members = list(queryset.filter(left_at=None))
        for member in members:
            services.remove_member(member_id=member.pk)
            self.log_change(request, member, gettext("Removed from the room."))
        done = ngettext("%(count)d member was removed.", "%(count)d members were removed.", len(members))
        self.tell(request, done, len(members))
