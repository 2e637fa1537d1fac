"""Faults of a server."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from contextlib import AsyncExitStack

import websockets

from tests.chaos.cycles import ALLOWED_MEMORY, memory_of, visits
from tests.chaos.scene import PATIENCE_SECONDS, Fault, Load, Scene
from tests.chaos.sockets import connected
from tests.services.proxy import Direction
from tests.services.salas import Salas
from tests.services.service import STOP_SECONDS, ServiceError

STOPPED_SECONDS = 5.0
ARRIVING = 200
FEW_FILES = 256


async def killed(scene: Scene) -> None:
    """``kill -9`` at random moments of the work; from each until the process is back and of use."""
    unanswered = 0
    for number in range(scene.either(8, 2)):
        server = scene.world.servers[number % 2]
        await scene.further(scene.chance.randint(5, 25))
        await asyncio.sleep(scene.chance.uniform(0, 0.05))  # not right after an acknowledgement
        since = time.monotonic()
        await asyncio.to_thread(server.kill)
        unanswered += await scene.stored_unanswered()
        await asyncio.to_thread(server.start)
        await scene.recover(since)
    scene.notes.append(f"{unanswered} messages were stored, and not answered, when a server died")


async def killed_before_the_answer(scene: Scene) -> None:
    """``kill -9`` when something is committed of which no answer can have arrived: the proxy holds them back."""
    unanswered, front = 0, scene.world.front
    for number in range(scene.either(6, 1)):
        server = scene.world.servers[number % 2]
        await scene.further(5)
        front.stall(Direction.TO_CLIENT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := await scene.stored_unanswered()):
                pass
        since = time.monotonic()
        await asyncio.to_thread(server.kill)
        front.cut_all()
        front.resume()
        unanswered += found
        await asyncio.to_thread(server.start)
        await scene.recover(since)
    scene.notes.append(f"{unanswered} messages were stored, and not answered, when a server died")


async def terminated(scene: Scene) -> None:
    """SIGTERM, one process after the other, as a deploy does it. While one ends the other must do."""
    longest = 0.0
    for number in range(scene.either(4, 1)):
        server = scene.world.servers[number % 2]
        await scene.further(10)
        since = time.monotonic()
        ending = asyncio.create_task(asyncio.to_thread(server.stop))
        await scene.recover(since, (number + 1) % 2)
        try:
            await ending
        except ServiceError:  # it has been killed instead
            scene.problems.append(f"did not end in {STOP_SECONDS:.0f} s")
        longest = max(longest, time.monotonic() - since)
        await asyncio.to_thread(server.start)
        await scene.recover(time.monotonic())
    scene.notes.append(f"ended within {longest:.1f} s")


async def stopped(scene: Scene) -> None:
    """SIGSTOP for five seconds, while 200 messages arrive; when it holds the room's lock they wait for it."""
    await scene.further(10)
    server = scene.chance.choice(scene.world.servers)
    arriving = asyncio.create_task(scene.further(scene.either(ARRIVING, 20)))
    server.pause()
    await asyncio.sleep(scene.either(STOPPED_SECONDS, 2))
    server.resume()
    await scene.recover(time.monotonic())
    await arriving


async def clock_off(scene: Scene) -> None:
    """The clock of one process jumps an hour ahead, and back to the right time; which costs it nothing for good."""
    server = scene.world.servers[1]
    for _ in range(2):
        await scene.further(scene.either(40, 10))
        server.signal(signal.SIGUSR2)
        await scene.recover(time.monotonic())
    if scene.full:
        await visits(scene, 200, [server])
        before = memory_of(server)
        await visits(scene, 1000, [server])
        if (grown := memory_of(server) - before) > ALLOWED_MEMORY:
            scene.problems.append(f"memory grew by {grown / 1024**2:.1f} MiB with a thousand visits")
    await asyncio.to_thread(server.kill)  # so that no other fault has to do with a clock; it is started again


async def out_of_files(scene: Scene) -> None:
    """Few files may be open in one process, and clients that say nothing take all connections that there are."""
    server = scene.world.servers[1]
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (FEW_FILES, before[1]))
    said_before = len(server.log)
    try:
        await scene.further(5)
        async with AsyncExitStack() as stack:
            sockets = await idle_sockets(server, scene.probes[0].token, stack)
            for _ in range(FEW_FILES):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                stack.callback(writer.close)
            since = time.monotonic()
            await scene.further(scene.either(100, 20))
            await scene.recover(since)
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    scene.notes.append(f"{sockets} idle sockets with {FEW_FILES} files")
    if "Too many open files" in server.log[said_before:]:
        scene.problems.append("files ran out")


async def idle_sockets(server: Salas, token: str, stack: AsyncExitStack) -> int:
    """Open sockets until the server takes no more; return how many it took."""
    for number in range(FEW_FILES):
        try:
            await stack.enter_async_context(connected(server, token))
        except websockets.InvalidStatus:
            return number
    raise ServiceError("the server takes more sockets than it may have files")


FAULTS = (
    Fault("kill -9 of a server", killed),
    Fault("kill -9 between commit and answer", killed_before_the_answer, Load(by_front=True), Load(by_front=True)),
    Fault("SIGTERM", terminated),
    Fault("a process stopped for 5 s", stopped, Load(senders=8)),
    Fault("a clock an hour off", clock_off),
    Fault("out of files", out_of_files),
)
