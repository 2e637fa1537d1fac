"""What lists can be narrowed by. None of them counts, or offers more than a few choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from rooms.models import Room, RoomAccess

ROOM_PARAMETER = "room__id__exact"
ROOMS_OFFERED = 10
ACCESS_LABELS = {
    RoomAccess.OPEN: _("open"),
    RoomAccess.PASSWORD: _("password"),
    RoomAccess.MEMBERS: _("members"),
}

Choices = Iterable[tuple[str, Any]]


def room_id_of(request: HttpRequest) -> int | None:
    """The room that a list is narrowed to. Raises IncorrectLookupParameters."""
    value = request.GET.get(ROOM_PARAMETER)
    if value is not None and not re.fullmatch("[0-9]{1,18}", value):
        raise IncorrectLookupParameters
    return None if value is None else int(value)


class RoomFilter(SimpleListFilter):
    """One room: the one chosen before, or one of those used last. The list of rooms links here for every other."""

    title = _("room")
    parameter_name = ROOM_PARAMETER

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        used = Room.objects.filter(last_used_at__isnull=False).order_by("-last_used_at")[:ROOMS_OFFERED]
        offered = dict(used.values_list("pk", "name"))
        chosen = room_id_of(request)
        if chosen is not None and chosen not in offered:
            offered |= dict(Room.objects.filter(pk=chosen).values_list("pk", "name"))
        return [(str(pk), name) for pk, name in offered.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = room_id_of(request)
        return queryset if chosen is None else queryset.filter(room_id=chosen)


class AccessFilter(SimpleListFilter):
    title = _("access")
    parameter_name = "access"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return [(access.value, label) for access, label in ACCESS_LABELS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset if not chosen else queryset.filter(access__in={chosen} & set(RoomAccess.values))


class ArchivedFilter(SimpleListFilter):
    title = _("state")
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return [("no", _("in use")), ("yes", _("archived"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(archived_at__isnull=self.value() == "no") if self.value() else queryset


class PersonFilter(SimpleListFilter):
    title = _("person")
    parameter_name = "person"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return [("account", _("with an account")), ("guest", _("guest"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(user__isnull=self.value() == "guest") if self.value() else queryset


class PresenceFilter(SimpleListFilter):
    """Who is in the room; who has left is listed apart."""

    title = _("membership")
    parameter_name = "left"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return [("yes", _("has left"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(left_at__isnull=self.value() != "yes")

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        everybody, *others = super().choices(changelist)
        yield {**everybody, "display": _("is in the room")}
        yield from others
