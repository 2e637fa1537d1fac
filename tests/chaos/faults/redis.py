"""Faults of Redis. Sends stay quick meanwhile, and everyone hears them, later, without Redis being back."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

from redis import Redis as Connection

from tests.chaos.scene import Fault, Scene

AWAY_SECONDS = 5.0


async def killed(scene: Scene) -> None:
    """``kill -9``, and started again, empty, at the same place."""
    await scene.further(10)
    with scene.redis_away():
        await asyncio.to_thread(scene.world.redis.kill)
        await go_without(scene)
    await back(scene, await asyncio.to_thread(_started, scene))


def _started(scene: Scene) -> float:
    scene.world.redis.start()
    return time.monotonic()


async def paused(scene: Scene) -> None:
    """SIGSTOP: connections stay open and nobody answers."""
    await scene.further(10)
    with scene.redis_away():
        scene.world.redis.pause()
        await go_without(scene)
    scene.world.redis.resume()
    await back(scene, time.monotonic())


async def cut(scene: Scene) -> None:
    """Every connection is reset, and new ones are closed at once."""
    await scene.further(10)
    with scene.redis_away():
        for link in scene.world.links:
            link.backends = []
            link.cut_all()
        await go_without(scene)
    for link in scene.world.links:
        link.backends = [scene.world.redis.url]
    await back(scene, time.monotonic())


async def partitioned(scene: Scene) -> None:
    """One process reaches Redis, the other does not and is not told so: its bytes get lost on the way."""
    await scene.further(10)
    with scene.redis_away():
        scene.world.links[0].stall()
        await go_without(scene)
    scene.world.links[0].resume()
    await back(scene, time.monotonic())


async def flushed(scene: Scene) -> None:
    """FLUSHALL, many times over."""
    for _ in range(scene.either(10, 2)):
        await scene.further(5)
        await asyncio.to_thread(_flush, scene.world.redis.url)


def _flush(url: str) -> None:
    with closing(Connection.from_url(url)) as connection:
        connection.flushall()


async def go_without(scene: Scene) -> None:
    """Messages sent now are acknowledged at once and heard by everyone while Redis is still away."""
    since = time.monotonic()
    await scene.recover(since)
    await asyncio.sleep(max(0.0, since + scene.either(AWAY_SECONDS, 1) - time.monotonic()))


async def back(scene: Scene, since: float) -> None:
    await scene.recover(since)


FAULTS = (
    Fault("Redis killed, restarted empty", killed),
    Fault("Redis paused", paused),
    Fault("Redis cut", cut),
    Fault("Redis partitioned", partitioned),
    Fault("Redis flushed", flushed),
)
