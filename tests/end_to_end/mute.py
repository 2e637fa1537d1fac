"""Followers that never read, and a room whose log is more than what may be on the way to them."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import websockets
from django.db import transaction

from rooms.models import Room
from schema.cursors import log_cursor
from schema.transport import PROTOCOL
from tests.people import make_guest, make_room, send
from tests.services.salas import Salas

from .client import room_id

MESSAGES = 250
COPIES = 10
FOLLOW = (
    "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { sequence "
    + " ".join(f"copy{number}: message {{ text }}" for number in range(COPIES))
    + " } }"
)


def room_with_much_to_say() -> Room:
    room = make_room()
    rui = make_guest(room, "Rui")
    with transaction.atomic():
        for _ in range(MESSAGES):
            send(rui, room, "x" * 4000)
    return room


@asynccontextmanager
async def mute_follower(server: Salas, room: Room) -> AsyncIterator[None]:
    """Somebody who follows from the beginning of the log, over a socket with small buffers that nobody reads."""
    address = urlsplit(server.websocket_url)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect((address.hostname, address.port))
    subprotocols = [websockets.Subprotocol(PROTOCOL)]
    async with websockets.connect(
        server.websocket_url, sock=plain, subprotocols=subprotocols, max_queue=1, close_timeout=0
    ) as connection:
        await connection.send(json.dumps({"type": "connection_init"}))
        await connection.recv()
        variables = {"roomId": room_id(room), "after": log_cursor(room.pk, 0)}
        await connection.send(
            json.dumps({"type": "subscribe", "id": "1", "payload": {"query": FOLLOW, "variables": variables}})
        )
        yield
        connection.transport.abort()


def resident_bytes(server: Salas) -> int:
    """Memory of the server's process (proc(5), statm)."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * 4096
