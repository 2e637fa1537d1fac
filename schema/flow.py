"""What goes out on one socket: within its window, with a receipt asked for after each burst.

A receipt is a ping of the protocol. A client that never signs one, or says that it can't, is asked by pings of the
WebSocket's own instead, where the server has them: they keep the window open, and confirm no position.

Two kinds of messages: those that can't wait, such as pongs and refusals, and those that do while the window is full.
Of the latter nothing is kept here: who has something to say looks for room first, and is called when there is some.

Concurrency: one event loop; only ``put`` suspends.
Invariants: no more than the window, and what filled it, is in flight, but for what can't wait, which ends
the socket at twice as much. Nothing is asked before the acknowledgement, and nothing sent after ``shut``.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from .closing import BAD_REQUEST, NO_RECEIPT, TOO_MUCH_AT_ONCE, TRY_AGAIN, Closed
from .limits import Pace
from .outlets import Outlet
from .pacemaker import Pacemaker
from .pacing import Positions, Window

NEVER_SECONDS = float("inf")
UNSIGNED_SECONDS = 5.0  # after these a client that has never signed a receipt is asked in the other way

PING = b'{"type":"ping","payload":{"receipt":%d}}'

encode = json.JSONEncoder(separators=(",", ":")).encode


PingFrame = Callable[[bytes], None]


class Asks(Enum):
    """How the client is asked to confirm."""

    BY_MESSAGE = "ping of the protocol"
    BY_FRAME = "ping of the WebSocket's own, until it signs a receipt"
    ONLY_BY_FRAME = "ping of the WebSocket's own"


class Flow:
    """``end`` ends the socket. ``ping_frame`` sends a ping of the WebSocket's own; None where the server has none."""

    def __init__(
        self,
        outlet: Outlet,
        pacemaker: Pacemaker,
        *,
        pace: Pace,
        window_bytes: int,
        silence_seconds: float,
        end: Callable[[Closed], None],
        ping_frame: PingFrame | None = None,
    ) -> None:
        self._outlet = outlet
        self._pacemaker = pacemaker
        self._heartbeat_seconds = pace.heartbeat_seconds
        self._silence_seconds = silence_seconds or NEVER_SECONDS
        self._end = end
        self._ping_frame = ping_frame
        self._asks = Asks.BY_MESSAGE
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

    def _use_room(self) -> None:
        """Let those that wait for room go on."""
        if self._waiting and not self._window.is_full:
            waiting, self._waiting = self._waiting, {}
            for call in waiting:
                call()

    # Receipts

    def acknowledge(self, *, may_ask_by_message: bool) -> None:
        """Say that the connection is acknowledged; from now on the client may be asked, if in one way only.

        Raises Closed for one that this server can't ask.
        """
        if not may_ask_by_message:
            if self._ping_frame is None:
                raise Closed(BAD_REQUEST, "`pings: false` needs a server with pings of its own: manage.py serve")
            self._asks = Asks.ONLY_BY_FRAME
        self.is_acknowledged = True
        self.say({"type": "connection_ack"})
        self._ask_for_receipt()

    def awaits(self, number: int | None) -> bool:
        """Whether a pong answers a ping that waits for it. ``number`` is what it signs, None for nothing."""
        if number is None:
            return self._window.awaits_any(self._handed_over_bytes)
        return self._window.awaits(number)

    def pong(self, number: int) -> Positions:
        """Take a receipt; return what it confirms. Those that wait for room go on."""
        confirmed = self._window.pong(number, self._now())
        if self._asks is Asks.BY_FRAME and self._window.is_signed:
            self._asks = Asks.BY_MESSAGE
            self.ping()
        self._use_room()
        return confirmed

    def unsigned_pong(self) -> None:
        """Take a pong that signs nothing. It shows life, and that what the network took has arrived."""
        self._window.heard_of_oldest(self._handed_over_bytes, self._now())
        self._use_room()

    def frame_pong(self, number: int) -> None:
        """Take the answer to a ping of the WebSocket's own."""
        self._window.heard(number, self._now())
        self._use_room()

    def excuse(self) -> None:
        """Ask nothing of a client whose pongs wait to be read: what the network has taken counts as confirmed.

        Else what waits for the window would wait for a pong, and the pong, among what is not read, for it.
        """
        if self._window.take_for_received(self._handed_over_bytes, self._now()):
            self._use_room()

    @property
    def _handed_over_bytes(self) -> int:
        return max(0, self._window.sent_bytes - self._outlet.unsent_bytes())

    def forget(self, operation_id: str) -> None:
        self._window.forget(operation_id)

    @property
    def sent_bytes(self) -> int:
        return self._window.sent_bytes

    @property
    def has_unreceipted(self) -> bool:
        return self._window.has_unreceipted

    def ping(self) -> None:
        if not self.is_acknowledged:
            return
        if self._asks is Asks.BY_MESSAGE:
            self.say(PING % self._window.ping(self._now()))
        elif self._ping_frame is not None and self._is_open:
            self._ping_frame(b"%d" % self._window.probe(self._now()))

    def look(self, now: float) -> None:
        """Ask for a sign of life where nothing else was asked for, and end a socket that gives none."""
        since = self._window.waiting_since
        if since is None:
            if now - self._window.pinged_at >= self._heartbeat_seconds:
                self.ping()
        elif now - since >= self._silence_seconds:
            self._end(self._silent())
        elif now - since >= UNSIGNED_SECONDS and self._may_change:
            self._asks = Asks.BY_FRAME
            self.ping()

    @property
    def _may_change(self) -> bool:
        return self._asks is Asks.BY_MESSAGE and self._ping_frame is not None and not self._window.is_signed

    def _silent(self) -> Closed:
        if self._ping_frame is None and not self._window.is_answered:
            return Closed(NO_RECEIPT, "No `ping` was answered: send a `pong` for each, as graphql-transport-ws says")
        return Closed(NO_RECEIPT, "Nothing was confirmed for too long: come back")

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
