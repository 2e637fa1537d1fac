"""Tail, feed and hub under thousands of random schedules: with hints, offers of what was appended and announcements of
who was shut out that are lost, doubled, late and out of order.

Whatever happens, every follower gets each entry after its cursor once and in order, and who was shut out gets nothing
that was appended after that. The last tests break the code and expect the schedules to notice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from unittest.mock import patch

import pytest

from rooms import feed
from rooms.feed import Access, Entry, Feed
from rooms.hub import Hub
from rooms.tail import Tail

from .fakes import FakeBroker, FakeClock, FakeEntry, FakeLog, run_loop

SCHEDULES = 2_000
ROOM = 1
STEPS_TO_SETTLE = 20


class Follower:
    """Somebody who follows from ``cursor`` and notes what comes. ``last`` is all that they may hear, once shut out."""

    def __init__(self, name: str, hub: Hub, cursor: int, log: FakeLog, chance: random.Random) -> None:
        self.name = name
        self.cursor = cursor
        self.last: int | None = None
        self.was_ended = False
        self.heard: list[int] = []
        follower = feed.Follower(name, name, log.access_version, self._end)
        self.task = asyncio.create_task(self._follow(hub, follower, log.head, chance))

    def _end(self, refusal: Exception) -> None:
        self.was_ended = True
        self.task.cancel()

    async def _follow(self, hub: Hub, follower: feed.Follower, head: int, chance: random.Random) -> None:
        async with aclosing(hub.follow(ROOM, self.cursor, head, follower)) as entries:
            async for entry in entries:
                self.heard.append(entry.sequence)
                await run_loop(chance.choice((0, 0, 0, 1, 9)))  # some are slow

    def is_wronged(self, head: int) -> bool:
        wanted = list(range(self.cursor + 1, (head if self.last is None else self.last) + 1))
        if self.last is None:
            return self.heard != wanted or self.was_ended
        return self.heard != wanted[: len(self.heard)] or not self.was_ended


Make = Callable[[str, Hub, int, FakeLog, random.Random], Follower]


class Schedule:
    """One random course of events, the same for the same seed. ``make`` makes the followers."""

    def __init__(self, seed: int, make: Make = Follower) -> None:
        self.make = make
        self.chance = random.Random(seed)
        self.log = FakeLog(pause=self._pause)
        self.broker = FakeBroker()
        self.clock = FakeClock()
        self.hub = Hub(self.log, self.broker, tail_capacity=4, sleep=self.clock.sleep)
        self.followers: list[Follower] = []
        self.hints: list[int] = []
        self.offers: list[list[FakeEntry]] = []
        self.changes: list[tuple[int, str]] = []
        self.names = 0

    async def _pause(self) -> None:
        await run_loop(self.chance.randrange(4))

    def append(self) -> None:
        sequence = self.log.append()
        copies = self.chance.choice((0, 1, 1, 2))  # lost, or doubled
        self.hints += [sequence] * copies

    def deliver(self) -> None:
        if self.hints:  # late, and in any order
            self.broker.deliver(ROOM, self.hints.pop(self.chance.randrange(len(self.hints))))

    def append_here(self) -> None:
        """Append as this process does, which has then at hand what it appended, and most often offers that at once."""
        self.offers.append(self.log.written(*(self.log.append() for _ in range(self.chance.randint(1, 6)))))
        if self.chance.random() < 0.7:
            self.hub.offer(ROOM, self.offers.pop())

    def offer(self) -> None:
        """Late, in any order, or once more."""
        if self.offers:
            which = self.chance.randrange(len(self.offers))
            self.hub.offer(ROOM, self.offers[which] if self.chance.random() < 0.3 else self.offers.pop(which))

    def follow(self) -> None:
        name = f"follower {self.names}"
        self.names += 1
        cursor = self.chance.randint(0, self.log.head)
        self.followers.append(self.make(name, self.hub, cursor, self.log, self.chance))

    def shut(self) -> None:
        """Shut somebody out; that it is announced may be lost, or come much later."""
        there = [follower for follower in self.followers if follower.last is None]
        if there:
            follower = self.chance.choice(there)
            follower.last = self.log.head
            self.changes.append((self.log.shut(follower.name), follower.name))

    def announce(self) -> None:
        if self.changes:
            self.hub.access_changed(ROOM, *self.changes.pop(self.chance.randrange(len(self.changes))))

    def leave(self) -> None:
        if self.followers:
            self.followers.pop(self.chance.randrange(len(self.followers))).task.cancel()

    async def run(self) -> None:
        """Go through some sixty events; then let the poll pass once more and everyone catch up."""
        events = (
            self.append,
            self.append_here,
            self.append_here,
            self.deliver,
            self.deliver,
            self.offer,
            self.follow,
            self.leave,
            self.shut,
            self.announce,
            self.clock.tick,
        )
        with patch.multiple("rooms.feed", PAGE_SIZE=3):
            for _ in range(60):
                self.chance.choice(events)()
                await run_loop(self.chance.randrange(4))
            await run_loop(STEPS_TO_SETTLE)
            self.clock.tick()
            await self._catch_up()
        await self.hub.close()
        await self._stop_following()

    async def _catch_up(self) -> None:
        """Run until everyone has what they should have and would by now have been given more, or for good long."""
        for _ in range(40):
            await run_loop(STEPS_TO_SETTLE)
            if not self.missed():
                break
        await run_loop(STEPS_TO_SETTLE)

    async def _stop_following(self) -> None:
        tasks = [follower.task for follower in self.followers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def missed(self) -> list[str]:
        """What did not come as it should have, follower by follower."""
        head = self.log.head
        return [f"after {one.cursor}: {one.heard} (to {one.last})" for one in self.followers if one.is_wronged(head)]


async def failures(seeds: range, make: Make = Follower) -> dict[int, list[str]]:
    found = {}
    for seed in seeds:
        schedule = Schedule(seed, make)
        await schedule.run()
        if missed := schedule.missed():
            found[seed] = missed
    return found


async def test_every_follower_gets_each_entry_once_and_in_order(caplog: pytest.LogCaptureFixture) -> None:
    assert await failures(range(SCHEDULES)) == {}
    assert not caplog.records, "nothing failed that had to be tried again"


async def test_schedules_notice_a_hub_without_its_poll() -> None:
    async def never(hub: Hub) -> None:
        return

    with patch.object(Hub, "_look", never):
        assert await failures(range(60))


async def test_schedules_notice_a_hole_served_from_the_tail() -> None:
    def nearest(tail: Tail[Entry], cursor: int) -> Entry | None:
        return next((entry for entry in tail.items() if entry.sequence > cursor), None)

    with patch.object(Tail, "after", nearest):
        assert await failures(range(60))


async def test_schedules_notice_an_offer_that_is_taken_whatever_the_access() -> None:
    with patch.object(Access, "is_settled_at", lambda access, version: True):
        assert await failures(range(60))


async def test_schedules_notice_an_offer_that_is_taken_while_the_log_is_read() -> None:
    class Careless(Feed):
        _reading = property(lambda feed: False, lambda feed, reading: None)

    with patch("rooms.hub.Feed", Careless):
        assert await failures(range(60))
