"""What waits in the database, and what does not wait for it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any
from unittest.mock import patch

import pytest

from rooms import log
from rooms.log import DatabaseLog
from rooms.threads import POOL_SHARE, POOL_SIZE, enter_lane, in_database
from rooms.turns import OWN

ENOUGH_SECONDS = 30


class Queries:
    """Work that takes as long as the test wants. ``begun`` counts what has a thread."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.names: list[str] = []
        self._end = threading.Event()

    def query(self, name: str) -> str:
        self.names.append(name)
        self.begun.release()
        assert self._end.wait(ENOUGH_SECONDS)
        return name

    def end(self) -> None:
        self._end.set()

    async def wait_until_begun(self, number: int) -> None:
        for _ in range(number):
            assert await asyncio.to_thread(self.begun.acquire, timeout=ENOUGH_SECONDS)


@contextmanager
def held() -> Iterator[Queries]:
    queries = Queries()
    try:
        yield queries
    finally:
        queries.end()


def as_viewer(name: str, work: Callable[..., Any], *arguments: Any) -> asyncio.Task[Any]:
    """A task that does ``work`` in the database as the viewer of that name."""

    async def do() -> Any:
        enter_lane(name)
        return await in_database(work, *arguments)

    return asyncio.create_task(do(), context=Context())


async def test_feeds_do_not_wait_for_whoever_waits_for_a_lock() -> None:
    with held() as queries:
        waiting = [as_viewer(OWN, queries.query, "lock") for _ in range(2 * POOL_SIZE)]
        with patch.object(log, "heads_of", lambda *, room_ids: dict.fromkeys(room_ids)):
            assert await asyncio.wait_for(DatabaseLog().heads([1]), ENOUGH_SECONDS) == {1: None}
        queries.end()
        assert await asyncio.gather(*waiting) == ["lock"] * (2 * POOL_SIZE)


async def test_one_viewer_s_queries_hold_up_neither_another_s_nor_the_process_s_own_work() -> None:
    with held() as queries:
        dear = [as_viewer("ana", queries.query, "dear") for _ in range(2 * POOL_SIZE)]
        await queries.wait_until_begun(POOL_SHARE)
        assert await asyncio.wait_for(as_viewer("bia", str, "cheap"), ENOUGH_SECONDS) == "cheap"
        assert await asyncio.wait_for(as_viewer(OWN, str, "sends"), ENOUGH_SECONDS) == "sends"
        assert queries.names == ["dear"] * POOL_SHARE
        queries.end()
        assert await asyncio.gather(*dear) == ["dear"] * (2 * POOL_SIZE)


async def test_however_many_viewers_ask_the_process_s_own_work_finds_a_thread() -> None:
    with held() as queries:
        dear = [as_viewer(f"viewer {number % 5}", queries.query, "dear") for number in range(4 * POOL_SIZE)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(as_viewer(OWN, str, "sends"), ENOUGH_SECONDS) == "sends"
        queries.end()
        await asyncio.gather(*dear)


async def test_what_is_cancelled_while_it_waits_is_never_begun() -> None:
    with held() as queries:
        begun = [as_viewer("ana", queries.query, "begun") for _ in range(POOL_SHARE)]
        await queries.wait_until_begun(POOL_SHARE)
        waiting = as_viewer("ana", queries.query, "cancelled")
        after = as_viewer("ana", str, "after")
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        queries.end()
        assert await asyncio.gather(*begun, after) == ["begun"] * POOL_SHARE + ["after"]
        assert "cancelled" not in queries.names


async def test_what_is_cancelled_when_it_has_begun_keeps_its_thread_to_the_end() -> None:
    with held() as queries:
        begun = [as_viewer("ana", queries.query, "begun") for _ in range(POOL_SHARE)]
        await queries.wait_until_begun(POOL_SHARE)
        begun[0].cancel()
        next_one = as_viewer("ana", queries.query, "next")
        with pytest.raises(asyncio.CancelledError):
            await begun[0]
        assert await asyncio.wait_for(as_viewer("bia", str, "cheap"), ENOUGH_SECONDS) == "cheap"
        assert "next" not in queries.names
        queries.end()
        assert await next_one == "next"


async def test_what_the_database_raises_is_raised_and_then_forgotten() -> None:
    class Broken(Exception):
        pass

    def broken() -> None:
        raise Broken

    gc.disable()
    try:
        with pytest.raises(Broken) as raised:
            await in_database(broken)
        found = weakref.ref(raised.value)
        del raised
        await asyncio.sleep(0)
        assert found() is None, "it holds itself, until the garbage is looked for"
    finally:
        gc.enable()


async def test_the_work_sees_what_its_task_has_in_its_context() -> None:
    name: ContextVar[str] = ContextVar("name")
    name.set("ana")
    assert await in_database(name.get) == "ana"


async def test_a_task_hands_its_lane_to_those_that_it_begins() -> None:
    with held() as queries:

        async def several() -> list[str]:
            enter_lane("ana")
            return await asyncio.gather(*(in_database(queries.query, "dear") for _ in range(2 * POOL_SHARE)))

        dear = asyncio.create_task(several(), context=Context())
        await queries.wait_until_begun(POOL_SHARE)
        await asyncio.wait_for(as_viewer("bia", str, "cheap"), ENOUGH_SECONDS)
        assert len(queries.names) == POOL_SHARE
        queries.end()
        await dear
