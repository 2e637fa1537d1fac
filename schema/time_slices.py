"""Long work on the event loop in slices: between two of them whatever else is ready goes on.

To complete a page of an answer takes milliseconds, in which nothing else runs. Pages that are ready at the same time
wait here: one begins in each iteration of the loop, and viewers' lanes take turns (``rooms.turns``).

Concurrency: one event loop; each has slices of its own.
Lifecycle: there is something to do while a page waits, and nothing to close.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future
from weakref import WeakKeyDictionary

from rooms.threads import current_lane
from rooms.turns import Turns


class TimeSlices:
    """Those of a loop. ``is_used`` in an iteration in which a page has begun, and until none waits."""

    def __init__(self) -> None:
        self._waiting: Turns[tuple[str, Future[None]]] = Turns(1, share=1)
        self._is_used = False

    async def begin(self, loop: AbstractEventLoop) -> None:
        """Return when it is the caller's turn: at once, where nobody else's page has begun in this iteration."""
        if not self._is_used:
            self._is_used = True
            loop.call_soon(self._next, loop)
            return
        waiting = current_lane(), loop.create_future()
        self._waiting.wait(waiting[0], waiting)
        await waiting[1]

    def _next(self, loop: AbstractEventLoop) -> None:
        while (waiting := self._waiting.begin()) is not None:
            lane, turn = waiting
            self._waiting.end(lane)
            if not turn.done():  # else nobody waits any more
                turn.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._is_used = False


async def time_slice() -> None:
    """To be awaited before a page is completed."""
    loop = asyncio.get_running_loop()
    slices = _of_loops.get(loop)
    if slices is None:
        slices = _of_loops[loop] = TimeSlices()
    await slices.begin(loop)


_of_loops: WeakKeyDictionary[AbstractEventLoop, TimeSlices] = WeakKeyDictionary()
