"""The recent end of a log without holes, and a way to wait for what comes next.

A reader holds a cursor, the sequence of the last item it has seen, and asks for the one after it. Replay and live
delivery are therefore one loop, nothing is buffered for a reader, and a slow one merely has an old cursor.

Concurrency: one event loop. No method but ``past`` suspends.
Invariants: the items are those from ``head - len + 1`` to ``head``, each once; ``head`` never falls.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Tail(Generic[T]):
    """At most ``capacity`` items; ``head`` is the sequence of the newest, also when none is held yet."""

    def __init__(self, head: int, capacity: int) -> None:
        self.head = head
        self._capacity = capacity
        self._items: dict[int, T] = {}
        self._advanced = asyncio.Event()

    def append(self, sequence: int, item: T) -> None:
        """Add the item next in line and wake who waits. Raises ValueError for any other: a hole would be for ever."""
        if sequence != self.head + 1:
            raise ValueError(f"expected sequence {self.head + 1}, got {sequence}")
        self._items[sequence] = item
        self._items.pop(sequence - self._capacity, None)
        self.head = sequence
        self._advanced.set()
        self._advanced = asyncio.Event()

    def after(self, cursor: int) -> T | None:
        """Return the item next after ``cursor``, or None if it has left the tail or is yet to come."""
        return self._items.get(cursor + 1)

    def items(self) -> Iterable[T]:
        return self._items.values()

    async def past(self, cursor: int) -> None:
        """Wait until ``head`` is past ``cursor``."""
        while self.head <= cursor:
            await self._advanced.wait()
