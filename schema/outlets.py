"""How a socket's messages reach the server that it belongs to.

A server that offers the ASGI extension ``salas.frames`` is handed texts, which it puts on the wire at once: no task, no
event and no copy for each. Any other server gets ASGI's own ``websocket.send``, one after the other, from a task that
waits where the server makes it wait. All are texts, whichever frames the client sends: every client reads texts.

Concurrency: one event loop; ``write`` never suspends and may be called from any callback.
Invariants: texts go out in the order in which they were written. What is queued is bounded by the socket's window.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from asgiref.typing import ASGISendCallable

logger = logging.getLogger(__name__)

EXTENSION = "salas.frames"
PINGS = "salas.pings"  # to send pings of the WebSocket's own, and to hear the answers


class Outlet(Protocol):
    """Takes texts of ASCII characters, each a message of its own."""

    def write(self, texts: Sequence[bytes]) -> None: ...

    async def flushed(self) -> None:
        """Wait until the server has everything."""
        ...

    def unsent_bytes(self) -> int:
        """How much of what was written waits here, or in the server, for the network to take it."""
        ...

    def drop(self) -> None:
        """Forget what has not been sent."""
        ...


class DirectOutlet:
    """The server's own ``write``, and its ``unsent_bytes``."""

    __slots__ = ("unsent_bytes", "write")

    def __init__(self, write: Callable[[Sequence[bytes]], None], unsent_bytes: Callable[[], int]) -> None:
        self.write = write
        self.unsent_bytes = unsent_bytes

    async def flushed(self) -> None:
        return

    def drop(self) -> None:
        return


class QueuedOutlet:
    """A queue before ASGI's ``send``, with a task while something is in it."""

    def __init__(self, send: ASGISendCallable) -> None:
        self._send = send
        self._texts: deque[bytes] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._sending_bytes = 0  # of the text that the server is taking

    def write(self, texts: Sequence[bytes]) -> None:
        self._texts.extend(texts)
        if self._sending is None and self._texts:
            self._sending = asyncio.create_task(self._send_all())

    async def flushed(self) -> None:
        if self._sending is not None:
            await asyncio.wait([self._sending])

    def unsent_bytes(self) -> int:
        return self._sending_bytes + sum(map(len, self._texts))

    def drop(self) -> None:
        self._texts.clear()
        if self._sending is not None:
            self._sending.cancel()

    async def _send_all(self) -> None:
        try:
            while self._texts:
                text = self._texts.popleft().decode("ascii")
                self._sending_bytes = len(text)
                await self._send({"type": "websocket.send", "text": text, "bytes": None})
        except Exception as error:  # noqa: BLE001 - whatever the server raises where the client is gone
            logger.debug("Nothing more can be sent: %r", error)
            self._texts.clear()
        finally:
            self._sending = None
            self._sending_bytes = 0


def outlet_of(extensions: dict[str, Any], send: ASGISendCallable) -> Outlet:
    """The best that there is."""
    offered = extensions.get(EXTENSION)
    return QueuedOutlet(send) if offered is None else DirectOutlet(offered["write"], offered["unsent"])
