"""New subscriptions a second: everybody comes at once, as after a restart, and is heard to be there."""

from __future__ import annotations

import asyncio

from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.cores import Meter, resident_bytes
from tests.bench.followers import AT_ONCE, Crowd, joined
from tests.bench.results import Figures
from tests.bench.speakers import speaker

from .common import (
    GRAPHQL_KINDS,
    SETTLE_SECONDS,
    Scale,
    Scenario,
    cores,
    faults,
    last_answer,
    looked,
    run,
    settle_one,
)

COMING = 1_000
IDLE = 2_000
HERE_BEFORE = 100
QUIET_SECONDS = 1.5


async def storm(server: Server, room: SeededRoom) -> Figures:
    """From the first connection until everybody has heard a message that was sent when all had subscribed."""
    crowd = Crowd(room.id)
    voice = await speaker(server, room.tokens[0], room.id)
    meter = Meter(server.pids)
    async with joined(server, [(crowd, room.tokens)]):
        voice.send()
        await looked(lambda: crowd.have_all_begun, SETTLE_SECONDS)
        meter.stop()
        await settle_one(crowd, voice)
        found = faults([(crowd, await last_answer(voice))], len(voice.answers.refused))
    voice.close()
    return {
        "subscriptions a second": len(room.tokens) / meter.seconds,
        "CPU µs per subscription": 1e6 * meter.cpu_seconds / len(room.tokens),
        **cores(meter),
        **found,
    }


async def idle(server: Server, room: SeededRoom) -> Figures:
    """What the process grows by, a subscription, while nothing is said. Afterwards they are heard to be there."""
    before, coming = Crowd(room.id), Crowd(room.id)
    voice = await speaker(server, room.tokens[0], room.id)
    async with joined(server, [(before, room.tokens[:HERE_BEFORE])]):
        await settle_one(before, voice)
        first = await resident_when_quiet(server)
        async with joined(server, [(coming, room.tokens[HERE_BEFORE:])]):
            grown = await resident_when_quiet(server) - first
            await settle_one(coming, voice)
            found = faults([(coming, await last_answer(voice))], len(voice.answers.refused))
    voice.close()
    return {"kB per idle subscription": grown / 1000 / (len(room.tokens) - HERE_BEFORE), **found}


async def resident_when_quiet(server: Server) -> int:
    await asyncio.sleep(QUIET_SECONDS)
    return resident_bytes(server.own_pids)


def measure_storm(contestant: Contestant, scale: Scale) -> Figures:
    (room,) = contestant.rooms(1, members=scale.of(COMING))
    with contestant.serving() as server:
        return run(storm(server, room))


def measure_idle(contestant: Contestant, scale: Scale) -> Figures:
    (room,) = contestant.rooms(1, members=HERE_BEFORE + scale.of(IDLE))
    with contestant.serving() as server:
        return run(idle(server, room))


STORMS = [
    Scenario(
        "subscriptions",
        f"A reconnect storm: {COMING:,} clients, {AT_ONCE} connecting at a time",
        "subscriptions a second",
        measure_storm,
        GRAPHQL_KINDS | {"raw"},
    ),
    Scenario(
        "memory",
        f"Memory of {IDLE:,} idle subscriptions",
        "kB per idle subscription",
        measure_idle,
        GRAPHQL_KINDS | {"raw"},
        more_is_better=False,
    ),
]
