"""What waits for a socket's application: the one queue between the network and it, and its end.

Made for tens of thousands that are empty: ``asyncio.Queue`` takes 3 kB for what is here a list.

Concurrency: one event loop; one task gets. ``on_taken`` is called soon after that has taken something.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


class Inbox:
    """ASGI events, of ``size`` characters or bytes in all. It takes whatever it is given: see ``is_full`` first."""

    __slots__ = ("_events", "_getting", "_max_frames", "_max_size", "_on_taken", "size")

    def __init__(self, max_frames: int, max_size: int, on_taken: Callable[[], None]) -> None:
        self.size = 0
        self._events: list[Event] = []  # a few at most, so that taking out the first is as good as any queue
        self._max_frames = max_frames
        self._max_size = max_size
        self._on_taken = on_taken
        self._getting: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        return 0 < self._max_frames <= len(self._events) or 0 < self._max_size <= self.size

    def put_nowait(self, event: Event) -> None:
        self.size += _size_of(event)
        self._events.append(event)
        if self._getting is not None and not self._getting.done():
            self._getting.set_result(None)

    async def get(self) -> Event:
        while not self._events:
            self._getting = asyncio.get_running_loop().create_future()
            try:
                await self._getting
            finally:
                self._getting = None
        event = self._events.pop(0)
        self.size -= _size_of(event)
        asyncio.get_running_loop().call_soon(self._on_taken)
        return event


def _size_of(event: Event) -> int:
    return len(event.get("text") or event.get("bytes") or "")
