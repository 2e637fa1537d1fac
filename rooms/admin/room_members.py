"""The members on the page of their room: the few who matter there, and rows for adding some."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth import get_permission_codename, get_user_model
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rooms import services, validation
from rooms.identity import Viewer, shown_name
from rooms.models import DISPLAY_NAME_MAX_LENGTH, Ban, Member, MemberRole, Room
from rooms.texts import mended_name

from .generics import InlineFormSet, ModelForm, TabularInline
from .lists import actor_of
from .member import MemberForm, link_to_person

MEMBERS_SHOWN = 50


class MemberFormSet(InlineFormSet[Member, Room]):
    """Everybody in a small room, and only those with a role in a larger one, which may have very many members."""

    def get_queryset(self) -> QuerySet[Member]:
        if not hasattr(self, "_queryset"):
            members = self._sent_back() if self.is_bound else self._to_show()
            # By rank, as it happens that the alphabet has the roles in reverse.
            self._queryset = members.select_related("user").order_by("-role", "id")[:MEMBERS_SHOWN]
        return self._queryset

    def _to_show(self) -> QuerySet[Member]:
        members = self.queryset.filter(left_at=None)
        return members.exclude(role=MemberRole.MEMBER) if self.shows_some else members

    def _sent_back(self) -> QuerySet[Member]:
        """Who was shown, even if they or many others have come or gone since."""
        sent = (str(value) for name, value in self.data.items() if self._is_pk(name))
        return self.queryset.filter(pk__in=[int(pk) for pk in sent if re.fullmatch("[0-9]{1,18}", pk)])

    def _is_pk(self, name: str) -> bool:
        return name.startswith(f"{self.prefix}-") and name.endswith("-id")

    @property
    def shows_some(self) -> bool:
        return self.instance.member_count > MEMBERS_SHOWN

    def save(self, commit: bool = True) -> list[Member]:
        changed = [form for form in self.initial_forms if form.has_changed()]
        for form in changed:
            form.write()
        self.new_objects: list[Member] = []
        self.deleted_objects: list[Member] = []
        self.changed_objects = [(form.instance, form.changed_data) for form in changed]
        return [form.instance for form in changed]


class MemberInline(TabularInline[Member, Room]):
    model = Member
    form = MemberForm
    formset = MemberFormSet
    template = "admin/rooms/room/members.html"
    fields = ("person", "display_name", "role", "joined_at", "removed", "banned")
    readonly_fields = ("person", "joined_at")
    can_delete = False
    show_change_link = True
    extra = 0

    def get_formset(self, request: HttpRequest, obj: Room | None = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.form.actor = actor_of(request)
        return formset

    def person(self, member: Member) -> SafeString:
        return link_to_person(member)

    person.short_description = _("person")  # type: ignore[attr-defined]

    def has_add_permission(self, request: HttpRequest, obj: Room | None) -> bool:  # type: ignore[override]
        return False


class NewMemberForm(ModelForm[Member]):
    actor: Viewer  # as in MemberForm

    class Meta:
        model = Member
        fields = ("user", "display_name", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"].required = True
        self.fields["display_name"].required = False
        self.fields["display_name"].help_text = _("Left empty: their full name, or else their user name.")

    def clean_display_name(self) -> str:
        name: str = self.cleaned_data["display_name"]
        return validation.display_name(name) if name else ""

    def clean(self) -> dict[str, Any] | None:
        """Without Django's checks of uniqueness: who has left may be added again."""
        user = self.cleaned_data.get("user")
        if user and Member.objects.filter(room_id=self.instance.room_id, user=user, left_at=None).exists():
            self.add_error("user", _("Is a member of this room already."))
        elif user and Ban.objects.filter(room_id=self.instance.room_id, user=user).exists():
            self.add_error("user", _("Is banned from this room: lift the ban first."))
        return self.cleaned_data

    def write(self, room: Room) -> None:
        user: User = self.cleaned_data["user"]
        name = self.cleaned_data["display_name"] or mended_name(shown_name(user), DISPLAY_NAME_MAX_LENGTH)
        self.instance = services.add_member(
            actor=self.actor,
            room_id=room.pk,
            user_id=user.pk,
            display_name=name,
            role=MemberRole(self.cleaned_data["role"]),
        )


class NewMemberFormSet(InlineFormSet[Member, Room]):
    def get_queryset(self) -> QuerySet[Member]:
        return self.queryset.none()

    def save(self, commit: bool = True) -> list[Member]:
        added = [form for form in self.extra_forms if form.has_changed()]
        for form in added:
            form.write(self.instance)
        self.new_objects = [form.instance for form in added]
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Member] = []
        return self.new_objects


class NewMemberInline(TabularInline[Member, Room]):
    model = Member
    form = NewMemberForm
    formset = NewMemberFormSet
    verbose_name = _("new member")
    verbose_name_plural = _("new members")
    fields = ("user", "display_name", "role")
    autocomplete_fields = ("user",)
    can_delete = False
    extra = 1

    def get_formset(self, request: HttpRequest, obj: Room | None = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.form.actor = actor_of(request)
        return formset

    def has_add_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        """Who may not see accounts cannot choose one."""
        accounts = get_user_model()._meta
        view = f"{accounts.app_label}.{get_permission_codename('view', accounts)}"
        return super().has_add_permission(request, obj) and request.user.has_perm(view)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """An account may be made from here; Django's icons for changing or deleting the chosen one are taken away."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(field, forms.Field) and isinstance(field.widget, RelatedFieldWidgetWrapper):
            icons = field.widget
            icons.can_change_related = icons.can_delete_related = icons.can_view_related = False
        return field
