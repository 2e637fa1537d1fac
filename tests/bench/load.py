"""The load: people who send, and people who follow and check what they hear."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rooms.models import Room
from tests.end_to_end.client import Client, Subscription
from tests.people import make_room
from tests.services.salas import Salas

SENDERS = 8
SENDS = 400
FOLLOWERS = 100
FOLLOWED_SENDS = 200


@dataclass(frozen=True)
class Round:
    """Rates are per second; ``cpu_per_delivery`` is the server's, in microseconds; ``wrong`` counts what was lost,
    repeated or out of order."""

    sends: float
    deliveries: float
    cpu_per_delivery: float
    wrong: int


async def measured(server: Salas) -> Round:
    """Measure one round, in rooms of its own."""
    quiet, followed = await server.acall(make_room), await server.acall(make_room)
    async with Client(server) as someone:
        sender = await (await someone.join(quiet)).join(followed)
        begun = perf_counter()
        await send_all(sender, quiet, SENDS)
        sends = SENDS / (perf_counter() - begun)
        async with AsyncExitStack() as stack:
            followers = [await stack.enter_async_context(sender.follow(followed)) for _ in range(FOLLOWERS)]
            begun, cpu = perf_counter(), cpu_seconds(server)
            hearing = asyncio.gather(*(wrong_among(follower) for follower in followers))
            await send_all(sender, followed, FOLLOWED_SENDS)
            wrong = sum(await hearing)
            seconds, cpu = perf_counter() - begun, cpu_seconds(server) - cpu
    deliveries = FOLLOWERS * FOLLOWED_SENDS
    return Round(sends, deliveries / seconds, 1e6 * cpu / deliveries, wrong)


async def send_all(sender: Client, room: Room, number: int) -> None:
    async def send_some() -> None:
        for _ in range(number // SENDERS):
            await sender.send(room, "a message of about as many characters as people type")

    await asyncio.gather(*(send_some() for _ in range(SENDERS)))


async def wrong_among(follower: Subscription) -> int:
    heard = [event["sequence"] for event in await follower.events(FOLLOWED_SENDS)]
    return sum(got != wanted for got, wanted in zip(heard, range(1, FOLLOWED_SENDS + 1), strict=True))


def cpu_seconds(server: Salas) -> float:
    """Processor time of the server so far, user and system (proc(5))."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
