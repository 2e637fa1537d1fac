"""Rooms: the list, the form with its password, and the members on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rooms import moderation, services, validation
from rooms.models import Room, RoomAccess
from rooms.selectors import former_slugs

from .filters import ACCESS_LABELS, AccessFilter, ArchivedFilter
from .generics import ModelForm
from .lists import ListAdmin, actor_of, link, link_to_list, short
from .room_members import MemberInline, NewMemberInline

PASSWORD_MAX_LENGTH = 128
FORMER_SLUGS_SHOWN = 100


def password_field(**kwargs: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(required=False, strip=False, max_length=PASSWORD_MAX_LENGTH, widget=widget, **kwargs)


class RoomForm(ModelForm[Room]):
    new_password = password_field(label=_("Password"), help_text=_("Needed for the access “password”."))
    new_password_again = password_field(label=_("Password, once more"))
    archived = forms.BooleanField(
        label=_("Archived"), required=False, help_text=_("An archived room can be read, and nothing can be added.")
    )

    freed_slugs = forms.MultipleChoiceField(
        label=_("Free former slugs"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "Links with these lead to this room. One that is freed leads nowhere, until another room takes it."
        ),
    )

    slow_mode_seconds = Room._meta.get_field("slow_mode_seconds").formfield(
        max_value=moderation.LONGEST_SLOW_MODE_SECONDS, required=False
    )

    class Meta:
        model = Room
        fields = ("name", "slug", "description", "access", "slow_mode_seconds")
        widgets = {"description": forms.Textarea({"rows": 3, "class": "vLargeTextField"})}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["archived"] = self.instance.is_archived
        if self.instance.pk is not None:
            if "freed_slugs" in self.fields:
                slugs = former_slugs(room=self.instance)[:FORMER_SLUGS_SHOWN]
                self.fields["freed_slugs"].choices = [(each.slug, each.slug) for each in slugs]  # type: ignore[attr-defined]
            self.fields["new_password"].help_text = _(
                "Needed for the access “password”. Leave it empty to keep the one that the room has; "
                "choosing another access forgets it. Who is a member already stays one."
            )

    def clean_name(self) -> str:
        return validation.room_name(self.cleaned_data["name"])

    def clean_slug(self) -> str:
        slug = validation.slug(self.cleaned_data["slug"])
        services.require_free_slug(slug, self.instance.pk)
        return slug

    def clean_description(self) -> str:
        return validation.description(self.cleaned_data["description"])

    def clean_new_password(self) -> str:
        return validation.password(self.cleaned_data["new_password"], PASSWORD_MAX_LENGTH)

    def clean_new_password_again(self) -> str:
        return validation.password(self.cleaned_data["new_password_again"], PASSWORD_MAX_LENGTH)

    def clean_slow_mode_seconds(self) -> int:
        return self.cleaned_data["slow_mode_seconds"] or 0

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        password = self.cleaned_data.get("new_password", "")
        if password != self.cleaned_data.get("new_password_again", ""):
            self.add_error("new_password", _("The two passwords differ."))
        elif self.cleaned_data.get("access") == RoomAccess.PASSWORD:
            if not (password or self.instance.password):
                self.add_error("new_password", _("A room with this access needs a password."))
        elif password:
            self.add_error("new_password", _("Only a room with the access “password” has one."))
        return cleaned


@admin.register(Room)
class RoomAdmin(ListAdmin[Room]):
    """Rooms are archived, not deleted: their log is kept."""

    not_deleted = _("A room is not deleted: its log is kept. Archive it instead.")
    form = RoomForm
    list_display = ("name", "address", "access_column", "member_link", "message_link", "last_used", "is_archived")
    list_filter = (AccessFilter, ArchivedFilter)
    sortable_by = ("name", "address", "last_used")
    search_fields = ("name", "slug", "description")
    prepopulated_fields = {"slug": ("name",)}  # noqa: RUF012
    radio_fields = {"access": admin.VERTICAL}  # noqa: RUF012
    readonly_fields = (
        *("member_link", "message_link", "last_used_at", "created_at", "archived_at"),
        *("ban_link", "audit_link", "former_slugs"),
    )
    actions = ("archive", "reopen")

    def get_fieldsets(self, request: HttpRequest, obj: Room | None = None) -> Any:
        may_write = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        secret = ("new_password", "new_password_again") if may_write else ()
        former = self._former_slug_fields(obj, may_write=may_write)
        sections = [
            (None, {"fields": ("name", "slug", *former, "description")}),
            (_("Access"), {"fields": ("access", *secret)}),
        ]
        if obj is not None:
            archived = "archived" if may_write else "archived_at"
            facts = ("member_link", "message_link", "last_used_at", "created_at", archived)
            sections.append((_("Order"), {"fields": ("slow_mode_seconds", "ban_link", "audit_link")}))
            sections.append((_("The room now"), {"fields": facts}))
        return sections

    def _former_slug_fields(self, room: Room | None, *, may_write: bool) -> tuple[str, ...]:
        if room is None or not former_slugs(room=room).exists():
            return ()
        return ("freed_slugs",) if may_write else ("former_slugs",)

    def get_inlines(self, request: HttpRequest, obj: Room | None) -> Any:
        return (NewMemberInline,) if obj is None else (MemberInline, NewMemberInline)

    def save_model(self, request: HttpRequest, obj: Room, form: RoomForm, change: bool) -> None:
        given = form.cleaned_data
        values = {name: given[name] for name in ("slug", "name", "description")}
        access, password = RoomAccess(given["access"]), given["new_password"]
        if not change:
            obj.pk = services.create_room(**values, access=access, password=password).pk
            return
        actor = actor_of(request)
        services.update_room(actor=actor, room_id=obj.pk, **values, access=access, password=password)
        for slug in given.get("freed_slugs", ()):
            services.free_slug(actor=actor, room_id=obj.pk, slug=slug)
        if "slow_mode_seconds" in form.changed_data:
            moderation.set_slow_mode(actor=actor, room_id=obj.pk, seconds=given["slow_mode_seconds"])
        if "archived" in form.changed_data:
            set_archived = services.archive_room if given["archived"] else services.reopen_room
            set_archived(actor=actor, room_id=obj.pk)

    def view_on_site(self, obj: Room) -> str:
        return reverse("room", args=[obj.slug])

    # What is shown

    @admin.display(description=_("slug"), ordering="slug")
    def address(self, room: Room) -> SafeString:
        return link(room.slug, self.view_on_site(room))

    @admin.display(description=_("former slugs"))
    def former_slugs(self, room: Room) -> str:
        return ", ".join(each.slug for each in former_slugs(room=room)[:FORMER_SLUGS_SHOWN])

    @admin.display(description=_("access"))
    def access_column(self, room: Room) -> str:
        return str(ACCESS_LABELS[RoomAccess(room.access)])

    @admin.display(description=_("members"))
    def member_link(self, room: Room) -> SafeString:
        return link_to_list("member", localize(room.member_count), room__id__exact=room.pk)

    @admin.display(description=_("messages"))
    def message_link(self, room: Room) -> SafeString:
        return link_to_list("message", localize(room.message_count), room__id__exact=room.pk)

    @admin.display(description=_("bans"))
    def ban_link(self, room: Room) -> SafeString:
        return link_to_list("ban", _("Who is banned"), room__id__exact=room.pk)

    @admin.display(description=_("audit log"))
    def audit_link(self, room: Room) -> SafeString:
        return link_to_list("auditentry", _("What was done by office"), room__id__exact=room.pk)

    @admin.display(description=_("last used"), ordering=F("last_used_at").asc(nulls_first=True))
    def last_used(self, room: Room) -> str | None:
        return short(room.last_used_at)

    @admin.display(description=_("archived"))
    def is_archived(self, room: Room) -> str | None:
        return gettext("Yes") if room.is_archived else None

    # What is done

    @admin.action(permissions=["change"], description=_("Archive selected rooms"))
    def archive(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        count = self._do(request, queryset.filter(archived_at=None), services.archive_room, gettext("Archived."))
        self.tell(request, ngettext("%(count)d room was archived.", "%(count)d rooms were archived.", count), count)

    @admin.action(permissions=["change"], description=_("Reopen selected rooms"))
    def reopen(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        count = self._do(request, queryset.exclude(archived_at=None), services.reopen_room, gettext("Reopened."))
        self.tell(request, ngettext("%(count)d room was reopened.", "%(count)d rooms were reopened.", count), count)

    def _do(self, request: HttpRequest, rooms: QuerySet[Room], do: Callable[..., None], note: str) -> int:
        actor = actor_of(request)
        return self.do_to_each(request, list(rooms), lambda room: do(actor=actor, room_id=room.pk), note)
