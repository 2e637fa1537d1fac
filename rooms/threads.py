"""Where database work runs when it is asked for from the event loop.

Requests and sockets share a bounded pool of threads: one slow query does not hold up the rest, and a thousand sockets
do not use up the database. What hashes a password takes long and has a smaller pool of its own, and so has what feeds
and replays read of logs: it waits for no lock. Django's own pages have threads of their own.

Threads are taken in turn by lanes, one for each viewer, and an address for the anonymous (``enter_lane``), so that no
viewer's queries hold up another's (``docs/adr/0023-fair-threads.md``). Work of a task that has entered no lane is the
process's own, such as storing the sends that wait: that goes first.

Concurrency: each of the functions may be awaited from any task. Each call has a connection to itself until it returns.
Invariants: what is cancelled before it has a thread is not done; what has begun is done to its end.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.db import connections

from .turns import OWN, Turns

P = ParamSpec("P")
R = TypeVar("R")

POOL_SIZE = 8
POOL_SHARE = 4
HASHING_POOL_SIZE = 2
READING_POOL_SIZE = 4
READING_POOL_SHARE = 1
PROBING_POOL_SIZE = 1
RESERVED = 2  # threads of a pool that only the process's own work has

_lane: ContextVar[str] = ContextVar("lane", default=OWN)


def enter_lane(name: str) -> None:
    """Have the work that this task asks for from now on, and tasks that it begins, wait in the lane of that name."""
    _lane.set(name)


def current_lane() -> str:
    return _lane.get()


class Pool:
    """Threads, which lanes take in turn. ``executor`` is what they are had from."""

    def __init__(self, name: str, size: int, *, share: int, reserved: int = 0) -> None:
        self.size = size
        self.executor: Executor = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._new_turns = partial(Turns[_Work], size, share=share, reserved=reserved)
        self._turns: WeakKeyDictionary[AbstractEventLoop, Turns[_Work]] = WeakKeyDictionary()

    async def run(self, function: Callable[[], R]) -> R:
        """Return what ``function`` returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        turns = self._turns.get(loop) or self._turns.setdefault(loop, self._new_turns())
        work = _Work(function, loop, partial(self._end, turns))
        turns.wait(work.lane, work)
        self._begin(turns)
        try:
            result: R = await work.answer
        except asyncio.CancelledError:
            turns.withdraw(work.lane, work)
            raise
        return result

    def _begin(self, turns: Turns[_Work]) -> None:
        while (work := turns.begin()) is not None:
            try:
                self.executor.submit(work.do)
            except RuntimeError as error:  # the interpreter ends
                turns.end(work.lane)
                work.settle(None, error)

    def _end(self, turns: Turns[_Work], work: _Work, result: Any, error: BaseException | None) -> None:
        turns.end(work.lane)
        work.settle(result, error)
        self._begin(turns)


class _Work:
    """One call. ``ended`` is called with it, its result and what it raised, on ``loop``."""

    __slots__ = ("_context", "_ended", "_function", "_loop", "answer", "lane")

    def __init__(self, function: Callable[[], Any], loop: AbstractEventLoop, ended: Callable[..., None]) -> None:
        self.lane = current_lane()
        self.answer: asyncio.Future[Any] = loop.create_future()
        self._function = function
        self._loop = loop
        self._ended = ended
        self._context = copy_context()

    def do(self) -> None:
        """As ``sync_to_async``, which costs nearly twice as much for what nobody here needs: the way back to this loop
        from ``async_to_sync``, and what the thread puts into the context."""
        result, error = None, None
        try:
            result = self._context.run(_with_connection, self._function)
        except BaseException as raised:  # noqa: BLE001 - it is raised where it is waited for
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._ended, self, result, error)
        except RuntimeError:
            pass  # the loop is closed, and with it whoever waited
        finally:
            del error  # else it would hold itself, by this frame

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Give the answer, and forget it: else an error would hold itself, by the frames that it went through."""
        answer = self.answer
        del self.answer
        if answer.done():
            return  # nobody waits any more
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)


def _with_connection(work: Callable[[], R]) -> R:
    """Do as Django does around a request: drop an old connection before, and return one that has had its time after."""
    _close_old_connections()
    try:
        return work()
    finally:
        _close_old_connections()


def _close_old_connections() -> None:
    """Django's ``close_old_connections``, which would also end a transaction that is open around all this."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


_pool = Pool("database", POOL_SIZE, share=POOL_SHARE, reserved=RESERVED)
_hashing_pool = Pool("hashing", HASHING_POOL_SIZE, share=HASHING_POOL_SIZE)  # its work is short: turns are enough
_reading_pool = Pool("reading", READING_POOL_SIZE, share=READING_POOL_SHARE, reserved=RESERVED)
_probing_pool = Pool("probing", PROBING_POOL_SIZE, share=PROBING_POOL_SIZE)
POOLS = (_pool, _hashing_pool, _reading_pool, _probing_pool)


async def in_database(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in a thread and return what it returns."""
    return await _pool.run(partial(function, *args, **kwargs))


async def in_hashing(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As ``in_database``, for what hashes a password as well."""
    return await _hashing_pool.run(partial(function, *args, **kwargs))


async def in_reading(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As ``in_database``, for what feeds and replays read of logs: a short query that takes no lock."""
    return await _reading_pool.run(partial(function, *args, **kwargs))


async def in_probing(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As ``in_database``, for the question whether the database answers: it waits for nothing else that is asked."""
    return await _probing_pool.run(partial(function, *args, **kwargs))
