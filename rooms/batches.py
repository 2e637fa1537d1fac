"""What is cheaper done together: items that arrive while a batch is being worked on go together in the next.

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

Work = Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]]


class Batches(Generic[A, R]):
    """``work`` gets up to ``max_size`` items and gives for each, in their order, a result or why there is none.

    What it raises, it raises for each of its items.
    """

    def __init__(self, work: Work[A, R], *, max_size: int) -> None:
        self._work = work
        self._max_size = max_size
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
        if self.is_idle:
            self._task = asyncio.create_task(self._run(), context=Context())
        return answer

    async def _run(self) -> None:
        try:
            while batch := self._next():
                await self._do(batch)
        finally:  # nothing is left, but where the loop itself ends
            _cancel(self._waiting)

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
