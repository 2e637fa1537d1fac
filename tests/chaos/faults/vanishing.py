"""Peers that vanish without a FIN: their sockets stay open, and nothing ever comes from them again."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

from rooms.models import Room
from schema.cursors import log_cursor
from tests.chaos.cycles import traces, visits
from tests.chaos.scene import Fault, Load, Scene
from tests.chaos.sockets import connected, next_message, subscribe
from tests.people import make_room
from tests.services.proxy import Proxy
from tests.services.service import wait_until

VANISHING = 40
GONE_SECONDS = 45.0


async def vanish(scene: Scene) -> None:
    """Some while messages are on their way to them, some idle, in a room that nobody else follows.

    A server keeps a task, a file and a place in the hub for each, and a Redis channel for the room; all of it must go.
    """
    world = scene.world
    room = await world.servers[0].acall(make_room, slug=f"{scene.room.slug}-quiet")
    await scene.recover(time.monotonic())
    await visits(scene, VANISHING, world.servers)  # what a first follower makes a server begin is no trace of anyone
    await asyncio.sleep(1)
    before = await asyncio.to_thread(traces, world)
    async with Proxy([server.url for server in world.servers]) as way, AsyncExitStack() as stack:
        for number in range(VANISHING):
            await follow(stack, way, scene, number, room if number % 2 else scene.room)
        during = await asyncio.to_thread(traces, world)
        gone = replace(before, files=during.files - VANISHING // 2)  # the pools of connections grow meanwhile
        way.stall()
        since = time.monotonic()
        await scene.recover(since)
        await asyncio.to_thread(wait_until, lambda: traces(world).is_within(gone), GONE_SECONDS)
        seconds, after = time.monotonic() - since, await asyncio.to_thread(traces, world)
        stack.pop_all()  # they never say goodbye; the proxy's end is theirs
    if not after.is_within(gone):
        scene.problems.append(f"still there: {after}, wanted: {gone}")
    if not (during.tasks >= before.tasks + VANISHING and during.redis_channels > before.redis_channels):
        scene.problems.append(f"they left no trace: {during}, before: {before}")
    scene.notes.append(f"{VANISHING} were gone within {seconds:.0f} s")


async def follow(stack: AsyncExitStack, way: Proxy, scene: Scene, number: int, room: Room) -> None:
    """Return once one is known to follow ``room``."""
    socket = await stack.enter_async_context(connected(way, scene.probes[0].token))
    await subscribe(socket, str(number), room, log_cursor(room.pk, 0, room.epoch))
    if room is scene.room:
        await next_message(socket, keepalive=20)


FAULTS = (Fault("clients vanish without a FIN", vanish, Load(senders=0, followers=2), short_load=None),)
