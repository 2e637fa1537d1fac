"""When garbage is collected (``gc``) in a process that holds many connections.

What lives as long as the process is not looked through, what is new not so often: most of it goes by itself. A
connection that is over does not, for it and its protocols name each other; and memory that waits for long among what is
in use is never given back. So they are looked for once many have been lost. To look takes the longer the more there is,
a second where ten thousand sockets are open, and nobody is served meanwhile: then it is not done again for a while.

Concurrency: one event loop, on which everything here is called.
Lifecycle: from ``begin``, once everything that lasts is there, to ``end``, when the process is about to.
Dependencies: the standard library.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Protocol

THRESHOLDS = (20_000, 20, 50)
LOST_AT_ONCE = 100
LOST_PART = 0.25  # of those that are open
TIME_PART = 0.05  # at most this much of the time is spent on it


class Timer(Protocol):
    def cancel(self) -> None: ...


class Garbage:
    """``now`` gives seconds, ``call_later`` calls after so many; ``collect`` does it."""

    def __init__(
        self,
        now: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
        collect: Callable[[], object] = gc.collect,
    ) -> None:
        self._now = now
        self._call_later = call_later
        self._collect_all = collect
        self._lost = 0
        self._rests_until = 0.0
        self._timer: Timer | None = None
        self._has_ended = False

    def begin(self) -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)

    def end(self) -> None:
        """Collect no more: soon all memory is given back."""
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()

    def connection_lost(self, still_open: int) -> None:
        """Take note that a connection is over, of which so many are open now."""
        self._lost += 1
        is_due = self._lost >= max(LOST_AT_ONCE, LOST_PART * still_open)
        if is_due and self._timer is None and not self._has_ended:
            self._timer = self._call_later(max(0.0, self._rests_until - self._now()), self._collect)

    def _collect(self) -> None:
        self._timer = None
        self._lost = 0
        began = self._now()
        self._collect_all()
        ended = self._now()
        self._rests_until = ended + (ended - began) * (1 / TIME_PART - 1)
