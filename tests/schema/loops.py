"""An event loop whose time passes at once, for what takes the product's own, long, times."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SkippingSelector(selectors.DefaultSelector):
    """Where the loop would wait for a timer, ``skip`` is told for how many seconds and nobody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.skip: Callable[[float], None] | None = None

    def select(self, timeout: float | None = None) -> Any:
        if self.skip is None or timeout is None:
            return super().select(timeout)
        if not (ready := super().select(0)):
            self.skip(max(0.0, timeout))
        return ready


class SkippingLoop(asyncio.SelectorEventLoop):
    """Like any other until ``skip_waits``. From then on its time passes by being skipped alone, however long the work
    takes, and nothing may be left to threads: they take real time.
    """

    def __init__(self) -> None:
        self._skipped = 0.0
        self._stopped_at: float | None = None
        self._skipping = SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return (super().time() if self._stopped_at is None else self._stopped_at) + self._skipped

    def skip_waits(self) -> None:
        self._stopped_at = super().time()
        self._skipping.skip = self._skip

    def skip_no_more(self) -> None:
        self._stopped_at = None
        self._skipping.skip = None

    def _skip(self, seconds: float) -> None:
        self._skipped += seconds


def run_skipping(course: Callable[[SkippingLoop], Coroutine[Any, Any, T]]) -> T:
    loop = SkippingLoop()
    try:
        return loop.run_until_complete(course(loop))
    finally:
        loop.close()
