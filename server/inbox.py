"""What waits for a socket's application: the one queue between the network and it, and its end.

Concurrency: one event loop. ``on_taken`` is called soon after the application has taken something.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


class Inbox(asyncio.Queue[Event]):
    """ASGI events, of ``size`` characters or bytes in all. It takes whatever it is given: see ``is_full`` first."""

    def __init__(self, max_frames: int, max_size: int, on_taken: Callable[[], None]) -> None:
        super().__init__()
        self.size = 0
        self._max_frames = max_frames
        self._max_size = max_size
        self._on_taken = on_taken

    @property
    def is_full(self) -> bool:
        return 0 < self._max_frames <= self.qsize() or 0 < self._max_size <= self.size

    def _put(self, item: Event) -> None:
        self.size += _size_of(item)
        super()._put(item)

    def _get(self) -> Event:
        item = super()._get()
        self.size -= _size_of(item)
        asyncio.get_running_loop().call_soon(self._on_taken)
        return item


def _size_of(event: Event) -> int:
    return len(event.get("text") or event.get("bytes") or "")
