"""When the sockets of a process are asked for receipts and signs of life: one timer for all of them.

A receipt is asked for after a burst, once nothing has been sent for ``receipt_seconds``, and at the latest
``LONGEST_SECONDS`` after the first message that none was asked for. Where nothing is sent there is a heartbeat.

A receipt costs several times what the delivery of a message does. With more busy sockets than can be asked within that
time, each is asked in its turn, ``ASKED_PER_SECOND``: else a process that serves ten thousand would do little but ask.

Concurrency: one event loop, on which everything here is called; nothing suspends.
Lifecycle: a timer runs while a flow is here, another one while one of them waits to be asked.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from .limits import Pace

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 0.75  # and a tick after that: before a second has passed
LOOKS_PER_HEARTBEAT = 4
ASKED_PER_SECOND = 2_000


class Paced(Protocol):
    """What goes out on one socket."""

    @property
    def sent_bytes(self) -> int:
        """So far."""
        ...

    @property
    def has_unreceipted(self) -> bool:
        """Whether something was sent that no receipt was asked for."""
        ...

    def ping(self) -> None:
        """Ask for a receipt of everything that was sent."""
        ...

    def look(self, now: float) -> None:
        """See whether a heartbeat is due, or the client has been silent for too long."""
        ...

    def fail(self) -> None:
        """End: one of these has raised, which is no other flow's business."""
        ...


class Pacemaker:
    """``pace`` says at which intervals, in seconds."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._asked_per_tick = max(1, round(ASKED_PER_SECOND * pace.receipt_seconds))
        self._flows: set[Paced] = set()
        self._due: dict[Paced, tuple[float, int]] = {}  # since when, and how much had been sent at the last tick
        self._tick_timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None

    def enter(self, flow: Paced) -> None:
        self._flows.add(flow)
        if self._look_timer is None:
            self._look_timer = _after(self._pace.heartbeat_seconds / LOOKS_PER_HEARTBEAT, self._look)

    def leave(self, flow: Paced) -> None:
        self._flows.discard(flow)
        self._due.pop(flow, None)
        if not self._flows:
            for timer in (self._tick_timer, self._look_timer):
                if timer is not None:
                    timer.cancel()
            self._tick_timer = self._look_timer = None

    def await_burst(self, flow: Paced) -> None:
        """Ask ``flow``'s client for a receipt, once what is sent now has been."""
        if flow not in self._due:
            self._due[flow] = (asyncio.get_running_loop().time(), flow.sent_bytes)
            if self._tick_timer is None:
                self._tick_timer = _after(self._pace.receipt_seconds, self._tick)

    def _tick(self) -> None:
        now, left = asyncio.get_running_loop().time(), self._asked_per_tick
        for flow, (since, seen) in list(self._due.items()):  # who has waited longest comes first
            if not left:
                break
            if not flow.has_unreceipted:
                del self._due[flow]
            elif flow.sent_bytes != seen and now - since < LONGEST_SECONDS:
                self._due[flow] = (since, flow.sent_bytes)
            else:
                left -= 1
                del self._due[flow]
                _ask(flow, flow.ping)
        self._tick_timer = _after(self._pace.receipt_seconds, self._tick) if self._due else None

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for flow in list(self._flows):
            _ask(flow, partial(flow.look, now))
        self._look_timer = _after(self._pace.heartbeat_seconds / LOOKS_PER_HEARTBEAT, self._look)


def _ask(flow: Paced, question: Callable[[], None]) -> None:
    try:
        question()
    except Exception:
        logger.exception("A socket could not be asked for a sign of life")
        flow.fail()


def _after(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, call)
