"""Hints over the Channels layer: "the log of room R has grown to N", and "somebody's access has changed".

Nobody trusts a hint, so the broker may lose some. Hints of one room that wait to be sent are merged into the newest.
Few and small entries go along with a hint, sealed, where other processes listen: a feed to which they are next in line
need not read them. Each process that listens says so now and then.
A change of access goes to every process: it is rare, and may concern sockets that follow nothing.

Concurrency: ``announce`` may be called from any thread; everything else belongs to the event loop that ``attach`` was
called on. One layer channel and one listener for the whole process.
Lifecycle: ``attach`` once the loop runs, then ``listen`` as long as the process follows anything.
Invariants: nothing here raises or blocks for want of a connection.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import BaseChannelLayer, channel_layers

from .feed import Entry
from .hints import (
    ACCESS_GROUP,
    GREETINGS_GROUP,
    AccessChange,
    Growth,
    access_message,
    greeting_message,
    group_of,
    hint_message,
)
from .hub import OnHint

logger = logging.getLogger(__name__)

LAYER_TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 1.0
REFRESH_SECONDS = 10.0
SILENT_SECONDS = 35.0  # after which a process that said that it listens is taken not to
ACCESS_CHANGES_KEPT = 1_000


OnAccess = Callable[[AccessChange], None]
OnOffer = Callable[[int, Sequence[Entry]], None]


class Seal(Protocol):
    """Makes of entries what only a process of this installation can have made, or read."""

    def sealed(self, entries: Sequence[Any]) -> bytes | None:
        """None where they are too much to carry."""
        ...

    def opened(self, room_id: int, sealed: bytes) -> Sequence[Entry]:
        """None of them where they can't be taken for what has just been appended to that room's log."""
        ...


class Broker:
    """The process's end of the layer. What the process itself announces it also hears directly, layer or no layer.

    Without a ``seal`` nothing goes along with hints.
    """

    def __init__(self, layer: BaseChannelLayer, seal: Seal | None = None) -> None:
        self._layer = layer
        self._seal = seal
        self._name = uuid4().hex
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_hint: OnHint | None = None
        self._on_access: OnAccess | None = None
        self._on_offer: OnOffer | None = None
        self._outgoing: dict[int, Growth] = {}
        self._outgoing_access: deque[AccessChange] = deque(maxlen=ACCESS_CHANGES_KEPT)
        self._sending: asyncio.Task[None] | None = None
        self._wanted: set[int] = set()
        self._watched: set[int] = set()
        self._changed = asyncio.Event()
        self._others_heard = -math.inf  # on the loop's clock
        self._is_owed_greeting = False
        self._away = False

    def attach(self, on_hint: OnHint, on_access: OnAccess, on_offer: OnOffer | None = None) -> None:
        """Make the running loop the process's, and the broker the one that ``announce`` goes through.

        ``on_offer``, where there is one, is called instead of ``on_hint`` for entries that are at hand.
        """
        self._loop, self._on_hint, self._on_access = asyncio.get_running_loop(), on_hint, on_access
        self._on_offer = on_offer
        _attached[:] = [self]

    def detach(self) -> None:
        """Let the process announce over connections of its own again."""
        _attached.clear()

    # Telling

    def announce(self, room_id: int, sequence: int, entries: Sequence[Entry] = ()) -> None:
        """Hand the hint to the loop and return at once. Raises RuntimeError where there is no loop, or one closed."""
        self._running_loop().call_soon_threadsafe(self._enqueue, room_id, sequence, entries)

    def announce_access(self, change: AccessChange) -> None:
        """As ``announce``."""
        self._running_loop().call_soon_threadsafe(self._enqueue_access, change)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the broker is not attached to a loop")
        return self._loop

    def _enqueue(self, room_id: int, sequence: int, entries: Sequence[Entry]) -> None:
        if entries and self._on_offer is not None:
            self._on_offer(room_id, entries)
        elif self._on_hint is not None:
            self._on_hint(room_id, sequence)
        growth, waiting = Growth(sequence, entries), self._outgoing.get(room_id)
        self._outgoing[room_id] = growth if waiting is None else waiting.with_later(growth)
        self._send_soon()

    def _enqueue_access(self, change: AccessChange) -> None:
        if self._on_access is not None:
            self._on_access(change)
        self._outgoing_access.append(change)
        self._send_soon()

    def _send_soon(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_outgoing())

    async def _send_outgoing(self) -> None:
        while self._outgoing_access or self._outgoing:
            if self._outgoing_access:
                change = self._outgoing_access.popleft()
                await self._attempt(self._layer.group_send(ACCESS_GROUP, access_message(change)))
                continue
            room_id = next(iter(self._outgoing))
            message = self._message(room_id, self._outgoing.pop(room_id))
            await self._attempt(self._layer.group_send(group_of(room_id), message))

    def _message(self, room_id: int, growth: Growth) -> dict[str, Any]:
        message = hint_message(room_id, growth.sequence)
        if sealed := self._sealed(growth.entries):
            message |= {"from": self._name, "entries": sealed}
        return message

    def _sealed(self, entries: Sequence[Entry]) -> bytes | None:
        """What goes along with a hint: nothing where nobody else listens, or they are many, large or not at hand."""
        if self._seal is None or not entries or not self._has_company():
            return None
        try:
            return self._seal.sealed(entries)
        except Exception:
            logger.exception("Entries could not be sealed; whoever follows reads the log instead")
            return None

    # Listening

    def watch(self, room_id: int) -> None:
        self._wanted.add(room_id)
        self._changed.set()

    def unwatch(self, room_id: int) -> None:
        self._wanted.discard(room_id)
        self._changed.set()

    async def listen(self, on_hint: OnHint) -> None:
        """Hear hints until cancelled; a layer that fails is tried again."""
        while True:
            try:
                async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
                    channel = await self._layer.new_channel()
                await self._listen_on(channel, on_hint)
            except Exception as error:  # noqa: BLE001 - whatever the layer's library raises
                logger.warning("No hints from the channel layer (%r); trying again", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _listen_on(self, channel: str, on_hint: OnHint) -> None:
        self._watched.clear()
        keeping = asyncio.create_task(self._keep_watched(channel, on_hint))
        try:
            while True:
                self._hear(await self._layer.receive(channel), on_hint)
        finally:
            keeping.cancel()

    def _hear(self, message: dict[str, Any], on_hint: OnHint) -> None:
        if message["type"] == "hint":
            if self._on_offer is not None and (entries := self._entries_with(message)):
                self._on_offer(message["room_id"], entries)
            on_hint(message["room_id"], message["sequence"])
        elif message["type"] == "greeting":
            self._note_greeting(message["from"])
        elif message["type"] == "access" and self._on_access is not None:
            self._on_access(AccessChange(message["room_id"], message["version"], message["viewer_key"]))

    def _entries_with(self, message: dict[str, Any]) -> Sequence[Entry]:
        """What goes along with a hint; nothing of what this process has sent itself."""
        if "entries" not in message or message["from"] == self._name or self._seal is None:
            return ()
        return self._seal.opened(message["room_id"], message["entries"])

    def _note_greeting(self, name: str) -> None:
        """Greet back who may not know of this process: it is the first for long."""
        if name != self._name:
            if not self._has_company():
                self._is_owed_greeting = True
                self._changed.set()
            self._others_heard = asyncio.get_running_loop().time()

    def _has_company(self) -> bool:
        """Whether other processes listen, as far as is known. Who does not listen itself does not know."""
        return asyncio.get_running_loop().time() - self._others_heard < SILENT_SECONDS

    async def _greet(self) -> None:
        self._is_owed_greeting = False
        if self._seal is not None:
            await self._attempt(self._layer.group_send(GREETINGS_GROUP, greeting_message(self._name)))

    async def _keep_watched(self, channel: str, on_hint: OnHint) -> None:
        """Keep the layer's groups as wanted: the one place that joins and leaves them, so that no two calls cross."""
        clock = asyncio.get_running_loop().time
        next_refresh = clock()
        while True:
            self._changed.clear()
            if refresh := clock() >= next_refresh:
                next_refresh = clock() + REFRESH_SECONDS
                for group in (ACCESS_GROUP, GREETINGS_GROUP):
                    await self._attempt(self._layer.group_add(group, channel))
            if refresh or self._is_owed_greeting:
                await self._greet()
            for room_id in self._watched - self._wanted:
                if await self._attempt(self._layer.group_discard(group_of(room_id), channel)):
                    self._watched.discard(room_id)
            for room_id in list(self._wanted) if refresh else self._wanted - self._watched:
                await self._join(room_id, channel, on_hint)
            await self._changed_by(next_refresh)

    async def _join(self, room_id: int, channel: str, on_hint: OnHint) -> None:
        """Join a room's group. Joining again does no harm, and mends what the in-memory layer forgets after a day."""
        joined = await self._attempt(self._layer.group_add(group_of(room_id), channel))
        if joined and room_id not in self._watched:
            self._watched.add(room_id)
            on_hint(room_id, None)

    async def _changed_by(self, time: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(time):
                await self._changed.wait()

    async def _attempt(self, work: Awaitable[None]) -> bool:
        """Return whether the layer did it in time. That it is away is said once, and once that it is back."""
        try:
            async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
                await work
        except Exception as error:  # noqa: BLE001 - whatever the layer's library raises
            if not self._away:
                logger.warning("The channel layer is away (%r): what is said is heard by the poll, later", error)
            self._away = True
            return False
        if self._away:
            logger.warning("The channel layer is back")
        self._away = False
        return True


_attached: list[Broker] = []  # the process's broker, once it serves sockets


def announce(*, room_id: int, sequence: int, entries: Sequence[Entry] = ()) -> None:
    """Tell every process that a room's log has grown to ``sequence``, and this one by what: the last of the log, in
    order, as far as they are at hand. To be called after commit.
    """
    if _attached:
        _attached[0].announce(room_id, sequence, entries)
    else:
        _announce_from_outside(group_of(room_id), hint_message(room_id, sequence))


def announce_access(*, room_id: int | None = None, version: int = 0, viewer_key: str | None = None) -> None:
    """Tell every process of an ``AccessChange``. To be called after commit."""
    change = AccessChange(room_id, version, viewer_key)
    if _attached:
        _attached[0].announce_access(change)
    else:
        _announce_from_outside(ACCESS_GROUP, access_message(change))


def _announce_from_outside(group: str, message: dict[str, Any]) -> None:
    """From a process that serves no sockets, such as a management command: over a connection of its own."""

    async def send() -> None:
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
        async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
            await layer.group_send(group, message)

    async_to_sync(send)()
