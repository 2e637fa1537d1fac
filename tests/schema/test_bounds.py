"""Every list has a bound, and the cost of a document knows it: an answer never has more fields than were told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import SyncToAsync
from django.utils import timezone
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)
from pytest_django import DjangoAssertNumQueries, Settings

from config.limits import Limits
from rooms import selectors
from rooms.exceptions import Refusal
from rooms.identity import NOBODY, Viewer
from rooms.models import Ban, Guest, Member, MemberRole, Message, Room, RoomAccess
from rooms.paging import Slice, Span
from rooms.selectors import message_pages, messages_slice
from rooms.sending import Send, send_messages
from schema.ids import encode_id
from schema.prices import price_of
from schema.schema import schema
from tests.people import ban, make_guest, make_member, make_room, make_user

from .api import Api, id_of

CORE = schema._schema
PAGE_SIZES = {"first", "last"}


def fields() -> Iterator[tuple[str, GraphQLField]]:
    """Those of our own types, named."""
    for kind in CORE.type_map.values():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not kind.name.startswith("__"):
            yield from ((f"{kind.name}.{name}", definition) for name, definition in kind.fields.items())


def has_list(definition: GraphQLField) -> bool:
    return is_list_type(get_nullable_type(definition.type))


def is_paged(definition: GraphQLField) -> bool:
    return set(definition.args) >= PAGE_SIZES


@pytest.mark.parametrize("name", [name for name, definition in fields() if has_list(definition)])
def test_a_list_declares_its_size_or_is_that_of_a_page(name: str) -> None:
    definition = dict(fields())[name]
    if price_of(definition).size is None:
        kind = CORE.type_map[name.split(".", maxsplit=1)[0]]
        around = [each for _, each in fields() if get_named_type(each.type) is kind]
        assert around, "nothing bounds it: give the field a size (schema/prices.py)"
        assert all(is_paged(each) for each in around), "nothing bounds it: give the field a size (schema/prices.py)"


def test_the_walk_finds_the_lists() -> None:
    found = {name for name, definition in fields() if has_list(definition)}
    assert {"Viewer.members", "Room.bannedMembers", "RoomConnection.edges", "MemberConnection.edges"} <= found


# The property


class Documents:
    """Random queries, with pages of all sizes, nested as they come."""

    def __init__(self, seed: int, ids: list[str], slugs: list[str]) -> None:
        self._draw = random.Random(seed)
        self._values = {"id": ids, "slug": slugs}
        self._number = count()
        self._variables: dict[str, Any] = {}

    def document(self) -> tuple[str, dict[str, Any]]:
        self._variables = {}
        selection = self._selection(CORE.query_type, 6)
        declared = ", ".join(f"${name}: Int" for name in self._variables)
        given = {name: value for name, value in self._variables.items() if value != "absent"}
        return f"query {f'({declared})' if declared else ''} {selection}", given

    def _selection(self, kind: Any, depth: int) -> str:
        if not isinstance(kind, GraphQLObjectType):
            return f"{{ ... on Room {self._selection(CORE.type_map['Room'], depth)} }}"
        usable = [(name, it) for name, it in kind.fields.items() if depth > 1 or is_leaf_type(get_named_type(it.type))]
        chosen = self._draw.sample(usable, min(len(usable), self._draw.randint(1, 3)))
        return f"{{ __typename {' '.join(self._field(name, it, depth) for name, it in chosen)} }}"

    def _field(self, name: str, definition: GraphQLField, depth: int) -> str:
        inner = get_named_type(definition.type)
        selection = "" if is_leaf_type(inner) else self._selection(inner, depth - 1)
        return f"f{next(self._number)}: {name}{self._arguments(definition)} {selection}"

    def _arguments(self, definition: GraphQLField) -> str:
        given = [
            f'{name}: "{self._draw.choice(self._values[name])}"' for name in self._values if name in definition.args
        ]
        if is_paged(definition) and self._draw.random() < 0.8:
            given.append(f"{self._draw.choice(('first', 'last'))}: {self._size()}")
        return f"({', '.join(given)})" if given else ""

    def _size(self) -> str:
        size = self._draw.choice(("null", "0", "1", "3", "100", "variable"))
        if size != "variable":
            return size
        name = f"v{next(self._number)}"
        self._variables[name] = self._draw.choice((2, 5.0, 1e2, None, "absent"))
        return f"${name}"


@pytest.fixture
def crowded() -> tuple[Viewer, Room]:
    """A moderator of a room with more of everything than a page holds, who is in more rooms than are shown."""
    room, ana = make_room(), make_user()
    rooms = Room.objects.bulk_create([Room(slug=f"crowd-{number}", name=f"Crowd {number}") for number in range(120)])
    Member.objects.bulk_create([Member(room=each, user=ana.user, display_name="Ana") for each in rooms])
    Member.objects.create(room=room, user=ana.user, display_name="Ana", role=MemberRole.MODERATOR)
    guests = Guest.objects.bulk_create([Guest(display_name="Rui") for _ in range(110)])
    Member.objects.bulk_create(
        [Member(room=room, guest=each, display_name="Rui", left_at=timezone.now()) for each in guests]
    )
    Ban.objects.bulk_create([Ban(room=room, guest=each) for each in guests])
    for each in (room, *rooms[:3]):
        send_messages(room_id=each.pk, sends=[Send(ana, "hello") for _ in range(110)])
    return ana, room


def number_of_fields(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 + number_of_fields(each) for each in value.values())
    return sum(map(number_of_fields, value)) if isinstance(value, list) else 0


@pytest.mark.django_db
def test_no_answer_has_more_fields_than_its_cost_tells(crowded: tuple[Viewer, Room], settings: Settings) -> None:
    ana, room = crowded
    settings.LIMITS = replace(Limits(), document_cost=8_000, document_aliases=0, document_depth=0)
    documents, told, largest = Documents(1, [id_of(room)], [room.slug, "crowd-1"]), 0, 0
    api = Api(ana)
    while told < 60:
        document, variables = documents.document()
        answer = api.execute(document, **variables)
        if answer.get("data") is None:
            continue
        told += 1
        cost, found = answer["extensions"]["cost"]["requested"], number_of_fields(answer["data"])
        largest = max(largest, found)
        assert found <= cost, (document, variables)
    assert largest > 1_000


@pytest.mark.django_db
@pytest.mark.parametrize(
    "document",
    [
        "{ viewer { members { id room { slug } } } }",
        '{ room(slug: "%s") { bannedMembers { id displayName } } }',
        '{ room(slug: "%s") { messages { edges { cursor } } } }',
        "query ($n: Int = 7) { viewer { memberships(first: $n) { edges { cursor } } } }",
    ],
)
def test_a_list_that_is_full_comes_close_to_its_cost(crowded: tuple[Viewer, Room], document: str) -> None:
    ana, room = crowded
    answer = Api(ana).execute(document.replace("%s", room.slug), **({"n": 1e2} if "$n" in document else {}))
    cost, found = answer["extensions"]["cost"]["requested"], number_of_fields(answer["data"])
    assert found <= cost <= found + 60


@pytest.mark.django_db
def test_no_field_asks_the_database_by_itself_past_the_pools(crowded: tuple[Viewer, Room], settings: Settings) -> None:
    """Strawberry's own way, ``sync_to_async``, is one thread for all."""
    ana, room = crowded
    settings.LIMITS = replace(Limits(), document_cost=3_000, document_aliases=0, document_depth=0)
    documents, called = Documents(2, [id_of(room)], [room.slug]), []

    class Noted(SyncToAsync):  # type: ignore[type-arg]
        async def __call__(self, *arguments: Any, **named: Any) -> Any:
            called.append(self.func)
            return await super().__call__(*arguments, **named)

    with patch.object(SyncToAsync, "__call__", Noted.__call__):
        for _ in range(30):
            document, variables = documents.document()
            Api(ana).execute(document, **variables)
    assert [each for each in called if each.__module__.startswith("strawberry")] == []


