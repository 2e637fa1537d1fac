"""The feed of one room: its log, read once and followed by as many readers as like.

The log in the database is the truth. Whoever says that it may have grown gives only a hint: hints may be lost, doubled,
late or reordered, and the feed reads the log either way.

Concurrency: one event loop; one task runs ``run``, any number of readers iterate ``follow``.
Lifecycle: ``run`` ends when it is cancelled; a reader ends when it likes, or when reading the log fails for it.
Invariants: every reader gets each entry after its cursor once and in order.
Dependencies: the standard library and the tail.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from .tail import Tail

logger = logging.getLogger(__name__)

PAGE_SIZE = 100
TAIL_CAPACITY = 256
RETRY_SECONDS = 1.0


class Entry(Protocol):
    """What a feed needs to know of an entry. ``message`` is the message as it was when the entry was read."""

    message: Any

    @property
    def sequence(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def message_id(self) -> int: ...

    @property
    def is_first_of_message(self) -> bool: ...


class Log(Protocol):
    """The logs of all rooms. Both raise whatever the database raises."""

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[Entry]:
        """The next ``limit`` entries after ``sequence``, in order."""
        ...

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, int]:
        """The last sequence of each room's log."""
        ...


class LogBroken(RuntimeError):
    """The log lacks entries that it had: it was tampered with, or set back to an older state."""


class Feed:
    """``head`` is the end of the log when the feed began: its tail holds what came after."""

    def __init__(self, room_id: int, log: Log, head: int, *, capacity: int) -> None:
        self.room_id = room_id
        self._log = log
        self._tail: Tail[Entry] = Tail(head, capacity)
        self._hinted = asyncio.Event()

    def hint(self, sequence: int | None) -> None:
        """Take note that the log may have grown to ``sequence``; None: that it may have grown."""
        if sequence is None or sequence > self._tail.head:
            self._hinted.set()

    async def run(self) -> None:
        """Read the log whenever there is a hint. A failing database is tried again, with everyone's place kept."""
        while True:
            await self._hinted.wait()
            self._hinted.clear()  # before reading: a hint that comes meanwhile makes it read again
            try:
                await self._catch_up()
            except Exception:
                logger.exception("The log of room %s could not be read; trying again", self.room_id)
                await asyncio.sleep(RETRY_SECONDS)
                self._hinted.set()

    async def follow(self, cursor: int, head: int = 0) -> AsyncGenerator[Entry]:
        """Yield each entry after ``cursor``, in order, once, for ever.

        Nothing comes before the feed has read up to ``head``: its tail may hold what has been deleted by then.
        """
        await self._tail.past(head - 1)
        while True:
            await self._tail.past(cursor)
            if (entry := self._tail.after(cursor)) is not None:
                yield entry
                cursor += 1
                continue
            for entry in await self._page_after(cursor):
                yield entry
                cursor = entry.sequence

    async def _page_after(self, cursor: int) -> Sequence[Entry]:
        entries = await self._log.after(self.room_id, cursor, PAGE_SIZE)
        if not entries or entries[0].sequence != cursor + 1:
            raise LogBroken(f"room {self.room_id}: no entry {cursor + 1} though the log went on to {self._tail.head}")
        return entries

    async def _catch_up(self) -> None:
        while entries := await self._log.after(self.room_id, self._tail.head, PAGE_SIZE):
            for entry in entries:
                self._refresh_earlier(entry)
                self._tail.append(entry.sequence, entry)

    def _refresh_earlier(self, entry: Entry) -> None:
        """Let earlier entries of the tail show the message as it is now: a replay never shows what was deleted."""
        if entry.is_first_of_message:
            return
        for earlier in self._tail.items():
            if earlier.message_id == entry.message_id:
                earlier.message = entry.message
