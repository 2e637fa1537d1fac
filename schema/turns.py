"""Which of one socket's operations are worked on, and which wait for their turn, in the order in which they came.

Concurrency: one event loop; only ``come`` and ``room`` suspend.
Lifecycle: a turn begins with ``enter``, or later where too many are at work, and ends with ``over``.
Invariants: at most ``at_once`` are at work. A turn that is over, or whose operation was cancelled, is given on once.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
import sys


class Turn:
    """One operation's. ``size`` is what it holds while it waits, in bytes."""

    __slots__ = ("_turns", "coming", "size")

    def __init__(self, turns: Turns, size: int, coming: asyncio.Future[None] | None) -> None:
        self._turns: Turns | None = turns
        self.size = size
        self.coming = coming

    async def come(self) -> None:
        """Wait until it is this operation's turn."""
        if self.coming is not None:
            await self.coming

    def over(self) -> None:
        """Let the next one begin. May be called again, and while this one still waits."""
        if self._turns is not None:
            turns, self._turns = self._turns, None
            turns.end(self)


class Turns:
    """``max_waiting`` and ``max_waiting_bytes`` are what may wait: see ``is_full`` before ``enter``. 0 is no limit."""

    __slots__ = ("_at_once", "_at_work", "_max_waiting", "_max_waiting_bytes", "_room", "_waiting", "_waiting_bytes")

    def __init__(self, at_once: int, max_waiting: int, max_waiting_bytes: int) -> None:
        self._at_once = at_once or sys.maxsize
        self._max_waiting = max_waiting or sys.maxsize
        self._max_waiting_bytes = max_waiting_bytes or sys.maxsize
        self._at_work = 0
        self._waiting: dict[Turn, None] = {}
        self._waiting_bytes = 0
        self._room: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return len(self._waiting) >= self._max_waiting or self._waiting_bytes >= self._max_waiting_bytes

    def enter(self, size: int) -> Turn:
        if self._at_work < self._at_once:
            self._at_work += 1
            return Turn(self, size, None)
        turn = Turn(self, size, asyncio.get_running_loop().create_future())
        self._waiting[turn] = None
        self._waiting_bytes += size
        return turn

    def end(self, turn: Turn) -> None:
        """For ``Turn.over``."""
        if turn in self._waiting:
            self._take_out(turn)
            return
        self._at_work -= 1
        if self._waiting:
            following = next(iter(self._waiting))
            self._take_out(following)
            self._at_work += 1
            if following.coming is not None and not following.coming.done():
                following.coming.set_result(None)

    async def room(self, seconds: float) -> None:
        """Return once one of those that wait has gone, or after ``seconds``. For one caller at a time."""
        self._room = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([self._room], timeout=seconds)
        finally:
            self._room = None

    def _take_out(self, turn: Turn) -> None:
        del self._waiting[turn]
        self._waiting_bytes -= turn.size
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
