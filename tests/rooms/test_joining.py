"""How often rooms may be joined, by a viewer and from an address, and how many one may be in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from pytest_django import Settings

from config.limits import Limits
from rooms import rates, services
from rooms.exceptions import Forbidden, RateLimited
from rooms.identity import NOBODY, OPERATOR, Viewer
from rooms.models import Guest, Member, Room
from rooms.rates import LocalBuckets, Rates
from rooms.services import Joined
from tests.people import make_guest, make_room, make_user

from .test_rates import Clock

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """That of the rates, which are the defaults unless a test says otherwise."""
    clock = Clock()
    limited = Rates(None, LocalBuckets(clock.nanoseconds), clock.seconds)
    monkeypatch.setattr(rates, "of_this_process", lambda: limited)
    with override_settings(LIMITS=Limits()):
        yield clock


def join(viewer: Viewer, room: Room, address: str | None = HERE, name: str = "Ana") -> Joined:
    return services.join_room(viewer=viewer, slug=room.slug, display_name=name, address=address)


@pytest.mark.keeps("join_burst", "joins_per_second")
@pytest.mark.exceeds("join_burst", "joins_per_second")
def test_joins_of_a_viewer_are_limited_in_all_rooms_together(clock: Clock, settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), join_burst=2, joins_per_second=0.5)
    ana, rooms = make_user(), [make_room() for _ in range(4)]
    join(ana, rooms[0])
    join(ana, rooms[1])
    with pytest.raises(RateLimited, match="You join rooms too often") as refused:
        join(ana, rooms[2], ELSEWHERE)
    assert refused.value.extensions == {"code": "RATE_LIMITED", "retryAfter": 2.0}
    join(make_user(), rooms[2])
    clock.now += refused.value.retry_after
    join(ana, rooms[2])


@pytest.mark.keeps("address_join_burst", "address_joins_per_second")
@pytest.mark.exceeds("address_join_burst", "address_joins_per_second")
def test_joins_from_an_address_are_limited_whoever_joins(clock: Clock, settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), address_join_burst=2, address_joins_per_second=0.5)
    room = make_room()
    join(NOBODY, room)
    join(make_user(), room)
    with pytest.raises(RateLimited, match="from your network") as refused:
        join(NOBODY, room)
    assert refused.value.retry_after == 2.0
    assert Guest.objects.count() == 1
    join(NOBODY, room, ELSEWHERE)
    clock.now += refused.value.retry_after
    join(NOBODY, room)


def test_the_addresses_of_one_ipv6_network_are_one(clock: Clock, settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), address_join_burst=1)
    room = make_room()
    join(NOBODY, room, "2001:db8:1:2::1")
    with pytest.raises(RateLimited):
        join(NOBODY, room, "2001:db8:1:2:ffff::9")
    join(NOBODY, room, "2001:db8:1:3::1")


def test_who_is_refused_for_joining_too_often_takes_nothing_from_the_network(clock: Clock, settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), join_burst=1, address_join_burst=2)
    ana, room = make_user(), make_room()
    join(ana, room)
    for _ in range(5):
        with pytest.raises(RateLimited):
            join(ana, room)
    join(NOBODY, room)


def test_a_class_behind_one_router_may_join_within_a_minute(clock: Clock) -> None:
    room = make_room()
    for _ in range(100):
        join(NOBODY, room)
        clock.now += 0.6


def test_three_hundred_guests_in_twelve_seconds_are_too_many(clock: Clock) -> None:
    room, refused = make_room(), 0
    for _ in range(300):
        try:
            join(NOBODY, room)
        except RateLimited:
            refused += 1
        clock.now += 0.04
    assert 130 < refused < 150


# Joining again


def test_joining_again_without_a_change_writes_nothing_and_locks_nothing() -> None:
    room = make_room()
    guest = join(NOBODY, room)
    ana = Viewer(guest=guest.guest, token=guest.token)
    bia = make_user()
    join(bia, room)
    for viewer, token in ((ana, ana.token), (bia, None)):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            joined = join(viewer, room)
        assert [each["sql"] for each in queries if not each["sql"].startswith("SELECT") or "FOR " in each["sql"]] == []
        assert (joined.member.display_name, joined.room, joined.token) == ("Ana", room, token)


@pytest.mark.parametrize(("name", "address"), [("Bia", HERE), ("Ana", ELSEWHERE)])
def test_joining_again_with_a_change_keeps_it(name: str, address: str) -> None:
    room = make_room()
    first = join(NOBODY, room)
    again = join(Viewer(guest=first.guest, token=first.token), room, address, name)
    assert again.guest == first.guest
    assert again.guest is not None
    again.guest.refresh_from_db()
    again.member.refresh_from_db()
    assert (again.member.display_name, again.guest.display_name, again.guest.address) == (name, name, address)


def test_who_was_known_by_a_session_gets_a_token_for_joining_again() -> None:
    room = make_room()
    first = join(NOBODY, room)
    again = join(Viewer(guest=first.guest), room)
    assert again.token not in (None, first.token)


# How many rooms


@pytest.mark.keeps("memberships_per_viewer")
@pytest.mark.exceeds("memberships_per_viewer")
def test_a_viewer_joins_so_many_rooms_and_no_more(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, memberships_per_viewer=2)
    rooms = [make_room() for _ in range(3)]
    for viewer in (make_user(), make_guest(rooms[0])):
        for room in rooms[:2]:
            join(viewer, room)
        with pytest.raises(Forbidden, match="You are in 2 rooms, as many as one may be in"):
            join(viewer, rooms[2])
        join(viewer, rooms[1], name="another name")
        services.leave_room(viewer=viewer, room_id=rooms[0].pk)
        join(viewer, rooms[2])
        with pytest.raises(Forbidden):
            join(viewer, rooms[0])  # whose row is still there


def test_an_admin_may_add_a_member_to_more_rooms(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, memberships_per_viewer=1)
    ana = make_user()
    join(ana, make_room())
    assert ana.user is not None
    services.add_member(actor=OPERATOR, room_id=make_room().pk, user_id=ana.user.pk, display_name="Ana")
    assert Member.objects.filter(user=ana.user, left_at=None).count() == 2
