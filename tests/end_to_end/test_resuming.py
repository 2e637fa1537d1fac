"""Unmodified npm clients whose connections are cut at random bytes miss nothing, without a line of code for it.

With ten lines they hear nothing twice. ``make chaos`` shows the same with a thousand messages.
"""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

from rooms.models import Room
from tests.people import make_room
from tests.services.proxy import Proxy
from tests.services.salas import Salas

from .client import Client
from .npm import RESUMABLE, UNMODIFIED, NpmClient, npm_client

CLIENTS = (*UNMODIFIED, RESUMABLE)
MESSAGES = 300
CUTS = 3
ENOUGH_SECONDS = 60


class Follower:
    """What one of the npm clients heard, and how often it connected."""

    def __init__(self, client: NpmClient) -> None:
        self._client = client
        self.heard: list[int] = []
        self.connections = 0
        self._connected = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for line in self._client.lines():
            if line["type"] == "connected":
                self.connections += 1
                self._connected.set()
            elif line["type"] == "heard":
                self.heard.append(line["sequence"])

    async def connected(self) -> None:
        await asyncio.wait_for(self._connected.wait(), ENOUGH_SECONDS)

    async def ended(self) -> int | None:
        await asyncio.wait_for(self._reading, ENOUGH_SECONDS)
        return await self._client.process.wait()

    @property
    def repeated(self) -> list[int]:
        """How many were heard again each time that it came back, where any were."""
        return [earlier - later + 1 for earlier, later in pairwise(self.heard) if later != earlier + 1]


async def send_all(ana: Client, room: Room) -> None:
    for number in range(0, MESSAGES, 4):
        await asyncio.gather(*(ana.send(room, f"message {number + each}") for each in range(4)))


async def cut_follower(name: str, servers: list[Salas], rui: Client, room: Room, start: asyncio.Barrier) -> Follower:
    """Follow through a proxy that cuts the first few connections; return once the client has heard the last message."""
    chance = random.Random(name)
    limits = [chance.randrange(2_000, 8_000) for _ in range(CUTS)]
    async with Proxy([server.url for server in servers]) as proxy:
        proxy.cut_at(lambda: limits.pop() if limits else 10**9)
        async with npm_client(name, proxy.graphql_url, rui.token or "", room, until=MESSAGES) as client:
            follower = Follower(client)
            await follower.connected()
            await start.wait()
            assert await follower.ended() == 0, f"{name} gave up"
            return follower


async def test_clients_that_are_cut_at_random_bytes_miss_nothing(scaled_servers: list[Salas]) -> None:
    room = await scaled_servers[0].acall(make_room)
    start = asyncio.Barrier(len(CLIENTS) + 1)
    async with Client(scaled_servers[0]) as someone, Client(scaled_servers[0]) as other:
        ana, rui = await someone.join(room), await other.join(room, "Rui")
        cut = asyncio.gather(*(cut_follower(name, scaled_servers, rui, room, start) for name in CLIENTS))
        await start.wait()
        await send_all(ana, room)
        followers = await cut
    for follower in followers:
        assert follower.connections == CUTS + 1
        assert sorted(set(follower.heard)) == list(range(1, MESSAGES + 1)), "nothing is lost"
        assert len(follower.repeated) <= CUTS, "in order, but where it was cut"
        assert all(0 < number < 60 for number in follower.repeated), "only what was not confirmed comes again"
    assert followers[CLIENTS.index(RESUMABLE)].heard == list(range(1, MESSAGES + 1)), "nothing at all comes again"
