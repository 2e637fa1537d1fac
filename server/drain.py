"""How a serving process ends in order: what its applications are told, and what happens when.

A drain takes no new connections, lets requests be answered, and sends the sockets elsewhere: not all at once, so that
the other servers are not overrun by those who come back. It works with any ASGI application. One that knows the
extension ``salas.drain`` closes its sockets itself, when they are ready for it; for others the server closes them.

Concurrency: one event loop; ``drain`` runs once.
Invariants: no application is cancelled before it has been told, by ``websocket.disconnect`` or ``http.disconnect``, and
has had time to end. When the time is over the process ends, whatever is left.
Dependencies: the standard library; the connections are behind ``Draining``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

EXTENSION = "salas.drain"
SERVICE_RESTART = 1012
REASON = "Service restart: come back"

LOOK_SECONDS = 0.02
IDLE_SECONDS = 0.5
EXIT_SECONDS = 1.5
KILL_SECONDS = 0.3


class Offer(TypedDict):
    """The ASGI extension of a WebSocket scope. Wait for ``began``, then for the delay, then close with 1012.

    ``delay_seconds`` differs from socket to socket. Who neither waits for ``began`` nor asks it to call is closed by
    the server.
    """

    began: Notice
    delay_seconds: float


@dataclass(frozen=True)
class Timetable:
    """When what happens, in seconds from the beginning of a drain; earlier where nothing is left to wait for."""

    spread: float  # the delays of the sockets lie between 0 and here
    close: float  # the server closes the sockets that are still open
    cut: float  # connections are dropped
    end: float  # applications are cancelled
    exit: float  # the process ends by itself
    kill: float  # the system kills the process

    @classmethod
    def within(cls, seconds: float, spread: float) -> Timetable:
        """Raises ValueError where that leaves no time between the last delay and the end."""
        ours = seconds - EXIT_SECONDS
        table = cls(spread, 0.84 * ours, 0.92 * ours, 0.97 * ours, ours, seconds - KILL_SECONDS)
        if not 0 <= spread < table.close:
            raise ValueError(f"in {seconds:g} seconds the sockets can't be sent away over {spread:g}")
        return table

    def offer(self) -> tuple[Notice, Offer]:
        """Draw what one socket's application is offered."""
        notice = Notice()
        delay_seconds = random.uniform(0, self.spread)  # noqa: S311  # nobody gains by guessing it
        return notice, {"began": notice, "delay_seconds": delay_seconds}


class Notice:
    """One socket's ``began``, which knows whether the application has ever asked for it."""

    __slots__ = ("_calls", "_is_set", "is_heeded")

    def __init__(self) -> None:
        self.is_heeded = False
        self._is_set = False
        self._calls: list[Callable[[], None]] = []

    def set(self) -> None:
        """Tell all who have asked, in the next turn of the loop."""
        self._is_set = True
        calls, self._calls = self._calls, []
        for call in calls:
            asyncio.get_running_loop().call_soon(call)

    def call(self, call: Callable[[], None]) -> None:
        """Call it once, when it has begun: no task need wait for that."""
        self.is_heeded = True
        self._calls.append(call)
        if self._is_set:
            self.set()

    async def wait(self) -> Literal[True]:
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call(lambda: None if begun.done() else begun.set_result(None))
        await begun
        return True


class Draining(Protocol):
    """What a drain needs of a server. Nothing here waits."""

    def stop_accepting(self) -> None:
        """Take no new connections, answer each request as its connection's last, tell the sockets' applications."""

    def is_busy(self) -> bool:
        """Whether a request is not answered, a socket is not closed or an application runs."""
        ...

    def is_connected(self) -> bool:
        """Whether a connection is open, be it idle."""
        ...

    def close_connections(self) -> None:
        """Close every socket with 1012, and every idle connection, once what is to be written to it has been."""

    def cut_connections(self) -> None:
        """Drop every connection, and tell its application."""


async def drain(
    server: Draining,
    timetable: Timetable,
    *,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Empty ``server``, as far as that goes in time. Idle connections stay a moment: a request may be on its way."""
    began = now()

    def is_idle() -> bool:
        return not server.is_busy() and (now() - began >= IDLE_SECONDS or not server.is_connected())

    def is_empty() -> bool:
        return not server.is_busy() and not server.is_connected()

    async def until(condition: Callable[[], bool], seconds: float) -> None:
        while not condition():
            await sleep(LOOK_SECONDS)  # at least once, so that what was told is heard
            if now() - began >= seconds:
                return

    server.stop_accepting()
    await until(is_idle, timetable.close)
    server.close_connections()
    await until(is_empty, timetable.cut)
    server.cut_connections()
    await until(is_empty, timetable.end)
