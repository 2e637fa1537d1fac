"""Faults of clients and of the way to them."""

from __future__ import annotations

import asyncio
import time

from tests.chaos.cycles import come_and_go
from tests.chaos.scene import Fault, Load, Scene
from tests.services.proxy import Direction

IDLE_SECONDS = 75.0  # Daphne: ping after 20 s, patience for 30 s more; receipts 30 s; a peer without FIN 45 s
QUIET = Load(senders=0, followers=10, keepalive=3600)
CROWD = Load(senders=1, followers=500, pause=(0.6, 1.0), by_front=True, keepalive=20)
SMALL_CROWD = Load(senders=1, followers=60, pause=(0.2, 0.3), by_front=True, keepalive=20)


async def cut_at_byte(scene: Scene) -> None:
    """Every connection is cut after a random number of bytes, in the one direction and then in the other."""
    front = scene.world.front
    for direction in Direction:
        front.cut_at(lambda: scene.chance.randint(1, 6000), direction)
        front.cut_all()
        await scene.further(scene.either(200, 25))
    front.cut_at(None)


async def all_cut(scene: Scene) -> None:
    """All at once, and so all come back at once."""
    await scene.further(1)
    await scene.all_hear(1)
    for _ in range(scene.either(3, 1)):
        since = time.monotonic()
        count = scene.world.front.cut_all()
        await scene.recover(since)
        if count < len(scene.followers):
            scene.problems.append(f"only {count} connections were open")


async def idle(scene: Scene) -> None:
    """Nobody says anything, and no client sends a ping, for longer than any timeout that closes something."""
    await scene.recover(time.monotonic())
    await asyncio.sleep(IDLE_SECONDS)
    await scene.recover(time.monotonic())
    if ends := sum(sum(follower.ends.values()) for follower in scene.followers):
        scene.notes.append(f"{ends} sockets ended for want of anything to say")


FAULTS = (
    Fault("clients cut at byte N", cut_at_byte, Load(by_front=True), Load(senders=3, followers=4, by_front=True)),
    Fault("500 clients cut at once", all_cut, CROWD, SMALL_CROWD),
    Fault("idle past every timeout", idle, QUIET, short_load=None),
    Fault("20,000 come, subscribe and leave", come_and_go, Load(senders=0), Load(senders=0, followers=2)),
)
