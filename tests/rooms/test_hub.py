from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from rooms.hub import Hub

from .fakes import FakeBroker, FakeClock, FakeLog, anyone, run_loop


class World:
    """A hub with everything around it."""

    def __init__(self) -> None:
        self.log, self.broker, self.clock = FakeLog(), FakeBroker(), FakeClock()
        self.hub = Hub(self.log, self.broker, sleep=self.clock.sleep)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    found = World()
    yield found
    await found.hub.close()


async def last_of(world: World, count: int, room_id: int) -> int:
    """Follow from the end of the log until ``count`` entries have come, and return the sequence of the last."""
    async with aclosing(world.hub.follow(room_id, world.log.head, world.log.head, anyone())) as entries:
        return [(await anext(entries)).sequence for _ in range(count)][-1]


async def following(world: World, room_id: int = 1, *, count: int = 1) -> asyncio.Task[int]:
    task = asyncio.create_task(last_of(world, count, room_id))
    await run_loop(5)
    return task


async def ended(task: asyncio.Task[int]) -> None:
    """Let a follower leave."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_room_is_watched_from_its_first_follower_to_its_last() -> None:
    async with world() as here:
        tasks = [await following(here) for _ in range(2)]
        assert here.broker.watched == {1}
        here.broker.deliver(1, here.log.append())
        await asyncio.gather(*tasks)
        assert here.broker.watched == set()


async def test_a_hint_brings_the_entry() -> None:
    async with world() as here:
        task = await following(here)
        here.broker.deliver(1, here.log.append())
        assert await task == 1


async def test_the_poll_brings_what_no_hint_said() -> None:
    async with world() as here:
        task = await following(here)
        here.log.append()
        await run_loop(5)
        assert not task.done()
        here.clock.tick()
        assert await task == 1


async def test_what_is_said_while_registering_is_looked_for() -> None:
    async with world() as here:
        task = await following(here)
        here.log.append()
        here.broker.deliver(1, None)
        assert await task == 1


async def test_who_has_read_further_than_the_feed_makes_it_read() -> None:
    async with world() as here:
        early = await following(here)
        here.log.append()
        late = await following(here)
        assert await early == 1
        await ended(late)


async def test_who_begins_to_follow_does_not_see_what_was_deleted_before() -> None:
    async with world() as here:
        stays = await following(here, count=9)
        here.log.append(message="secret")
        here.broker.deliver(1, 1)
        await run_loop(5)
        here.log.append(message_id=1, message=None)  # and the hint is lost
        entries = here.hub.follow(1, 0, here.log.head, anyone())
        assert [(await anext(entries)).message for _ in range(2)] == [None, None]
        await entries.aclose()
        await ended(stays)


async def test_a_hint_for_a_room_that_nobody_follows_is_forgotten() -> None:
    async with world() as here:
        task = await following(here)
        here.broker.deliver(2, 7)
        await run_loop(5)
        assert here.log.reads == 0
        await ended(task)


async def test_the_poll_goes_on_after_the_database_was_away(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as here:
        task = await following(here)
        here.log.append()
        heads, here.log.heads = here.log.heads, None  # type: ignore[method-assign, assignment]
        here.clock.tick()
        await run_loop(5)
        here.log.heads = heads  # type: ignore[method-assign]
        here.clock.tick()
        assert await task == 1
    assert "could not be read" in caplog.text


async def test_thousands_of_comings_and_goings_leave_no_task_behind() -> None:
    async with world() as here:
        stays = await following(here)
        before = len(asyncio.all_tasks())
        for number in range(1_000):
            await ended(await following(here, room_id=number % 7 + 2))
        await run_loop(20)
        assert len(asyncio.all_tasks()) <= before
        assert here.broker.watched == {1}
        await ended(stays)
