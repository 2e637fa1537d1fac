"""graphql-transport-ws as a client that makes no fuss speaks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import websockets

from rooms.models import Room
from schema.transport import PROTOCOL
from tests.end_to_end.client import room_id

OPEN_SECONDS = 5.0
FOLLOW = """
subscription ($roomId: ID!, $after: String) {
  messages(roomId: $roomId, after: $after) { sequence cursor kind message { text idempotencyKey } }
}
"""


class Address(Protocol):
    """Where to find Salas: a server, or a proxy before some."""

    @property
    def graphql_url(self) -> str: ...

    @property
    def websocket_url(self) -> str: ...


@asynccontextmanager
async def connected(address: Address, token: str) -> AsyncIterator[websockets.ClientConnection]:
    """A socket that is acknowledged. Raises what connecting raises, and TimeoutError."""
    async with websockets.connect(
        address.websocket_url,
        subprotocols=[websockets.Subprotocol(PROTOCOL)],
        open_timeout=OPEN_SECONDS,
        close_timeout=1,
        ping_interval=None,
        proxy=None,
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        async with asyncio.timeout(OPEN_SECONDS):
            while json.loads(await socket.recv())["type"] != "connection_ack":
                pass
        yield socket


async def subscribe(socket: websockets.ClientConnection, operation_id: str, room: Room, after: str) -> None:
    payload = {"query": FOLLOW, "variables": {"roomId": room_id(room), "after": after}}
    await socket.send(json.dumps({"type": "subscribe", "id": operation_id, "payload": payload}))


async def next_message(socket: websockets.ClientConnection, keepalive: float) -> dict[str, Any]:
    """The next message; after a silence the server is asked whether it is there. Raises TimeoutError if not."""
    try:
        async with asyncio.timeout(keepalive):
            message: dict[str, Any] = json.loads(await socket.recv())
    except TimeoutError:
        await socket.send(json.dumps({"type": "ping"}))
        async with asyncio.timeout(keepalive):
            message = json.loads(await socket.recv())
    return message
