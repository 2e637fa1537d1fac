"""How many sockets this process has open: in all, from an address, of a viewer.

Concurrency: one event loop; nothing suspends.
Invariants: what a socket's seats have taken is given back when the socket ends, however it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Census:
    """What is counted has a name, such as that of an address."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def seats(self) -> Iterator[Seats]:
        """Those of one socket."""
        seats = Seats(self._counts)
        try:
            yield seats
        finally:
            seats.leave()

    @property
    def names(self) -> set[str]:
        """Of what there is at least one."""
        return set(self._counts)


class Seats:
    """What one socket counts as."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._taken: list[str] = []

    def take(self, name: str, limit: int) -> bool:
        """Count this socket under ``name`` unless ``limit`` are counted there; 0 is no limit."""
        if 0 < limit <= self._counts[name]:
            return False
        self._counts[name] += 1
        self._taken.append(name)
        return True

    def leave(self) -> None:
        while self._taken:
            name = self._taken.pop()
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]