# Memberships


MEMBERSHIPS = """
query ($first: Int, $after: String, $last: Int, $before: String) {
  viewer {
    memberships(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { room { name } } }
      pageInfo { hasNextPage hasPreviousPage }
    }
  }
}
"""


@pytest.mark.django_db
def test_more_than_a_hundred_memberships_are_the_newest_by_name(crowded: tuple[Viewer, Room]) -> None:
    ana, room = crowded
    found = Api(ana).data("{ viewer { members { room { slug } } } }")["viewer"]["members"]
    slugs = [member["room"]["slug"] for member in found]
    newest = Member.objects.filter(user=ana.user).order_by("-joined_at", "-id")[:100]
    assert len(slugs) == 100
    assert room.slug in slugs
    expected = Member.objects.filter(pk__in=[each.pk for each in newest]).order_by("room__name", "id")
    assert slugs == [each.room.slug for each in expected]


@pytest.mark.django_db
@pytest.mark.parametrize("size", [100, 37])
@pytest.mark.parametrize("way", ["first", "last"])
def test_all_memberships_are_had_page_by_page(crowded: tuple[Viewer, Room], size: int, way: str) -> None:
    ana, _ = crowded
    names: list[str] = []
    position: dict[str, str] = {}
    more = True
    while more:
        page = Api(ana).data(MEMBERSHIPS, **{way: size}, **position)["viewer"]["memberships"]
        found = [edge["node"]["room"]["name"] for edge in page["edges"]]
        names = names + found if way == "first" else found + names
        more = page["pageInfo"]["hasNextPage" if way == "first" else "hasPreviousPage"]
        position = {"after": page["edges"][-1]["cursor"]} if way == "first" else {"before": page["edges"][0]["cursor"]}
    expected = Member.objects.filter(user=ana.user).order_by("room__name", "id")
    assert names == list(expected.values_list("room__name", flat=True))


