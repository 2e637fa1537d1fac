"""Who may follow what, asked for many at a time; and what they follow, read page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from pytest_django import DjangoAssertNumQueries

from rooms import log, selectors, services
from rooms.exceptions import Banned, CursorAhead, Forbidden, NotFound, Refusal, RoomArchived, Unauthenticated
from rooms.identity import NOBODY, Viewer
from rooms.log import FEW, entries_after
from rooms.models import Entry, Room, RoomAccess
from rooms.selectors import Asked, Following
from tests.people import archive, ban, make_guest, make_member, make_room, make_staff, make_user, remove, send

pytestmark = pytest.mark.django_db


def test_each_is_answered_for_itself_in_the_order_of_asking() -> None:
    opened, members = make_room(), make_room(RoomAccess.MEMBERS)
    archived, secret = make_room(), make_room(RoomAccess.PASSWORD)
    guest, member, stranger, staff = make_guest(opened), make_member(members), make_user(), make_staff()
    banned, removed = make_guest(opened), make_member(members)
    send(guest, opened)
    ban(banned, opened)
    remove(removed, members)
    archive(archived)
    asked: list[tuple[Viewer, Room, int | None, type[Refusal] | tuple[int, bool]]] = [
        (guest, opened, None, (1, True)),
        (guest, opened, 0, (0, True)),
        (NOBODY, opened, None, (1, False)),
        (guest, opened, 2, CursorAhead),
        (banned, opened, None, Banned),
        (member, members, None, (0, True)),
        (removed, members, None, NotFound),
        (guest, members, None, NotFound),
        (staff, members, None, (0, False)),
        (NOBODY, secret, None, Unauthenticated),
        (stranger, secret, None, Forbidden),
        (guest, archived, None, RoomArchived),
        (guest, Room(pk=10**9), None, NotFound),
    ]
    found = selectors.rooms_to_follow(asked=[Asked(viewer, room.pk, after) for viewer, room, after, _ in asked])
    for (viewer, room, _, expected), given in zip(asked, found, strict=True):
        if isinstance(expected, tuple):
            assert isinstance(given, Following)
            assert given.room == room
            assert (given.sequence, given.reader.is_member, given.reader.viewer) == (*expected, viewer)
        else:
            assert type(given) is expected


@pytest.mark.parametrize("number", [1, 30])
@pytest.mark.parametrize("make", [make_guest, make_member])
def test_many_cost_as_many_queries_as_one(
    make: Callable[[Room], Viewer], number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    rooms = [make_room(RoomAccess.PASSWORD) for _ in range(3)]
    asked = [Asked(make(room), room.pk, None) for room in rooms for _ in range(number)]
    with django_assert_num_queries(3):  # the rooms, the memberships, the bans
        assert all(isinstance(each, Following) for each in selectors.rooms_to_follow(asked=asked))


@pytest.mark.parametrize("limit", [1, FEW, FEW + 1, 30, 100])
def test_a_long_page_is_what_short_ones_are_together(limit: int) -> None:
    room = make_room()
    people = [make_guest(room, name=f"guest {number}") for number in range(4)]
    sent = [send(people[number % 4], room, text=f"text {number}").message for number in range(40)]
    services.edit_message(viewer=people[3], message_id=sent[3].pk, text="another")
    services.delete_message(viewer=people[2], message_id=sent[2].pk)
    pages = [entries_after(room_id=room.pk, sequence=number, limit=1) for number in range(42)]
    read: list[Entry] = []
    while page := entries_after(room_id=room.pk, sequence=len(read), limit=limit):
        assert len(page) <= limit
        read += page
    assert [seen(entry) for entry in read] == [seen(entry) for (entry,) in pages]


def seen(entry: Entry) -> tuple[object, ...]:
    message, room = entry.message, entry.message.room
    return (
        *(entry.sequence, entry.kind, entry.access_version, message.pk, message.text, message.changed_sequence),
        *(message.author.pk, message.author.display_name, message.author.room.pk, room.pk, room.name),
    )


def test_a_long_page_comes_with_the_access_at_which_its_end_was_read() -> None:
    room = make_room()
    viewer = make_guest(room)
    for _ in range(FEW):
        send(viewer, room)

    def meanwhile(*args: Any) -> list[Entry]:
        """Between the two parts of the page somebody is shut out, and something said after that."""
        services.leave_room(viewer=viewer, room_id=room.pk)
        send(make_guest(room), room, text="after that")
        return rest(*args)

    rest = log._entries_on
    with patch.object(log, "_entries_on", meanwhile):
        page = entries_after(room_id=room.pk, sequence=0, limit=100)
    assert page[-1].message.text == "after that"
    assert page[-1].access_version == Room.objects.get(pk=room.pk).access_version > 0


def test_a_long_page_costs_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    room = make_room()
    people = [make_guest(room) for _ in range(20)]
    for viewer in people:
        send(viewer, room)
    with django_assert_num_queries(2):  # the first entries, and the others
        for entry in entries_after(room_id=room.pk, sequence=0, limit=100):
            assert entry.message.author.room == entry.message.room
