from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from unittest.mock import patch

import pytest

from rooms import feed as feed_module
from rooms.feed import PAGE_SIZE, Feed, Follower, LogBroken

from .fakes import FakeLog, anyone, run_loop


@asynccontextmanager
async def running(log: FakeLog, *, head: int = 0, capacity: int = 4) -> AsyncIterator[Feed]:
    feed = Feed(1, log, head, log.access_version, capacity=capacity)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def heard(feed: Feed, cursor: int, count: int) -> list[int]:
    sequences: list[int] = []
    async with aclosing(feed.follow(cursor, 0, anyone())) as entries:
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


async def test_reads_once_for_all_its_followers_and_a_burst() -> None:
    log = FakeLog()
    async with running(log) as feed:
        following = [asyncio.create_task(heard(feed, 0, 1)) for _ in range(50)]
        await run_loop(2)
        log.append()
        feed.hint(log.append())
        await asyncio.gather(*following)
        await run_loop(5)
        assert log.reads == 1


async def test_reads_page_after_page_to_the_end() -> None:
    log = FakeLog()
    async with running(log, capacity=1_000) as feed:
        for _ in range(2 * PAGE_SIZE):
            log.append()
        feed.hint(1)
        await run_loop(10)
        assert (feed.tail.head, log.reads) == (2 * PAGE_SIZE, 3), "the last finds that a full page was the last"


async def test_replays_from_the_log_what_its_tail_no_longer_holds() -> None:
    log = log_of(20)
    async with running(log, head=10, capacity=4) as feed:
        feed.hint(20)
        assert await heard(feed, 3, 17) == list(range(4, 21))


async def test_a_slow_reader_gets_what_has_left_the_tail() -> None:
    log = FakeLog()
    async with running(log, capacity=2) as feed, aclosing(feed.follow(0, 0, anyone())) as entries:
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
        async with aclosing(feed.follow(0, 0, anyone())) as entries:
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


# What this process has appended itself


async def test_what_is_offered_is_not_read() -> None:
    log = FakeLog()
    async with running(log) as feed:
        following = asyncio.create_task(heard(feed, 0, 3))
        await run_loop(2)
        feed.offer(log.written(log.append(), log.append()))
        feed.offer(log.written(log.append()))
        assert await following == [1, 2, 3]
        assert log.reads == 0


async def test_what_is_offered_out_of_turn_is_read() -> None:
    log = FakeLog()
    async with running(log) as feed:
        following = asyncio.create_task(heard(feed, 0, 3))
        first, later = log.written(log.append()), log.written(log.append(), log.append())
        feed.offer(later)
        await run_loop(5)
        feed.offer(first)
        assert await following == [1, 2, 3]
        assert log.reads


async def test_what_is_offered_again_is_forgotten() -> None:
    log = FakeLog()
    async with running(log) as feed:
        offered = log.written(log.append(), log.append())
        feed.offer(offered)
        feed.offer(offered[1:])
        feed.offer(offered)
        await run_loop(5)
        assert await heard(feed, 0, 2) == [1, 2]
        assert log.reads == 0


async def test_what_is_offered_while_the_log_is_read_is_heard_once(caplog: pytest.LogCaptureFixture) -> None:
    log = FakeLog()
    async with running(log) as feed:
        following = asyncio.create_task(heard(feed, 0, 2))
        feed.hint(log.append())
        for _ in range(8):
            feed.offer(log.written(1))
            await run_loop(1)
        feed.offer(log.written(log.append()))
        assert await following == [1, 2]
    assert not caplog.records


async def test_what_is_offered_while_the_database_is_away_waits_for_it(caplog: pytest.LogCaptureFixture) -> None:
    """Some of what the feed holds may be newer than what is offered."""
    log = FakeLog()
    log.failures = 1
    with patch.object(feed_module, "RETRY_SECONDS", 3600):
        async with running(log) as feed:
            feed.hint(None)
            await run_loop(5)
            feed.offer(log.written(log.append()))
            reading = Reading(feed, "ana")
            await run_loop(5)
            assert reading.heard == []
            await reading.left()
    assert "could not be read" in caplog.text


# Access


