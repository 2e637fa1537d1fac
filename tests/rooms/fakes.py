"""A log and a broker in memory, for tests that decide what happens when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rooms.feed import Follower, Head
from rooms.hub import OnHint


async def at_once() -> None:
    """What a log waits for when the test does not care."""


@dataclass
class FakeEntry:
    sequence: int
    message_id: int
    message: Any = None
    is_first_of_message: bool = True
    kind: str = "SENT"
    access_version: int = 0


def anyone(key: str | None = None, access_version: int = 0) -> Follower:
    """Somebody whom nothing happens to, unless the log says so."""
    return Follower(key, key, access_version, lambda _: None)


class FakeLog:
    """The log of any room, all rooms sharing one list, read with messages as they are now.

    ``pause`` is awaited before and after each read.
    """

    def __init__(self, pause: Callable[[], Any] = at_once) -> None:
        self.entries: list[FakeEntry] = []
        self.messages: dict[int, Any] = {}
        self.access_version = 0
        self.epoch = 0
        self.shut_out: set[Any] = set()
        self.asked: list[list[Any]] = []
        self.pause = pause
        self.reads = 0
        self.failures = 0

    @property
    def head(self) -> int:
        return len(self.entries)

    def append(self, message_id: int | None = None, message: Any = None) -> int:
        """Add an entry about a new message, or about the one with ``message_id``; return its sequence."""
        is_first = message_id is None
        sequence = self.head + 1
        self.entries.append(FakeEntry(sequence, message_id or sequence, is_first_of_message=is_first))
        self.messages[message_id or sequence] = message
        return sequence

    def written(self, *sequences: int) -> list[FakeEntry]:
        """Entries as whoever has just appended them has them at hand."""
        return [self._as_of_now(self.entries[sequence - 1]) for sequence in sequences]

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[FakeEntry]:
        self.reads += 1
        await self.pause()
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        found = [self._as_of_now(entry) for entry in self.entries[sequence : sequence + limit]]
        await self.pause()
        return found

    def _as_of_now(self, entry: FakeEntry) -> FakeEntry:
        return replace(entry, message=self.messages[entry.message_id], access_version=self.access_version)

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, Head]:
        await self.pause()
        head = Head(self.head, self.access_version, self.epoch)
        await self.pause()
        return dict.fromkeys(room_ids, head)

    def shut(self, reader: Any) -> int:
        """Take a reader's access, and return the version of the room's access from then on."""
        self.shut_out.add(reader)
        self.access_version += 1
        return self.access_version

    async def refusals(self, room_id: int, readers: Sequence[Any]) -> Sequence[Exception | None]:
        self.asked.append(list(readers))
        await self.pause()
        found = [PermissionError(reader) if reader in self.shut_out else None for reader in readers]
        await self.pause()
        return found


class FakeBroker:
    """Hands over the hints that the test hands to it."""

    def __init__(self) -> None:
        self.watched: set[int] = set()
        self.on_hint: OnHint | None = None

    async def listen(self, on_hint: OnHint) -> None:
        self.on_hint = on_hint
        await asyncio.Event().wait()

    def watch(self, room_id: int) -> None:
        self.watched.add(room_id)

    def unwatch(self, room_id: int) -> None:
        self.watched.discard(room_id)

    def deliver(self, room_id: int, sequence: int | None) -> None:
        if self.on_hint is not None:
            self.on_hint(room_id, sequence)


class FakeClock:
    """A ``sleep`` that ends when the test says that the time is up."""

    def __init__(self) -> None:
        self._tick = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self._tick.wait()

    def tick(self) -> None:
        self._tick.set()
        self._tick = asyncio.Event()


async def run_loop(steps: int) -> None:
    """Let every task that can go on go on, that many times."""
    for _ in range(steps):
        await asyncio.sleep(0)
