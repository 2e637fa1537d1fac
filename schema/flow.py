"""What goes out on one socket: within its window, with a receipt asked for after each burst.

Two kinds of messages: those that can't wait, such as pongs and refusals, and those that do while the window is full.
Of the latter nothing is kept here: who has something to say looks for room first, and is called when there is some.

Concurrency: one event loop; only ``put`` suspends.
Invariants: no more than the window, and what filled it, is in flight, but for what can't wait, which ends
the socket at twice as much. After ``shut`` nothing is sent.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from .closing import NO_RECEIPT, TOO_MUCH_AT_ONCE, TRY_AGAIN, Closed
from .limits import Pace
from .outlets import Outlet
from .pacemaker import Pacemaker
from .pacing import Positions, Window

NEVER_SECONDS = float("inf")

PING = b'{"type":"ping","payload":{"receipt":%d}}'

encode = json.JSONEncoder(separators=(",", ":")).encode


class Flow:
    """``end`` ends the socket. ``is_acknowledged``: whether the client may be asked for signs of life."""

    def __init__(
        self,
        outlet: Outlet,
        pacemaker: Pacemaker,
        *,
        pace: Pace,
        window_bytes: int,
        silence_seconds: float,
        end: Callable[[Closed], None],
    ) -> None:
        self._outlet = outlet
        self._pacemaker = pacemaker
        self._heartbeat_seconds = pace.heartbeat_seconds
        self._silence_seconds = silence_seconds or NEVER_SECONDS
        self._end = end
        self._now = asyncio.get_running_loop().time
        self._window = Window(window_bytes, self._now())
        self._waiting: dict[Callable[[], None], None] = {}
        self._is_open = True
        self.is_acknowledged = False
        pacemaker.enter(self)

    # What is sent

    def say(self, *messages: dict[str, Any] | bytes) -> int:
        """Send messages that count as nothing, such as an acknowledgement; return their size in bytes."""
        texts = [each if isinstance(each, bytes) else encoded(each) for each in messages]
        if self._is_open:
            self._outlet.write(texts)
        return sum(map(len, texts))

    def reply(self, message: dict[str, Any]) -> None:
        """Send what can't wait for room. Raises Closed for who goes on asking for it and confirms nothing."""
        self._window.sent(self.say(message))
        if self._window.is_overrun:
            raise Closed(TOO_MUCH_AT_ONCE, "Too much was asked for and not confirmed: come back")
        self._ask_for_receipt()

    async def put(
        self, *messages: dict[str, Any] | bytes, operation_id: str | None = None, position: int | None = None
    ) -> None:
        """Send messages, which may be encoded already, once there is room for the first.

        ``position`` is where they bring the client of a subscription.
        """
        await self.room()
        self._window.sent(self.say(*messages), operation_id, position)
        self._ask_for_receipt()

    def write(self, texts: Sequence[bytes]) -> None:
        """Send what was counted as ``sent`` already."""
        if self._is_open:
            self._outlet.write(texts)
        self._ask_for_receipt()

    def sent(self, size: int, operation_id: str, position: int) -> None:
        """Count a message that ``write`` is about to send."""
        self._window.sent(size, operation_id, position)

    # Room

    @property
    def has_room(self) -> bool:
        return not self._window.is_full

    async def room(self) -> None:
        while self._window.is_full:
            confirmed = asyncio.get_running_loop().create_future()
            wake = _waker(confirmed)
            self.call_with_room(wake)
            try:
                await confirmed
            finally:
                self.uncall(wake)

    def call_with_room(self, call: Callable[[], None]) -> None:
        """Call it once, when the client has confirmed something. It may find that there is still no room."""
        self._waiting[call] = None

    def uncall(self, call: Callable[[], None]) -> None:
        self._waiting.pop(call, None)

    # Receipts

    def awaits(self, number: int | None) -> bool:
        return self._window.awaits(number)

    def pong(self, number: int | None) -> Positions:
        """Take a receipt; return what it confirms. Who waits for room goes on."""
        confirmed = self._window.pong(number, self._now())
        if self.has_room and self._waiting:
            waiting, self._waiting = self._waiting, {}
            for call in waiting:
                call()
        return confirmed

    def forget(self, operation_id: str) -> None:
        self._window.forget(operation_id)

    @property
    def sent_bytes(self) -> int:
        return self._window.sent_bytes

    @property
    def has_unreceipted(self) -> bool:
        return self._window.has_unreceipted

    def ping(self) -> None:
        self.say(PING % self._window.ping(self._now()))

    def look(self, now: float) -> None:
        """Ask for a sign of life where nothing else was asked for, and end a socket that gives none."""
        since = self._window.waiting_since
        if since is not None:
            if now - since >= self._silence_seconds:
                self._end(Closed(NO_RECEIPT, "Nothing was confirmed for too long: come back"))
        elif self.is_acknowledged and now - self._window.pinged_at >= self._heartbeat_seconds:
            self.ping()

    def fail(self) -> None:
        self._end(Closed(TRY_AGAIN, "Internal error"))

    def _ask_for_receipt(self) -> None:
        if self._window.wants_receipt_now:
            self.ping()
        elif self._window.has_unreceipted:
            self._pacemaker.await_burst(self)

    # Its end

    def shut(self) -> None:
        self._is_open = False

    async def flushed(self) -> None:
        await self._outlet.flushed()

    def leave(self) -> None:
        self._is_open = False
        self._outlet.drop()
        self._pacemaker.leave(self)


def encoded(message: dict[str, Any]) -> bytes:
    """A message of the protocol as it goes over the wire: compact JSON, in ASCII."""
    return encode(message).encode("ascii")


def _waker(future: asyncio.Future[None]) -> Callable[[], None]:
    def wake() -> None:
        if not future.done():
            future.set_result(None)

    return wake
