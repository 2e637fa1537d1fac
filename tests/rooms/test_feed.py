from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from unittest.mock import patch

import pytest

from rooms import feed as feed_module
from rooms.feed import Feed, LogBroken

from .fakes import FakeLog, run_loop


@asynccontextmanager
async def running(log: FakeLog, *, head: int = 0, capacity: int = 4) -> AsyncIterator[Feed]:
    feed = Feed(1, log, head, capacity=capacity)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def heard(feed: Feed, cursor: int, count: int) -> list[int]:
    sequences: list[int] = []
    async with aclosing(feed.follow(cursor)) as entries:
        async for entry in entries:
            sequences.append(entry.sequence)
            if len(sequences) == count:
                break
    return sequences


@contextmanager
def no_wait_between_tries() -> Iterator[None]:
    with patch.object(feed_module, "RETRY_SECONDS", 0):
        yield


def log_of(count: int) -> FakeLog:
    log = FakeLog()
    for _ in range(count):
        log.append()
    return log


async def test_reads_the_log_on_a_hint() -> None:
    log = FakeLog()
    async with running(log) as feed:
        following = asyncio.create_task(heard(feed, 0, 2))
        log.append()
        feed.hint(log.append())
        assert await following == [1, 2]


async def test_does_not_read_for_a_hint_at_what_it_has() -> None:
    log = log_of(2)
    async with running(log, head=2) as feed:
        feed.hint(1)
        feed.hint(2)
        await run_loop(5)
        assert log.reads == 0


async def test_reads_once_for_all_its_followers() -> None:
    log = FakeLog()
    async with running(log) as feed:
        following = [asyncio.create_task(heard(feed, 0, 1)) for _ in range(50)]
        await run_loop(2)
        feed.hint(log.append())
        await asyncio.gather(*following)
        assert log.reads <= 2, "one that finds the entry, one that finds no more"


async def test_replays_from_the_log_what_its_tail_no_longer_holds() -> None:
    log = log_of(20)
    async with running(log, head=10, capacity=4) as feed:
        feed.hint(20)
        assert await heard(feed, 3, 17) == list(range(4, 21))


async def test_a_slow_reader_gets_what_has_left_the_tail() -> None:
    log = FakeLog()
    async with running(log, capacity=2) as feed, aclosing(feed.follow(0)) as entries:
        feed.hint(log.append())
        assert (await anext(entries)).sequence == 1
        for _ in range(9):
            log.append()
        feed.hint(log.head)
        await run_loop(5)
        assert [(await anext(entries)).sequence for _ in range(9)] == list(range(2, 11))


async def test_a_replay_does_not_show_what_was_deleted() -> None:
    log = FakeLog()
    log.append(message="secret")
    async with running(log) as feed:
        feed.hint(1)
        await run_loop(5)
        log.append(message_id=1, message=None)
        feed.hint(2)
        await run_loop(5)
        async with aclosing(feed.follow(0)) as entries:
            assert [(await anext(entries)).message for _ in range(2)] == [None, None]


async def test_goes_on_after_the_database_was_away(caplog: pytest.LogCaptureFixture) -> None:
    log = FakeLog()
    log.failures = 3
    with no_wait_between_tries():
        async with running(log) as feed:
            feed.hint(log.append())
            assert await heard(feed, 0, 1) == [1]
    assert "could not be read" in caplog.text


async def test_a_log_that_lost_entries_is_an_error_not_a_gap() -> None:
    log = log_of(10)
    async with running(log, head=10) as feed:
        del log.entries[5:]
        with pytest.raises(LogBroken):
            await heard(feed, 0, 10)
