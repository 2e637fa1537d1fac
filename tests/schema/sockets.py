"""A WebSocket client without a network: it hands events to the transport and takes what the transport sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Literal, cast
from unittest.mock import AsyncMock, patch
from uuid import uuid4

from asgiref.typing import WebSocketScope
from django.core.cache.backends.locmem import LocMemCache

from config.limits import Limits
from rooms.feed import Log
from rooms.hub import Hub
from rooms.identity import Viewer
from schema.census import Census
from schema.identities import Identities
from schema.limits import Pace
from schema.presence import OpenSockets
from schema.receipts import Receipts
from schema.schema import schema
from schema.served import Drain
from schema.transport import PROTOCOL, Transport
from tests.rooms.fakes import FakeBroker, FakeLog

ENOUGH_SECONDS = 10
HOST = "testserver"


class Ended(Exception):
    """The server closed the socket."""


class Socket:
    """The client's end. ``code`` and ``reason`` are those of the server's close, ``hub`` is the server's.

    Like any client it answers pings by itself, unless ``signs_receipts`` is switched off. ``takes`` is what it does
    with what is sent: where it takes nothing more, some servers wait for ever, and some raise once it is gone.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.signs_receipts = True
        self.takes: Literal["all", "nothing", "nothing, and is gone"] = "all"
        self.code: int | None = None
        self.reason = ""
        self.accepted_subprotocol: str | None = None
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_client: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, **message: Any) -> None:
        await self.send_text(json.dumps(message))

    async def send_text(self, text: str) -> None:
        await self._to_server.put({"type": "websocket.receive", "text": text, "bytes": None})

    async def send_bytes(self, data: bytes) -> None:
        await self._to_server.put({"type": "websocket.receive", "text": None, "bytes": data})

    async def receive(self) -> dict[str, Any]:
        """Return the server's next message. Raises Ended once it has closed."""
        event = await asyncio.wait_for(self._to_client.get(), ENOUGH_SECONDS)
        if event["type"] == "websocket.close":
            self.code, self.reason = event["code"], event["reason"]
            raise Ended
        message: dict[str, Any] = json.loads(event["text"])
        if message["type"] == "ping" and self.signs_receipts:
            await self.send(type="pong", payload=message["payload"])
            return await self.receive()
        return message

    async def closed(self) -> int | None:
        """Read to the end and return the close code."""
        try:
            async with asyncio.timeout(ENOUGH_SECONDS):  # of pings there is no end
                while True:
                    await self.receive()
        except Ended:
            return self.code

    async def init(self, payload: Any = None) -> None:
        await self.send(type="connection_init", **({} if payload is None else {"payload": payload}))
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, operation_id: Any, query: str, **variables: Any) -> None:
        await self.send(type="subscribe", id=operation_id, payload={"query": query, "variables": variables})

    async def connect(self) -> None:
        await self._to_server.put({"type": "websocket.connect"})
        event = await asyncio.wait_for(self._to_client.get(), ENOUGH_SECONDS)
        if event["type"] == "websocket.close":
            self.code = event["code"]
            raise Ended
        if event["type"] == "websocket.http.response.start":
            body = await asyncio.wait_for(self._to_client.get(), ENOUGH_SECONDS)
            raise Ended(event["status"], body["body"].decode())
        self.accepted_subprotocol = event["subprotocol"]

    async def leave(self, code: int) -> None:
        await self._to_server.put({"type": "websocket.disconnect", "code": code})

    @property
    def nothing_waits(self) -> bool:
        """Whether everything that the server has sent is received."""
        return self._to_client.empty()

    @property
    def unread(self) -> int:
        """How many frames the server has not taken yet."""
        return self._to_server.qsize()

    async def asgi_receive(self) -> Any:
        return await self._to_server.get()

    async def asgi_send(self, event: Any) -> None:
        if self.takes == "nothing":
            await asyncio.Event().wait()
        elif self.takes == "nothing, and is gone":
            raise OSError("the client has disconnected")
        await self._to_client.put(event)


def recognised(*viewers: Viewer | Exception) -> AbstractContextManager[object]:
    """Within, clients are found to be these, one after the other; the only one again and again."""
    found: Any = {"return_value": viewers[0]} if len(viewers) == 1 else {"side_effect": viewers}
    return patch.object(Identities, "viewer_of", AsyncMock(**found))


@asynccontextmanager
async def opened(
    log: Log | None = None,
    *,
    subprotocols: tuple[str, ...] = (PROTOCOL,),
    headers: dict[str, str] | None = None,
    limits: Limits | None = None,
    pace: Pace | None = None,
    census: Census | None = None,
    client: str | None = None,
    extensions: dict[str, Any] | None = None,
    receipts: Receipts | None = None,
    drain: Drain | None = None,
    sockets: OpenSockets | None = None,
    leave_code: int = 1000,
    broker: FakeBroker | None = None,
) -> AsyncIterator[Socket]:
    """A socket with a transport of its own, which must end with it. ``leave_code`` is how the client leaves."""
    scope = {
        "type": "websocket",
        "subprotocols": subprotocols,
        "headers": [(name.encode(), value.encode()) for name, value in {"host": HOST, **(headers or {})}.items()],
        "client": (client, 1) if client else None,
        "extensions": (extensions or {}) | ({"salas.drain": drain} if drain else {}),
    }
    hub = Hub(log or FakeLog(), broker or FakeBroker())
    remembered = receipts or Receipts(LocMemCache(uuid4().hex, {}))
    transport = Transport(
        schema,
        hub,
        remembered,
        limits or Limits(),
        pace or Pace(),
        census or Census(),
        sockets or OpenSockets(),
    )
    socket = Socket(hub)
    serving = asyncio.create_task(transport(cast("WebSocketScope", scope), socket.asgi_receive, socket.asgi_send))
    try:
        await socket.connect()
        yield socket
    finally:
        await socket.leave(leave_code)
        await asyncio.wait_for(serving, ENOUGH_SECONDS)
        await hub.close()
        if receipts is None:
            await remembered.close()
