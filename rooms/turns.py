"""A fair queue for a few places: lanes take turns, and no lane takes all places.

An item waits in a lane, which is named after the viewer it is for; what the process does for everybody waits in
``OWN``. Of the lanes that wait the next is the one whose last turn is longest ago; within a lane the first comes first.
``OWN`` goes before all others: its work is done in batches, so it is little, and everybody waits for it.

Concurrency: none of its own; it is called on one event loop.
Invariants: a lane but ``OWN`` has at most ``share`` places, and all of these together leave ``reserved`` places to it.
Dependencies: the standard library.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

OWN = ""


class Turns(Generic[T]):
    """``places`` items go on at a time. Whoever calls ``begin`` calls ``end`` for what it was given, once."""

    def __init__(self, places: int, *, share: int, reserved: int = 0) -> None:
        self._free = places
        self._free_to_lanes = places - reserved
        self._share = share
        self._begun: dict[str, int] = {}
        self._waiting: dict[str, dict[T, None]] = {}  # lanes in the order of their turns, dicts for ordered sets

    def wait(self, lane: str, item: T) -> None:
        """Put ``item`` at the end of its lane."""
        self._waiting.setdefault(lane, {})[item] = None

    def withdraw(self, lane: str, item: T) -> None:
        """Take ``item`` out of its lane, if it waits there."""
        items = self._waiting.get(lane, {})
        items.pop(item, None)
        if not items:
            self._waiting.pop(lane, None)

    def begin(self) -> T | None:
        """Return the item whose turn it is, and give it a place; None where all that wait have to go on waiting."""
        lane = self._next_lane()
        if lane is None:
            return None
        items = self._waiting.pop(lane)
        item = next(iter(items))
        del items[item]
        if items:
            self._waiting[lane] = items  # at the end
        self._occupy(lane, 1)
        return item

    def end(self, lane: str) -> None:
        """Free the place of an item of ``lane``."""
        self._occupy(lane, -1)

    def _occupy(self, lane: str, places: int) -> None:
        self._free -= places
        if lane == OWN:
            return
        self._free_to_lanes -= places
        self._begun[lane] = self._begun.get(lane, 0) + places
        if not self._begun[lane]:
            del self._begun[lane]

    def _next_lane(self) -> str | None:
        if not self._waiting or not self._free:
            return None
        if OWN in self._waiting:
            return OWN
        if not self._free_to_lanes:
            return None
        return next((lane for lane in self._waiting if self._begun.get(lane, 0) < self._share), None)
