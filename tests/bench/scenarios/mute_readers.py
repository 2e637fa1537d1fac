"""A thousand followers of one room, of which ten never read: what do these cost the others, and the server?

In turn, in the same run, without and with the ten. Few messages, so that neither the server nor this process is
saturated: a latency is then what the server takes, and not how long somebody waited for the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import perf_counter

from rooms.models import Room
from tests.end_to_end.client import Client, Subscription
from tests.end_to_end.mute import mute_follower, resident_bytes, room_with_much_to_say
from tests.services.salas import Salas

READERS = 990
MUTE = 10
ROUNDS = 3
MESSAGES = 8
PAUSE_SECONDS = 1.5
AT_ONCE = 20
MIB = 1024 * 1024


@dataclass
class Latencies:
    """Milliseconds from sending to hearing, of every message and reader. ``growth`` is the server's memory, MiB."""

    values: list[float] = field(default_factory=list)
    growth: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def p99(self) -> float:
        return quantiles(self.values, n=100)[98]


class Readers:
    """They hear one message after the other, each once all have heard the one before."""

    def __init__(self, someone: Client, room: Room) -> None:
        self._someone = someone
        self._room = room
        self._sent_at = 0.0
        self._values: list[float] = []
        self._all_heard = asyncio.Event()

    async def read(self, subscription: Subscription) -> None:
        while True:
            await subscription.event()
            self._values.append(1000 * (perf_counter() - self._sent_at))
            if len(self._values) == READERS:
                self._all_heard.set()

    async def latencies(self) -> list[float]:
        """Of one message, sent now."""
        self._values, self._sent_at = [], perf_counter()
        self._all_heard.clear()
        await self._someone.send(self._room, "a message of about as many characters as people type")
        await self._all_heard.wait()
        return self._values


async def measured(server: Salas) -> tuple[Latencies, Latencies]:
    """Without and with those who never read."""
    room = await server.acall(room_with_much_to_say)
    alone, beside = Latencies(), Latencies()
    async with Client(server) as someone:
        readers = Readers(await someone.join(room), room)
        async with following(someone, room, readers):
            for _ in range(ROUNDS):
                await measure(readers, alone)
                async with AsyncExitStack() as stack:
                    before = resident_bytes(server)
                    for _ in range(MUTE):
                        await stack.enter_async_context(mute_follower(server, room))
                    await measure(readers, beside)
                    beside.growth.append((resident_bytes(server) - before) / MIB)
    return alone, beside


@asynccontextmanager
async def following(someone: Client, room: Room, readers: Readers) -> AsyncIterator[None]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def follow(stack: AsyncExitStack) -> Subscription:
        async with turn:
            return await stack.enter_async_context(someone.follow(room))

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        subscriptions = await asyncio.gather(*(follow(stack) for _ in range(READERS)))
        reading = [group.create_task(readers.read(subscription)) for subscription in subscriptions]
        yield
        for task in reading:
            task.cancel()


async def measure(readers: Readers, found: Latencies) -> None:
    """The first message is not counted: who has just come is still catching up."""
    await readers.latencies()
    for _ in range(MESSAGES):
        await asyncio.sleep(PAUSE_SECONDS)
        found.values += await readers.latencies()
