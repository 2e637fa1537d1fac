"""Identical subscriptions of one room share what they are sent: each entry becomes JSON once, whoever hears it.

Identical are those whose document is compiled to the same ``Projection``: same text, operation and switches. That
leaves nothing that could depend on the viewer; who may follow at all was decided before, one by one.

A member is a cursor. When the feed has something new all who wait at its head are called in one pass, and each takes
what comes after its cursor as long as its socket has room. Who has none is called when its client has confirmed
something, and who is too far behind for the tail reads the log by a task of its own until it has caught up.

Concurrency: one event loop. Nothing suspends but the replay. A pass goes on in the next turn after ``AT_ONCE`` members,
so that a large room does not hold up the process.
Lifecycle: a cohort lives from its first member to its last.
Invariants: a member is sent each entry after its cursor once and in order, and nothing after it has left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, Protocol

from rooms.feed import Entry, Feed

logger = logging.getLogger(__name__)

AT_ONCE = 500
SMALLEST_PAGE = 50
LARGEST_PAGE = 400

Show = Callable[[Entry], bytes]
Key = tuple[Any, ...]


class Outgoing(Protocol):
    """The part of a ``Flow`` that a member needs."""

    @property
    def has_room(self) -> bool: ...

    def sent(self, size: int, operation_id: str, position: int) -> None: ...

    def write(self, texts: list[bytes]) -> None: ...

    def call_with_room(self, call: Callable[[], None]) -> None: ...

    def uncall(self, call: Callable[[], None]) -> None: ...

    async def room(self) -> None: ...


class Cohort:
    """``show`` makes the payload of ``next`` from an entry: JSON, in ASCII."""

    def __init__(self, feed: Feed, show: Show, on_empty: Callable[[], None]) -> None:
        self.feed = feed
        self.size = 0
        self._show = show
        self._on_empty = on_empty
        self._texts: dict[int, tuple[Any, bytes]] = {}
        self._waiting: dict[Member, None] = {}
        self._called: deque[Member] = deque()
        feed.tail.listen(self._tell)

    def enter(self) -> None:
        self.size += 1

    def leave(self, member: Member) -> None:
        self._waiting.pop(member, None)
        self.size -= 1
        if not self.size:
            self.feed.tail.unlisten(self._tell)
            self._on_empty()

    def wait(self, member: Member) -> None:
        """Call ``member`` when there is something new."""
        self._waiting[member] = None

    def text_after(self, cursor: int) -> bytes | None:
        """The payload of what comes next, or None where it is not in the tail."""
        entry = self.feed.tail.after(cursor)
        return None if entry is None else self.text_of(entry)

    def text_of(self, entry: Entry) -> bytes:
        """Made once for each entry of the tail, and again when its message was changed: it shows it as it is now."""
        message, text = self._texts.get(entry.sequence, (None, b""))
        if not text or message is not entry.message:
            text = self._show(entry)
            if self.feed.tail.after(entry.sequence - 1) is entry:
                self._texts[entry.sequence] = (entry.message, text)
                self._texts.pop(entry.sequence - self.feed.tail.capacity, None)
        return text

    def _tell(self) -> None:
        is_telling = bool(self._called)
        self._called.extend(self._waiting)
        self._waiting = {}
        if not is_telling:
            self._call()

    def _call(self) -> None:
        for _ in range(min(AT_ONCE, len(self._called))):
            self._called.popleft().go_on()
        if self._called:
            asyncio.get_running_loop().call_soon(self._call)


class Member:
    """One subscription, from ``cursor`` on. ``prefix`` is what stands before the payload in its messages.

    ``fail`` is called with what reading the log raised; then it has ended.
    """

    __slots__ = (
        "_cohort",
        "_context",
        "_cursor",
        "_fail",
        "_flow",
        "_has_left",
        "_operation_id",
        "_prefix",
        "_replaying",
    )

    def __init__(
        self,
        cohort: Cohort,
        flow: Outgoing,
        operation_id: str,
        prefix: bytes,
        cursor: int,
        fail: Callable[[Exception], None],
    ) -> None:
        self._cohort = cohort
        self._context = copy_context()  # what it reads of the log is for its own viewer, whatever made it read on
        self._flow = flow
        self._operation_id = operation_id
        self._prefix = prefix
        self._cursor = cursor
        self._fail = fail
        self._has_left = False
        self._replaying: asyncio.Task[None] | None = None
        cohort.enter()

    def leave(self) -> None:
        """Hear nothing more. To be called once."""
        self._has_left = True
        self._flow.uncall(self.go_on)
        self._cohort.leave(self)
        if self._replaying is not None:
            self._replaying.cancel()

    def go_on(self) -> None:
        """Send what there is and there is room for, and see to it that this is called again."""
        if self._has_left or self._replaying is not None:
            return
        texts: list[bytes] = []
        try:
            while (has_room := self._flow.has_room) and (text := self._cohort.text_after(self._cursor)) is not None:
                self._take(text, texts)
            if texts:
                self._flow.write(texts)
        except Exception as error:  # noqa: BLE001 - it ends this member, and no other one's turn
            self._fail(error)
            return
        if not has_room:
            self._flow.call_with_room(self.go_on)
        elif self._cursor >= self._cohort.feed.tail.head:
            self._cohort.wait(self)
        else:
            self._replaying = asyncio.create_task(self._replay(), context=self._context)

    def _take(self, text: bytes, texts: list[bytes]) -> None:
        message = b"%b%b}" % (self._prefix, text)
        self._cursor += 1
        self._flow.sent(len(message), self._operation_id, self._cursor)
        texts.append(message)

    async def _replay(self) -> None:
        """Read the log, page by page, until the tail has what comes next.

        Nothing is kept while there is no room: what was read may have been deleted by then. So the pages grow and
        shrink with what there was room for.
        """
        feed, limit = self._cohort.feed, SMALLEST_PAGE
        try:
            while self._cursor < feed.tail.head and feed.tail.after(self._cursor) is None:
                sent = self._send_of(await feed.page_after(self._cursor, limit))
                limit = min(max(2 * sent, SMALLEST_PAGE), LARGEST_PAGE)
                await self._flow.room()
        except Exception as error:  # noqa: BLE001 - it is the socket's to tell
            self._replaying = None
            if not self._has_left:
                self._fail(error)
            return
        self._replaying = None
        self.go_on()

    def _send_of(self, entries: Sequence[Entry]) -> int:
        """Send of ``entries`` as many as there is room for; return how many. None to who has just lost their access."""
        texts: list[bytes] = []
        for entry in entries:
            if self._has_left or not self._flow.has_room:
                break
            self._take(self._cohort.text_of(entry), texts)
        if texts:
            self._flow.write(texts)
        return len(texts)


class Cohorts:
    """Those of a process."""

    def __init__(self) -> None:
        self._cohorts: dict[tuple[Feed, Key], Cohort] = {}

    def of(self, feed: Feed, key: Key, show: Show) -> Cohort:
        """The cohort of what ``key`` names. Enter it before anything else happens: an empty one is forgotten."""
        found = self._cohorts.get((feed, key))
        if found is None:
            found = self._cohorts[feed, key] = Cohort(feed, show, lambda: self._forget(feed, key))
        return found

    def __len__(self) -> int:
        return len(self._cohorts)

    def _forget(self, feed: Feed, key: Key) -> None:
        del self._cohorts[feed, key]
