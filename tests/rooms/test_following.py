"""Who may follow what, asked for many at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries

from rooms import selectors
from rooms.exceptions import Banned, CursorAhead, Forbidden, NotFound, Refusal, RoomArchived, Unauthenticated
from rooms.identity import NOBODY, Viewer
from rooms.models import Room, RoomAccess
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
