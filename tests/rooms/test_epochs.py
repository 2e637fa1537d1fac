"""What a restored backup does to the logs and to clients that follow them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from io import StringIO

import pytest
from django.core.management import call_command

from rooms.epochs import LARGEST_EPOCH, begin_epoch, current_epoch
from rooms.exceptions import CursorInvalid
from rooms.feed import Follower, LogReplaced
from rooms.hub import Hub
from rooms.log import heads_of
from rooms.models import FIRST_EPOCH, Room
from rooms.selectors import Asked, Following, rooms_to_follow
from tests.people import make_guest, make_room, send

from .fakes import FakeBroker, FakeClock, FakeLog, anyone, run_loop


@pytest.mark.django_db
def test_every_room_is_of_the_first_epoch_until_a_backup_is_restored() -> None:
    assert (make_room().epoch, current_epoch()) == (FIRST_EPOCH, FIRST_EPOCH)


@pytest.mark.django_db
def test_each_restore_begins_an_epoch_of_its_own() -> None:
    """The same backup may be restored twice, so counting would give the same number twice."""
    make_room()
    begun = []
    for _ in range(3):
        assert begin_epoch() == 1
        begun.append(Room.objects.get().epoch)
    assert len({FIRST_EPOCH, *begun}) == 4
    assert all(0 < epoch <= LARGEST_EPOCH for epoch in begun)


@pytest.mark.django_db
def test_a_room_made_afterwards_is_of_the_new_epoch() -> None:
    """The id of a room that was lost is given again: it is another room, and so is its log."""
    begin_epoch()
    assert make_room().epoch == current_epoch() != FIRST_EPOCH


@pytest.mark.django_db
def test_the_command_says_what_it_has_done() -> None:
    room, said = make_room(), StringIO()
    call_command("restored", stdout=said)
    room.refresh_from_db()
    assert room.epoch == current_epoch() != FIRST_EPOCH
    assert "1 room" in said.getvalue()
    assert "CURSOR_INVALID" in said.getvalue()


@pytest.mark.django_db
def test_following_goes_on_from_a_position_of_the_same_epoch_only() -> None:
    room = make_room()
    viewer = make_guest(room)
    send(viewer, room)
    begin_epoch()
    old, new, without = rooms_to_follow(
        asked=[
            Asked(viewer, room.pk, 1, FIRST_EPOCH),
            Asked(viewer, room.pk, 1, current_epoch()),
            Asked(viewer, room.pk, None),
        ]
    )
    assert isinstance(old, CursorInvalid)
    assert isinstance(new, Following)
    assert isinstance(without, Following)
    assert new.room.epoch == current_epoch()


@pytest.mark.django_db
def test_the_poll_sees_the_epoch() -> None:
    room = make_room()
    begin_epoch()
    assert heads_of(room_ids=[room.pk])[room.pk].epoch == current_epoch()


class Lost(list[Exception]):
    """What one follower was told."""

    def follower(self) -> Follower:
        return Follower(None, None, 0, self.append)


async def test_followers_of_another_epoch_are_ended_by_the_poll_and_newcomers_follow_the_new_one() -> None:
    log, broker, clock, told = FakeLog(), FakeBroker(), FakeClock(), Lost()
    hub = Hub(log, broker, sleep=clock.sleep)
    for _ in range(3):
        log.append()
    old = hub.enter(1, 3, told.follower())
    await run_loop(5)
    del log.entries[1:]
    log.epoch = 77
    clock.tick()
    await run_loop(5)
    assert [type(reason) for reason in told] == [LogReplaced]
    assert broker.watched == set()
    async with aclosing(hub.follow(1, 1, 1, anyone(), 77)) as entries:
        heard = asyncio.ensure_future(anext(entries))
        await run_loop(5)
        old.leave()
        assert broker.watched == {1}, "who leaves the old feed does not end the new one"
        log.append()
        hub.hint(1, 2)
        assert (await heard).sequence == 2
    assert broker.watched == set()
    await hub.close()


async def test_a_newcomer_of_another_epoch_ends_the_followers_of_the_old_one() -> None:
    log, told = FakeLog(), Lost()
    hub = Hub(log, FakeBroker(), sleep=FakeClock().sleep)
    old = hub.enter(1, 0, told.follower())
    new = hub.enter(1, 0, anyone(), 77)
    assert [type(reason) for reason in told] == [LogReplaced]
    assert old.feed is not new.feed
    for seat in (old, new):
        seat.leave()
    await hub.close()