@pytest.mark.django_db
def test_who_is_nobody_has_no_memberships() -> None:
    assert Api().data(MEMBERSHIPS)["viewer"]["memberships"]["edges"] == []


@pytest.mark.django_db
@pytest.mark.parametrize("cursor", ["x", encode_id("Room", 1)])
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    assert Api().refusal(MEMBERSHIPS, after=cursor) == {"code": "CURSOR_INVALID"}


# Pages of several rooms, by one statement


def rooms_with_messages(viewer: Viewer) -> list[Room]:
    """Rooms of 0 to 4 messages, one that may not be read, and one that ``viewer`` is banned from."""
    rooms = [make_room() for _ in range(5)]
    author = make_member(rooms[0])
    for number, room in enumerate(rooms):
        Member.objects.get_or_create(room=room, user=author.user, defaults={"display_name": "Bia"})
        send_messages(room_id=room.pk, sends=[Send(author, f"{room.slug} {each}") for each in range(number)])
    banned = make_room()
    services_viewer = make_guest(banned)
    ban(services_viewer, banned)
    assert viewer.guest is None or viewer.guest != services_viewer.guest
    return [
        Room.objects.get(pk=room.pk) for room in (*rooms, make_room(RoomAccess.PASSWORD), make_room(RoomAccess.MEMBERS))
    ]


def alone(viewer: Viewer, room: Room, span: Span) -> Slice[Message] | type[Refusal]:
    try:
        return messages_slice(viewer=viewer, room=room, span=span)
    except Refusal as refusal:
        return type(refusal)


def shown(found: Slice[Message] | Refusal | type[Refusal]) -> Any:
    if isinstance(found, Slice):
        texts = [(message.text, message.author.display_name, message.room.slug) for message in found.items]
        return texts, found.has_next, found.has_previous
    return type(found) if isinstance(found, Refusal) else found


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_pages_of_many_rooms_are_those_of_each(who: str) -> None:
    viewer = NOBODY if who == "nobody" else make_guest(make_room())
    rooms = rooms_with_messages(viewer)
    spans = [Span(size, backwards) for size in (0, 1, 2, 3, 100) for backwards in (False, True)]
    asked = [(room, span) for span in spans for room in (*rooms, rooms[0])]
    random.Random(3).shuffle(asked)
    found = message_pages(viewer=viewer, asked=asked)
    assert [shown(each) for each in found] == [shown(alone(viewer, room, span)) for room, span in asked]


@pytest.mark.django_db
def test_pages_of_many_rooms_cost_as_many_queries_as_of_one(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ana = make_guest(make_room())
    for _ in range(20):
        make_room()
    for first in (3, 20):
        with django_assert_num_queries(5):  # the token, the rooms, the memberships, the bans, the messages
            Api(ana).data(
                "query ($n: Int) { rooms(first: $n) { edges { node { messages { edges { cursor } } } } } }", n=first
            )


@pytest.mark.django_db
def test_more_rooms_than_a_statement_takes_are_read_by_several() -> None:
    rooms = Room.objects.bulk_create([Room(slug=f"many-{number}", name=f"Many {number}") for number in range(130)])
    with patch.object(selectors, "ROOMS_PER_QUERY", 50):
        assert len(message_pages(viewer=NOBODY, asked=[(room, Span(1)) for room in rooms])) == 130
