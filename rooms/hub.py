"""The hub: everything that this process follows, each room through one feed.

Concurrency: one event loop. One task listens for hints, one polls, and each followed room has one that runs its feed.
Each has a context of its own, so that none is done as the viewer that happened to come first.
Lifecycle: the tasks start with ``start``, the first follower at the latest; a feed lives from its first follower to
its last; ``close`` ends all of it.
Invariants: a room has at most one feed, and has one exactly while somebody follows it. Followers of one feed follow one
epoch of the log: where another has begun they are ended with ``LogReplaced``. Nothing waits for the broker: without it
the poll brings what it would have hinted at, later.
Dependencies: the standard library, the feed, a log and a broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from contextvars import Context
from typing import Protocol

from .feed import TAIL_CAPACITY, Entry, Feed, Follower, Head, Log, LogReplaced

logger = logging.getLogger(__name__)

POLL_SECONDS = 3.0


OnHint = Callable[[int, int | None], None]


class Broker(Protocol):
    """Brings hints. It never raises and nobody waits for it: what it loses, the poll finds."""

    async def listen(self, on_hint: OnHint) -> None:
        """Call ``on_hint(room_id, sequence)`` for every hint, until cancelled.

        Once hints for a room begin to arrive, call it with None as the sequence: register first, then look. The other
        order loses what happens between.
        """
        ...

    def watch(self, room_id: int) -> None:
        """Begin to want hints for a room."""
        ...

    def unwatch(self, room_id: int) -> None: ...


class _Followed:
    """A feed, the task that runs it, and how many follow it."""

    def __init__(self, feed: Feed, task: asyncio.Task[None]) -> None:
        self.feed = feed
        self.task = task
        self.followers = 0


class Seat:
    """One follower's place at a room's feed, from ``Hub.enter`` until ``leave``."""

    __slots__ = ("_followed", "_follower", "_hub")

    def __init__(self, hub: Hub, followed: _Followed, follower: Follower) -> None:
        self._hub = hub
        self._followed = followed
        self._follower = follower
        followed.feed.register(follower)

    @property
    def feed(self) -> Feed:
        return self._followed.feed

    async def admitted(self, head: int) -> None:
        """As ``Feed.admit``."""
        await self.feed.admit(self._follower, head)

    def leave(self) -> None:
        """To be called once."""
        self.feed.unregister(self._follower)
        self._hub.leave(self._followed)


class Hub:
    """``sleep`` waits between two polls; tests hand in their own."""

    def __init__(
        self,
        log: Log,
        broker: Broker,
        *,
        poll_seconds: float = POLL_SECONDS,
        tail_capacity: int = TAIL_CAPACITY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._log = log
        self._broker = broker
        self._poll_seconds = poll_seconds
        self._tail_capacity = tail_capacity
        self._sleep = sleep
        self._rooms: dict[int, _Followed] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def follow(
        self, room_id: int, cursor: int, head: int, follower: Follower, epoch: int = 0
    ) -> AsyncGenerator[Entry]:
        """Yield each entry of a room's log after ``cursor``, in order, once, for as long as the follower may read it.

        ``head`` is the end of the log as the caller has just read it, in ``epoch``, and ``cursor`` is not beyond it.
        Raises what reading the log raises; the follower may begin again after the last entry that it got.
        """
        self.start()
        with self._feed(room_id, Head(head, follower.access_version, epoch)) as feed:
            async with aclosing(feed.follow(cursor, head, follower)) as entries:
                async for entry in entries:
                    yield entry

    def enter(self, room_id: int, head: int, follower: Follower, epoch: int = 0) -> Seat:
        """A place at the room's feed, for a follower that reads on by itself once it is admitted. The rest as above."""
        self.start()
        return Seat(self, self._join(room_id, Head(head, follower.access_version, epoch)), follower)

    def hint(self, room_id: int, sequence: int | None) -> None:
        """Take note that a room's log may have grown to ``sequence``; None: that it may have grown."""
        if followed := self._rooms.get(room_id):
            followed.feed.hint(sequence)

    def offer(self, room_id: int, entries: Sequence[Entry]) -> None:
        """Take note that a room's log has grown by ``entries``, which this process has appended and committed."""
        if followed := self._rooms.get(room_id):
            followed.feed.offer(entries)

    def access_changed(self, room_id: int, version: int, key: str | None) -> None:
        """Take note that a room's access has reached ``version``, by a change that concerns ``key``; None: anyone."""
        if followed := self._rooms.get(room_id):
            followed.feed.hint_access(version, key)

    def doubt(self, key: str) -> None:
        """Ask again whether ``key`` may read what they follow: something about them has changed."""
        for followed in self._rooms.values():
            followed.feed.doubt(key)

    async def close(self) -> None:
        """End every task. Who still follows waits until it is cancelled."""
        tasks = [*self._tasks, *(followed.task for followed in self._rooms.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def _feed(self, room_id: int, head: Head) -> Iterator[Feed]:
        followed = self._join(room_id, head)
        try:
            yield followed.feed
        finally:
            self.leave(followed)

    def _join(self, room_id: int, head: Head) -> _Followed:
        self._end_other_epoch(room_id, head)
        followed = self._rooms.get(room_id) or self._open(room_id, head)
        followed.followers += 1
        followed.feed.hint(head.sequence)  # the caller may have read further than the feed
        return followed

    def leave(self, followed: _Followed) -> None:
        followed.followers -= 1
        if followed.followers == 0 and self._rooms.get(followed.feed.room_id) is followed:
            self._shut(followed.feed.room_id, followed)

    def _end_other_epoch(self, room_id: int, head: Head) -> None:
        """End the following of a room whose log has been replaced by that of another epoch."""
        followed = self._rooms.get(room_id)
        if followed is not None and followed.feed.epoch != head.epoch:
            self._shut(room_id, followed)
            followed.feed.end(LogReplaced(f"room {room_id}: a backup was restored, and another epoch has begun"))

    def _open(self, room_id: int, head: Head) -> _Followed:
        feed = Feed(
            room_id, self._log, head.sequence, head.access_version, capacity=self._tail_capacity, epoch=head.epoch
        )
        followed = self._rooms[room_id] = _Followed(feed, asyncio.create_task(feed.run(), context=Context()))
        self._broker.watch(room_id)
        return followed

    def _shut(self, room_id: int, followed: _Followed) -> None:
        self._broker.unwatch(room_id)
        followed.task.cancel()
        del self._rooms[room_id]

    def start(self) -> None:
        """Begin to hear, if that has not begun. To be called on the loop."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(work, context=Context()) for work in (self._broker.listen(self.hint), self._poll())
            ]

    async def _poll(self) -> None:
        while True:
            await self._sleep(self._poll_seconds)
            try:
                await self._look()
            except Exception:
                logger.exception("The heads of the followed rooms could not be read; trying again")

    async def _look(self) -> None:
        """One query for all rooms, which says what a lost hint would have said."""
        if self._rooms:
            for room_id, head in (await self._log.heads(list(self._rooms))).items():
                self._end_other_epoch(room_id, head)
                self.hint(room_id, head.sequence)
                self.access_changed(room_id, head.access_version, None)
