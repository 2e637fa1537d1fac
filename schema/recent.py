"""A memory of bounded size: what was asked for least recently is forgotten first.

Concurrency: none of its own; it is used from one thread at a time.
Dependencies: the standard library.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values of ``max_size`` in all, in whatever unit ``keep`` is told their sizes."""

    def __init__(self, max_size: int) -> None:
        self.size = 0
        self._max_size = max_size
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: K, value: V, size: int) -> None:
        """What is larger than all there may be is not kept, and makes nothing else go."""
        self._forget(key)
        if size > self._max_size:
            return
        self._kept[key] = value, size
        self.size += size
        while self.size > self._max_size:
            self._forget(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _forget(self, key: K) -> None:
        _, size = self._kept.pop(key, (None, 0))
        self.size -= size
