"""Tail, feed and hub under thousands of random schedules, with hints that are lost, doubled, late and out of order.

Whatever happens, every follower gets each entry after its cursor once and in order. The last two tests break the code
and expect the schedules to notice.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from unittest.mock import patch

from rooms.feed import Entry
from rooms.hub import Hub
from rooms.tail import Tail

from .fakes import FakeBroker, FakeClock, FakeLog, anyone, run_loop

SCHEDULES = 2_000
ROOM = 1
STEPS_TO_SETTLE = 20


class Follower:
    """Somebody who follows from ``cursor`` and notes what comes."""

    def __init__(self, hub: Hub, cursor: int, head: int, chance: random.Random) -> None:
        self.cursor = cursor
        self.heard: list[int] = []
        self.task = asyncio.create_task(self._follow(hub, head, chance))

    async def _follow(self, hub: Hub, head: int, chance: random.Random) -> None:
        async with aclosing(hub.follow(ROOM, self.cursor, head, anyone())) as entries:
            async for entry in entries:
                self.heard.append(entry.sequence)
                await run_loop(chance.choice((0, 0, 0, 1, 9)))  # some are slow


class Schedule:
    """One random course of events, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log = FakeLog(pause=self._pause)
        self.broker = FakeBroker()
        self.clock = FakeClock()
        self.hub = Hub(self.log, self.broker, tail_capacity=4, sleep=self.clock.sleep)
        self.followers: list[Follower] = []
        self.hints: list[int] = []

    async def _pause(self) -> None:
        await run_loop(self.chance.randrange(4))

    def append(self) -> None:
        sequence = self.log.append()
        copies = self.chance.choice((0, 1, 1, 2))  # lost, or doubled
        self.hints += [sequence] * copies

    def deliver(self) -> None:
        if self.hints:  # late, and in any order
            self.broker.deliver(ROOM, self.hints.pop(self.chance.randrange(len(self.hints))))

    def follow(self) -> None:
        head = self.log.head
        self.followers.append(Follower(self.hub, self.chance.randint(0, head), head, self.chance))

    def leave(self) -> None:
        if self.followers:
            self.followers.pop(self.chance.randrange(len(self.followers))).task.cancel()

    async def run(self) -> None:
        """Go through some sixty events; then let the poll pass once more and everyone catch up."""
        events = (
            self.append,
            self.append,
            self.append,
            self.deliver,
            self.deliver,
            self.follow,
            self.leave,
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
        wanted = {follower: list(range(follower.cursor + 1, self.log.head + 1)) for follower in self.followers}
        return [f"after {one.cursor}: {one.heard}" for one in self.followers if one.heard != wanted[one]]


async def failures(seeds: range) -> dict[int, list[str]]:
    found = {}
    for seed in seeds:
        schedule = Schedule(seed)
        await schedule.run()
        if missed := schedule.missed():
            found[seed] = missed
    return found


async def test_every_follower_gets_each_entry_once_and_in_order() -> None:
    assert await failures(range(SCHEDULES)) == {}


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
