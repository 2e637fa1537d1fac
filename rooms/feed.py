"""The feed of one room: its log, read once and followed by as many readers as like.

The log in the database is the truth. Whoever says that it may have grown gives only a hint: hints may be lost, doubled,
late or reordered, and the feed reads the log either way. What this process itself has appended it offers: where that is
next in line, and everybody is known to have had access when it was appended, it needs no reading; else it is a hint.

Who may read is asked of the log when somebody begins to follow, and again when the room's access has changed: an
entry comes with the version of the access at which it was read, so nothing that was appended after a change is heard
by anyone whom it shuts out, hints or no hints.

There are two ways to read on: ``follow`` is for who wants a task of their own; who reads together with others is
admitted, and then takes from ``tail`` what is there and from ``page_after`` what has left it.

Concurrency: one event loop; one task runs ``run``, any number of readers iterate ``follow``.
Lifecycle: ``run`` ends when it is cancelled; a reader ends when it likes, when it may read no more, or when reading the
log fails for it.
Invariants: every reader gets each entry after its cursor once and in order, as long as it may read.
Dependencies: the standard library and the tail.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

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

    @property
    def access_version(self) -> int:
        """The version of the room's access when the entry was read."""
        ...


class Head(NamedTuple):
    """What a poll finds of a room: the last sequence of its log, the version of its access, and the log's epoch."""

    sequence: int
    access_version: int
    epoch: int = 0


class Log(Protocol):
    """The logs of all rooms. All raise whatever the database raises."""

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[Entry]:
        """The next ``limit`` entries after ``sequence``, in order."""
        ...

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, Head]: ...

    async def refusals(self, room_id: int, readers: Sequence[Any]) -> Sequence[Exception | None]:
        """Why each of ``readers`` may not read the room now, or None where they may."""
        ...


class LogBroken(RuntimeError):
    """The log lacks entries that it had: it was tampered with, or set back to an older state."""


class LogReplaced(RuntimeError):
    """The log belongs to another epoch than the feed: a backup was restored."""


@dataclass(eq=False)
class Follower:
    """Somebody who follows. ``reader`` is what the log knows them by, ``key`` what changes of access name them by.

    ``access_version`` is that of the room at which they were last found to have access. ``on_lost`` is called with the
    reason when they have not any more; it ends the following, and must not suspend.
    """

    reader: Any
    key: str | None
    access_version: int
    on_lost: Callable[[Exception], None]
    refusal: Exception | None = None

    def lose(self, refusal: Exception) -> None:
        self.refusal = refusal
        self.on_lost(refusal)


