"""The recent end of a log without holes, and a way to wait for what comes next.

A reader holds a cursor, the sequence of the last item it has seen, and asks for the one after it. Replay and live
delivery are therefore one loop, nothing is buffered for a reader, and a slow one merely has an old cursor.

Who waits for every item from here on has a listener instead of a task: all listeners are called in one pass, soon after
the head has advanced, and once however far it has.

Concurrency: one event loop. No method but ``past`` suspends.
Invariants: the items are those from ``head - len + 1`` to ``head``, each once; ``head`` never falls. After it has
advanced every listener that is still there is called.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Tail(Generic[T]):
    """At most ``capacity`` items; ``head`` is the sequence of the newest, also when none is held yet."""

    def __init__(self, head: int, capacity: int) -> None:
        self.head = head
        self.capacity = capacity
        self._items: dict[int, T] = {}
        self._advanced = asyncio.Event()
        self._listeners: dict[Callable[[], None], None] = {}
        self._is_telling = False

    def append(self, sequence: int, item: T) -> None:
        """Add the item next in line and wake who waits. Raises ValueError for any other: a hole would be for ever."""
        if sequence != self.head + 1:
            raise ValueError(f"expected sequence {self.head + 1}, got {sequence}")
        self._items[sequence] = item
        self._items.pop(sequence - self.capacity, None)
        self.head = sequence
        self._advanced.set()
        self._advanced = asyncio.Event()
        if self._listeners and not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever ``head`` has advanced. It must not raise, and finds what is new by itself."""
        self._listeners[listener] = None

    def unlisten(self, listener: Callable[[], None]) -> None:
        self._listeners.pop(listener, None)

    def _tell(self) -> None:
        self._is_telling = False
        for listener in list(self._listeners):
            if listener in self._listeners:  # not if one before it has sent it away
                listener()

    def after(self, cursor: int) -> T | None:
        """Return the item next after ``cursor``, or None if it has left the tail or is yet to come."""
        return self._items.get(cursor + 1)

    def items(self) -> Iterable[T]:
        return self._items.values()

    async def past(self, cursor: int) -> None:
        """Wait until ``head`` is past ``cursor``."""
        while self.head <= cursor:
            await self._advanced.wait()
