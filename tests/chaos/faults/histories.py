"""Faults of who a client is taken for, and of the history that it is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from io import StringIO

from django.core.management import call_command

from tests.chaos.faults.clients import cut_at_byte
from tests.chaos.histories import ReadingAnew, device, reading_anew
from tests.chaos.scene import Fault, Load, Scene
from tests.chaos.world import DATABASE, World

BACKUP = "backup"


async def restored(scene: Scene) -> None:
    """A backup is made, the room goes on, the backup is restored and the room goes on again, under the same numbers.

    What was acknowledged since the backup is gone with it; everything else must be heard by everyone.
    """
    world = scene.world
    await scene.further(10)
    await with_servers_stopped(world, back_up)
    await scene.further(20)
    await with_servers_stopped(world, restore)
    since = time.monotonic()
    kept = {said.key for said in await world.log_of(scene.room.pk)}
    lost = scene.ledger.forget_acknowledged_but(kept)
    await asyncio.gather(*(reader.has_read_anew.wait() for reader in readers(scene)))
    await scene.recover(since)
    scene.notes.append(f"{lost} messages were said since the backup")
    if not lost:
        scene.problems.append("nothing was said since the backup")


def readers(scene: Scene) -> Sequence[ReadingAnew]:
    return [each for each in scene.followers if isinstance(each, ReadingAnew)]


async def with_servers_stopped(world: World, work: Callable[[World], None]) -> None:
    await asyncio.gather(*(asyncio.to_thread(server.stop) for server in world.servers))
    await asyncio.to_thread(work, world)
    await asyncio.gather(*(asyncio.to_thread(server.start) for server in world.servers))


def back_up(world: World) -> None:
    world.postgres.create_database(BACKUP, DATABASE)


def restore(world: World) -> None:
    world.postgres.drop_database(DATABASE)
    world.postgres.create_database(DATABASE, BACKUP)
    world.postgres.drop_database(BACKUP)
    world.servers[0].call(call_command, "restored", stdout=StringIO())


FAULTS = (
    Fault(
        "devices that count their operations alike, cut",
        cut_at_byte,
        Load(by_front=True),
        Load(senders=3, followers=4, by_front=True),
        device,
    ),
    Fault("a backup is restored", restored, short_load=None, follower=reading_anew),
)