class Reading:
    """Somebody who reads until they may not any more."""

    def __init__(self, feed: Feed, name: str, *, cursor: int = 0, access_version: int = 0) -> None:
        self.heard: list[int] = []
        self.refusal: Exception | None = None
        follower = Follower(name, name, access_version, self._lose)
        self.task = asyncio.create_task(self._read(feed, cursor, follower))

    def _lose(self, refusal: Exception) -> None:
        self.refusal = refusal
        self.task.cancel()

    async def _read(self, feed: Feed, cursor: int, follower: Follower) -> None:
        async with aclosing(feed.follow(cursor, 0, follower)) as entries:
            async for entry in entries:
                self.heard.append(entry.sequence)

    async def left(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_nothing_said_after_a_change_is_heard_by_whom_it_shut_out() -> None:
    """Nobody has announced the change: the entry brings it."""
    log = FakeLog()
    async with running(log) as feed:
        ana, rui = Reading(feed, "ana"), Reading(feed, "rui")
        await run_loop(5)
        log.shut("rui")
        feed.hint(log.append())
        await run_loop(20)
        assert (ana.heard, ana.refusal) == ([1], None)
        assert rui.heard == []
        assert isinstance(rui.refusal, PermissionError)
        await ana.left()


async def test_nothing_offered_after_a_change_is_heard_by_whom_it_shut_out() -> None:
    """Nobody has announced the change: what is offered brings it."""
    log = FakeLog()
    async with running(log) as feed:
        ana, rui = Reading(feed, "ana"), Reading(feed, "rui")
        await run_loop(5)
        log.shut("rui")
        feed.offer(log.written(log.append()))
        await run_loop(20)
        assert (ana.heard, ana.refusal) == ([1], None)
        assert (rui.heard, rui.refusal is None) == ([], False)
        await ana.left()


async def test_nothing_offered_is_heard_by_whom_a_change_concerns_that_was_announced() -> None:
    log = FakeLog(pause=partial(run_loop, 3))
    async with running(log) as feed:
        ana, rui = Reading(feed, "ana"), Reading(feed, "rui")
        await run_loop(5)
        before = log.written(log.append())
        feed.hint_access(log.shut("rui"), "rui")
        feed.offer(before)
        await run_loop(20)
        assert (ana.heard, rui.heard, rui.refusal is None) == ([1], [], False)
        await ana.left()


async def test_nothing_offered_is_heard_by_who_is_in_doubt_and_may_not_hear_it() -> None:
    log = FakeLog(pause=partial(run_loop, 3))
    async with running(log) as feed:
        ana, rui = Reading(feed, "ana"), Reading(feed, "rui")
        await run_loop(5)
        log.shut_out.add("rui")
        feed.doubt("rui")
        feed.offer(log.written(log.append()))
        await run_loop(20)
        assert (ana.heard, rui.heard, rui.refusal is None) == ([1], [], False)
        await ana.left()


async def test_a_change_that_is_announced_ends_whom_it_concerns_and_asks_about_nobody_else() -> None:
    log = FakeLog()
    async with running(log) as feed:
        people = {name: Reading(feed, name) for name in ("ana", "rui", "eva")}
        await run_loop(5)
        feed.hint_access(log.shut("rui"), "rui")
        await run_loop(20)
        assert [name for name, each in people.items() if each.refusal] == ["rui"]
        assert log.asked == [["rui"]]
        feed.hint(log.append())
        await run_loop(20)
        assert log.asked == [["rui"]], "what is known is not asked again"
        for each in people.values():
            await each.left()


async def test_where_a_change_was_not_heard_of_everybody_is_asked_about() -> None:
    log = FakeLog()
    async with running(log) as feed:
        people = {name: Reading(feed, name) for name in ("ana", "rui")}
        await run_loop(5)
        log.shut("ana")
        feed.hint_access(log.shut("nobody here"), "nobody here")
        await run_loop(20)
        assert people["ana"].refusal
        assert sorted(log.asked[0]) == ["ana", "rui"]
        await people["rui"].left()


async def test_who_was_let_in_before_a_change_and_comes_after_it_is_asked_about() -> None:
    log = log_of(3)
    async with running(log) as feed:
        feed.hint(3)
        feed.hint_access(log.shut("rui"), "rui")
        await run_loop(20)
        rui = Reading(feed, "rui", access_version=0)
        await run_loop(20)
        assert (rui.heard, rui.refusal is None) == ([], False)


async def test_a_replay_ends_where_access_does() -> None:
    log = log_of(20)
    async with running(log, head=20) as feed:
        log.shut("rui")
        rui = Reading(feed, "rui")
        await run_loop(20)
        assert (rui.heard, rui.refusal is None) == ([], False)


async def test_who_is_in_doubt_is_asked_about_though_the_room_is_as_it_was() -> None:
    log = FakeLog()
    async with running(log) as feed:
        ana, rui = Reading(feed, "ana"), Reading(feed, "rui")
        await run_loop(5)
        log.shut_out.add("rui")
        feed.doubt("rui")
        feed.doubt("eva")
        await run_loop(20)
        assert rui.refusal
        assert log.asked == [["rui"]]
        await ana.left()


async def test_nobody_hears_anything_until_the_database_has_said_who_may(caplog: pytest.LogCaptureFixture) -> None:
    log = FakeLog()
    tries = 0

    async def away(room_id: int, readers: object) -> list[Exception | None]:
        nonlocal tries
        tries += 1
        raise ConnectionError

    with no_wait_between_tries():
        async with running(log) as feed:
            ana = Reading(feed, "ana")
            await run_loop(5)
            with patch.object(log, "refusals", away):
                log.shut("rui")
                feed.hint(log.append())
                await run_loop(30)
                assert (ana.heard, tries > 1) == ([], True)
            await run_loop(30)
            assert ana.heard == [1]
            await ana.left()
    assert "could not be read" in caplog.text
