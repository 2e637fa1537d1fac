"""Clients that leave before they are answered cost the server no database connection."""

from __future__ import annotations

import asyncio
import json
import random

from schema.cursors import log_cursor
from tests.people import make_room
from tests.plugins.servers import MakeServers
from tests.services.salas import Salas

from .client import SEND, Client, room_id

POOL_SIZE = 3
IMPATIENT = 60


async def send_and_leave(server: Salas, body: bytes, headers: dict[str, str], seconds: float) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    head = "POST /graphql/ HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()
    await asyncio.sleep(seconds)  # how soon they leave is what this is about
    writer.transport.abort()


async def test_impatient_clients_use_up_no_connection(make_servers: MakeServers) -> None:
    (server,) = make_servers(scaled=True, environment={"DATABASE_POOL_SIZE": str(POOL_SIZE)})
    room = await server.acall(make_room)
    chance = random.Random(1)
    async with Client(server) as someone:
        ana = await someone.join(room)
        given = {"roomId": room_id(room), "text": "impatient"}
        body = json.dumps({"query": SEND, "variables": {"input": given}}).encode()
        headers = {"Authorization": f"Bearer {ana.token}"}
        for _ in range(IMPATIENT // 6):
            await asyncio.gather(*(send_and_leave(server, body, headers, chance.uniform(0, 0.05)) for _ in range(6)))
        async with ana.follow(room, after=log_cursor(room.pk, 0)) as following:
            sent = await asyncio.gather(*(ana.send(room, "patient") for _ in range(POOL_SIZE * 3)))
            heard: list[str] = []
            while heard.count("patient") < len(sent):
                heard += await following.texts(1)
    assert len({payload["message"]["sequence"] for payload in sent}) == POOL_SIZE * 3
    assert "I/O operation on closed file" not in server.log