class Feed:
    """``head`` is the end of the log when the feed began, ``access_version`` that of the room: its tail holds what
    came after. ``epoch`` is that of the log."""

    def __init__(
        self, room_id: int, log: Log, head: int, access_version: int, *, capacity: int, epoch: int = 0
    ) -> None:
        self.room_id = room_id
        self.epoch = epoch
        self.tail: Tail[Entry] = Tail(head, capacity)
        self._log = log
        self._hinted = asyncio.Event()
        self._reading = False
        self._followers: set[Follower] = set()
        self._access = Access(access_version)

    def hint(self, sequence: int | None) -> None:
        """Take note that the log may have grown to ``sequence``; None: that it may have grown."""
        if sequence is None or sequence > self.tail.head:
            self._hinted.set()

    def offer(self, entries: Sequence[Entry]) -> None:
        """Take note of ``entries`` that are in the log by now, one after the other; read them only if need be."""
        if self._may_take(entries):
            self._take(entries)
        else:
            self.hint(entries[-1].sequence)

    def hint_access(self, version: int, key: str | None = None) -> None:
        """Take note that the room's access has reached ``version``, by a change that concerns ``key``; None: anyone."""
        if self._access.announce(version, key):
            self._hinted.set()

    def doubt(self, key: str) -> None:
        """Take note that something may have changed for one reader, though not for the room."""
        if any(follower.key == key for follower in self._followers):
            self._access.doubted.add(key)
            self._hinted.set()

    async def run(self) -> None:
        """Read the log whenever there is a hint. A failing database is tried again, with everyone's place kept."""
        while True:
            await self._hinted.wait()
            self._hinted.clear()  # before reading: a hint that comes meanwhile makes it read again
            self._reading = True
            try:
                await self._require_access(self._access.announced)
                await self._catch_up()
            except Exception:
                logger.exception("The log of room %s could not be read; trying again", self.room_id)
                await asyncio.sleep(RETRY_SECONDS)
                self._hinted.set()
            else:
                self._reading = False

    async def follow(self, cursor: int, head: int, follower: Follower) -> AsyncGenerator[Entry]:
        """Yield each entry after ``cursor``, in order, once, for ever. Raises the refusal of who may read no more.

        Nothing comes before the feed has read up to ``head``: its tail may hold what has been deleted by then.
        """
        with self._registered(follower):
            await self.admit(follower, head)
            while True:
                await self.tail.past(cursor)
                if (entry := self.tail.after(cursor)) is not None:
                    _require_not_lost(follower)
                    yield entry
                    cursor += 1
                    continue
                for entry in await self.page_after(cursor):
                    _require_not_lost(follower)
                    yield entry
                    cursor = entry.sequence

    def end(self, reason: Exception) -> None:
        """End the following of every follower, with ``reason``."""
        while self._followers:
            self._followers.pop().lose(reason)

    def register(self, follower: Follower) -> None:
        """From now on ``follower`` is told when they lose their access."""
        self._followers.add(follower)

    def unregister(self, follower: Follower) -> None:
        self._followers.discard(follower)

    @contextmanager
    def _registered(self, follower: Follower) -> Iterator[None]:
        self.register(follower)
        try:
            yield
        finally:
            self.unregister(follower)

    async def admit(self, follower: Follower, head: int) -> None:
        """Let who is registered read on. From then on they may read, until they are told otherwise.

        Raises the refusal of who may not. Returns once the feed has read up to ``head``, as for ``follow``.
        """
        while self._access.is_in_doubt(follower):
            await self._ask(self._access.version)
        await self.tail.past(head - 1)
        _require_not_lost(follower)

    async def page_after(self, cursor: int, limit: int = PAGE_SIZE) -> Sequence[Entry]:
        """What comes next after ``cursor``, which is not at the head, from the log. Raises what reading it raises."""
        entries = await self._log.after(self.room_id, cursor, limit)
        if not entries or entries[0].sequence != cursor + 1:
            raise LogBroken(f"room {self.room_id}: no entry {cursor + 1} though the log went on to {self.tail.head}")
        await self._require_access(entries[-1].access_version)
        return entries

    async def _catch_up(self) -> None:
        """Read to the end. Where a page is not full, the log ended there: of what came after that there is a hint."""
        is_full = True
        while is_full and (entries := await self._log.after(self.room_id, self.tail.head, PAGE_SIZE)):
            await self._require_access(entries[-1].access_version)
            self._take(entries)
            is_full = len(entries) >= PAGE_SIZE

    def _may_take(self, entries: Sequence[Entry]) -> bool:
        """Not while the log is being read, or is to be read again: that begins at the tail's head, which must stay."""
        if self._reading or entries[0].sequence != self.tail.head + 1:
            return False
        return all(self._access.is_settled_at(entry.access_version) for entry in entries)

    def _take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._refresh_earlier(entry)
            self.tail.append(entry.sequence, entry)

    async def _require_access(self, version: int) -> None:
        """Let nobody stay who may not read the room as of ``version`` of its access.

        Who is admitted has been found to have access at the feed's version, so there is mostly nothing to look through.
        """
        if not self._access.is_settled_at(version):
            await self._ask(version)

    async def _ask(self, version: int) -> None:
        """Ask about everybody of whom it is not known.

        Whoever comes while the log is asked is asked about in the next turn, so at the end everybody was.
        """
        while doubtful := self._access.doubtful(self._followers, version):
            doubted, self._access.doubted = self._access.doubted, set()  # before asking: a doubt may come up meanwhile
            try:
                refusals = await self._log.refusals(self.room_id, [follower.reader for follower in doubtful])
            except BaseException:
                self._access.doubted |= doubted
                raise
            for follower, refusal in zip(doubtful, refusals, strict=True):
                follower.access_version = max(version, follower.access_version)
                if refusal is not None:
                    self._followers.discard(follower)
                    follower.lose(refusal)
        self._access.reach(self._followers, version)

    def _refresh_earlier(self, entry: Entry) -> None:
        """Let earlier entries of the tail show the message as it is now: a replay never shows what was deleted."""
        if entry.is_first_of_message:
            return
        for earlier in self.tail.items():
            if earlier.message_id == entry.message_id:
                earlier.message = entry.message


class Access:
    """What a feed knows of the changes of its room's access.

    ``version`` is what all followers have been found to have access at; ``announced`` is the greatest heard of.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.announced = version
        self.doubted: set[str] = set()
        self._concerned: dict[int, str] = {}

    def announce(self, version: int, key: str | None) -> bool:
        """Return whether that is news."""
        if version <= self.version:
            return False
        self.announced = max(self.announced, version)
        if key is not None:
            self._concerned[version] = key
        return True

    def is_settled_at(self, version: int) -> bool:
        """Whether all followers have been found to have access at just this version, and there is no news since."""
        return version == self.version >= self.announced and not self.doubted

    def doubtful(self, followers: set[Follower], version: int) -> list[Follower]:
        """Who must be asked about: those whom a change concerns, or all, where it isn't known whom each concerned."""
        since = range(self.version + 1, version + 1)
        is_known = all(each in self._concerned for each in since)
        concerned = {self._concerned[each] for each in since} if is_known else set()
        return [
            follower
            for follower in followers
            if follower.key in self.doubted
            or follower.access_version < min(version, self.version)
            or (follower.access_version < version and (not is_known or follower.key in concerned))
        ]

    def is_in_doubt(self, follower: Follower) -> bool:
        """Whether it is to be asked about who has just come, whoever else there is."""
        return follower.refusal is None and (follower.access_version < self.version or follower.key in self.doubted)

    def reach(self, followers: set[Follower], version: int) -> None:
        """Take note that whoever is left has access at ``version``, and nobody is in doubt."""
        self.doubted.clear()
        if version <= self.version:
            return
        for follower in followers:
            follower.access_version = max(version, follower.access_version)
        self.version = version
        self._concerned = {each: key for each, key in self._concerned.items() if each > version}


def _require_not_lost(follower: Follower) -> None:
    if follower.refusal is not None:
        raise follower.refusal
