"""Unmodified npm clients whose connections are cut at random bytes miss nothing, without a line of code for it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from rooms.models import Room
from schema.cursors import log_cursor
from tests.people import make_room
from tests.services.proxy import Proxy
from tests.services.salas import Salas

from .client import Client, room_id

FRONTEND = Path(__file__).parents[2] / "frontend"
CLIENTS = ("graphql-ws", "apollo", "urql")
MESSAGES = 300
CUTS = 3
ENOUGH_SECONDS = 60


class Follower:
    """A child process that follows with one of the npm clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.heard: list[int] = []
        self.connections = 0
        self._connected = asyncio.Event()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            if line == b"connected\n":
                self.connections += 1
                self._connected.set()
            else:
                self.heard.append(int(line))

    async def connected(self) -> None:
        await asyncio.wait_for(self._connected.wait(), ENOUGH_SECONDS)

    async def ended(self) -> int | None:
        await asyncio.wait_for(self.reading, ENOUGH_SECONDS)
        return await self.process.wait()


@asynccontextmanager
async def following(client: str, proxy: Proxy, rui: Client, room: Room) -> AsyncIterator[Follower]:
    node = shutil.which("node")
    assert node, "Node is part of what `make test` sets up"
    variables = {
        "SALAS_URL": proxy.graphql_url,
        "TOKEN": rui.token or "",
        "ROOM_ID": room_id(room),
        "AFTER": log_cursor(room.pk, 0),
        "UNTIL": str(MESSAGES),
    }
    process = await asyncio.create_subprocess_exec(
        node,
        "--import",
        "./examples/node-websocket.mjs",
        "tests/follow.mjs",
        client,
        cwd=FRONTEND,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    follower = Follower(process)
    try:
        yield follower
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await follower.reading


async def send_all(ana: Client, room: Room) -> None:
    for number in range(0, MESSAGES, 4):
        await asyncio.gather(*(ana.send(room, f"message {number + each}") for each in range(4)))


async def cut_follower(client: str, servers: list[Salas], rui: Client, room: Room, start: asyncio.Barrier) -> Follower:
    """Follow through a proxy that cuts the first few connections; return once the client has heard the last message."""
    chance = random.Random(client)
    limits = [chance.randrange(2_000, 8_000) for _ in range(CUTS)]
    async with Proxy([server.url for server in servers]) as proxy:
        proxy.cut_at(lambda: limits.pop() if limits else 10**9)
        async with following(client, proxy, rui, room) as follower:
            await follower.connected()
            await start.wait()
            assert await follower.ended() == 0, f"{client} gave up"
            return follower


async def test_clients_that_are_cut_at_random_bytes_miss_nothing(scaled_servers: list[Salas]) -> None:
    room = await scaled_servers[0].acall(make_room)
    start = asyncio.Barrier(len(CLIENTS) + 1)
    async with Client(scaled_servers[0]) as someone, Client(scaled_servers[0]) as other:
        ana, rui = await someone.join(room), await other.join(room, "Rui")
        cut = asyncio.gather(*(cut_follower(client, scaled_servers, rui, room, start) for client in CLIENTS))
        await start.wait()
        await send_all(ana, room)
        followers = await cut
    for follower in followers:
        assert follower.connections == CUTS + 1
        assert sorted(set(follower.heard)) == list(range(1, MESSAGES + 1)), "nothing is lost"
        back = [earlier - later + 1 for earlier, later in pairwise(follower.heard) if later != earlier + 1]
        assert len(back) <= CUTS, "in order, but where it was cut"
        assert all(0 < repeated < 60 for repeated in back), "only what was not confirmed comes again"
