"""Thousands who come, subscribe and leave, in every way there is to leave; and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from redis import Redis as Connection
from websockets.exceptions import WebSocketException

from schema.cursors import log_cursor
from schema.receipts import KEPT_SECONDS
from tests.chaos.scene import Scene
from tests.chaos.sockets import Address, connected, next_message, subscribe
from tests.chaos.world import World, tasks_of
from tests.services.salas import Salas
from tests.services.service import wait_until

AT_ONCE = 16
WARM_UP = 400
ALLOWED_MEMORY = 8 * 1024**2
SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Traces:
    """What a visitor could leave behind, in both servers and Redis.

    ``redis_keys`` are those that stay: where somebody was is remembered for a while, and then goes by itself.
    """

    tasks: int
    files: int
    redis_keys: int
    redis_channels: int

    def is_within(self, other: Traces) -> bool:
        """Whether nothing is more than in ``other``; less may be, since connections come and go by themselves."""
        return all(mine <= theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True))


async def come_and_go(scene: Scene) -> None:
    """Memory may grow by ``ALLOWED_MEMORY`` a server, since allocators keep some; nothing else may grow at all."""
    world = scene.world
    await scene.recover(time.monotonic())
    at_rest = (await asyncio.to_thread(traces, world)).tasks
    await visits(scene, WARM_UP, world.servers)
    await asyncio.to_thread(wait_until, lambda: traces(world).tasks <= at_rest, SETTLE_SECONDS)
    before, memory = await asyncio.to_thread(traces, world), list(map(memory_of, world.servers))
    begun, number = time.monotonic(), scene.either(20_000, 300)
    await visits(scene, number, world.servers)
    scene.notes.append(f"{number / (time.monotonic() - begun):.0f} visits a second")
    await asyncio.to_thread(wait_until, lambda: traces(world).is_within(before), SETTLE_SECONDS)
    after = await asyncio.to_thread(traces, world)
    if not after.is_within(before):
        scene.problems.append(f"left behind: {after}, before: {before}")
    for server, was in zip(world.servers, memory, strict=True):
        if (grown := memory_of(server) - was) > ALLOWED_MEMORY:
            scene.problems.append(f"memory grew by {grown / 1024**2:.1f} MiB")
        scene.notes.append(f"memory grew by {grown / 1024**2:.1f} MiB")


async def visits(scene: Scene, number: int, addresses: Sequence[Address]) -> None:
    """So many, to each of ``addresses`` in turn."""
    left = iter(range(number))

    async def visitor() -> None:
        for turn in left:
            await visit(scene, addresses[turn % len(addresses)], turn)

    await asyncio.gather(*(visitor() for _ in range(AT_ONCE)))


async def visit(scene: Scene, address: Address, turn: int) -> None:
    """Come, subscribe, and leave: in order, without a word, in the midst of the first message, or cut off."""
    after = log_cursor(scene.room.pk, scene.chance.choice((0, 1)), scene.room.epoch)
    leave = scene.chance.randrange(4)
    try:
        async with connected(address, scene.probes[0].token) as socket:
            await subscribe(socket, str(turn), scene.room, after)
            if leave < 2:
                await next_message(socket, keepalive=20)
            if leave == 0:
                await socket.send(json.dumps({"type": "complete", "id": str(turn)}))
            if leave == 3:
                socket.transport.abort()
    except (OSError, WebSocketException, TimeoutError) as error:
        scene.problems.append(f"a visitor was turned away: {error!r}")


def traces(world: World) -> Traces:
    with closing(Connection.from_url(world.redis.url)) as connection:
        return Traces(
            tasks=sum(map(tasks_of, world.servers)),
            files=sum(len(list(Path(f"/proc/{server.pid}/fd").iterdir())) for server in world.servers),
            redis_keys=sum(not 0 < connection.ttl(key) <= KEPT_SECONDS for key in connection.scan_iter(count=1000)),
            redis_channels=len(connection.pubsub_channels()),
        )


def memory_of(server: Salas) -> int:
    """Bytes in main memory (proc(5))."""
    line = next(
        line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024
