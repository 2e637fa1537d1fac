"""How long from sending to hearing, with time to spare: five messages a second to a thousand followers."""

from __future__ import annotations

import asyncio
from statistics import quantiles
from time import perf_counter

from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.cores import Meter
from tests.bench.followers import Crowd, TimedFollower, joined
from tests.bench.results import Figures
from tests.bench.speakers import Speaker, speaker

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

FOLLOWERS = 1_000
A_SECOND = 5
PERIODS = 2  # of the scale's seconds: a 99th percentile wants some messages


async def measured(server: Server, room: SeededRoom, scale: Scale) -> Figures:
    crowd, sent_at, took = Crowd(room.id), dict[int, float](), list[float]()
    voice = await speaker(server, room.tokens[0], room.id)
    async with joined(
        server, [(crowd, room.tokens)], lambda crowd, token: TimedFollower(crowd, server, token, sent_at, took)
    ):
        await settle_one(crowd, voice)
        meter = Meter(server.pids)
        last = await send_steadily(voice, sent_at, int(PERIODS * scale.seconds * A_SECOND))
        meter.stop()
        await looked(lambda: crowd.have_all_heard(last), SETTLE_SECONDS)
        found = faults([(crowd, await last_answer(voice))], len(voice.answers.refused))
    voice.close()
    percentiles = quantiles(took, n=100)
    return {
        "p99, ms": 1000 * percentiles[98],
        "p50, ms": 1000 * percentiles[49],
        "greatest, ms": 1000 * max(took),
        **cores(meter),
        **found,
    }


async def send_steadily(voice: Speaker, sent_at: dict[int, float], number: int) -> int:
    """Send at fixed times, answered or not; return the last sequence."""
    base, began = await last_answer(voice), perf_counter()
    for which in range(1, number + 1):
        sent_at[base + which] = perf_counter()
        voice.send()
        await asyncio.sleep(began + which / A_SECOND - perf_counter())
    return base + number


def measure(contestant: Contestant, scale: Scale) -> Figures:
    (room,) = contestant.rooms(1, members=scale.of(FOLLOWERS))
    with contestant.serving() as server:
        return run(measured(server, room, scale))


LATENCY = Scenario(
    "latency",
    f"From send to receive, {FOLLOWERS:,} followers, {A_SECOND} messages a second",
    "p99, ms",
    measure,
    GRAPHQL_KINDS | {"raw"},
    more_is_better=False,
)
