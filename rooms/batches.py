"""What is cheaper done together: items that arrive while a batch is being worked on go together in the next.

Whoever was just answered often has more to ask, so that where many wait they come in two halves, each of which waits
for the other. A batch may linger for those: after one of ``SEVERAL`` at least, until as many wait as were answered and
are waiting already.

Concurrency: one event loop. ``do`` may be awaited from any task; one batch at a time is worked on, in a task and a
context of its own, so that no item is done as whoever happened to come first.
Lifecycle: there is a task while there is something to do, and nothing to close.
Invariants: items are worked on in the order of their arrival, each at most once. Whoever stops waiting harms nobody:
what was begun is finished, what was not is left out.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

SEVERAL = 8

Work = Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]]


class Batches(Generic[A, R]):
    """``work`` gets up to ``max_size`` items and gives for each, in their order, a result or why there is none.

    What it raises, it raises for each of its items. A batch lingers for ``linger_seconds`` at most.
    """

    def __init__(self, work: Work[A, R], *, max_size: int, linger_seconds: float = 0.0) -> None:
        self._work = work
        self._max_size = max_size
        self._linger_seconds = linger_seconds
        self._wanted = 0
        self._enough: asyncio.Future[None] | None = None  # while a batch lingers
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return self._task is None or self._task.done()

    async def do(self, item: A) -> R:
        """Return what ``work`` gives for ``item``, or raise it."""
        return await self.put(item)

    def put(self, item: A) -> asyncio.Future[R]:
        """As ``do``, with the place of ``item`` taken at once: the answer is to come."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._enough is not None and len(self._waiting) >= self._wanted:
            _wake(self._enough)
        if self.is_idle:
            self._task = asyncio.create_task(self._run(), context=Context())
        return answer

    async def _run(self) -> None:
        try:
            while batch := self._next():
                await self._do(batch)
                if len(batch) >= SEVERAL and self._linger_seconds:
                    await self._linger(min(len(batch) + len(self._waiting), self._max_size))
        finally:  # nothing is left, but where the loop itself ends
            _cancel(self._waiting)

    async def _linger(self, wanted: int) -> None:
        if len(self._waiting) >= wanted:
            return
        loop = asyncio.get_running_loop()
        self._wanted, self._enough = wanted, loop.create_future()
        timer = loop.call_later(self._linger_seconds, _wake, self._enough)
        try:
            await self._enough
        finally:
            timer.cancel()
            self._enough = None

    def _next(self) -> list[tuple[A, asyncio.Future[R]]]:
        batch: list[tuple[A, asyncio.Future[R]]] = []
        while self._waiting and len(batch) < self._max_size:
            item, answer = self._waiting.popleft()
            if not answer.done():
                batch.append((item, answer))
        return batch

    async def _do(self, batch: Sequence[tuple[A, asyncio.Future[R]]]) -> None:
        results: Sequence[R | Exception]
        try:
            results = await self._work([item for item, _ in batch])
            if len(results) != len(batch):
                raise ValueError(f"{len(results)} results for {len(batch)} items")
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            results = [error] * len(batch)
        except BaseException:
            _cancel(batch)
            raise
        for (_, answer), result in zip(batch, results, strict=True):
            _give(answer, result)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _give(answer: asyncio.Future[R], result: R | Exception) -> None:
    if answer.done():
        return  # nobody waits any more
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)


def _cancel(batch: Iterable[tuple[A, asyncio.Future[R]]]) -> None:
    for _, answer in batch:
        answer.cancel()
