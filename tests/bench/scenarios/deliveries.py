"""Deliveries a second: what is sent to rooms, and heard by everybody who follows them."""

from __future__ import annotations

import asyncio
from time import perf_counter

from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.cores import Meter
from tests.bench.followers import PATIENCE_SECONDS, Crowd, Stalled, joined
from tests.bench.speakers import Speaker, speaker

from .common import ALL_KINDS, Figures, Scale, Scenario, cores, faults, last_answer, run, settle

IN_FLIGHT = 4


async def send_and_await(crowd: Crowd, speaker: Speaker, seconds: float, in_flight: int) -> bool:
    """Send on whenever all have heard all but the last ``in_flight - 1``; return whether all was heard in time."""
    base, sent, deadline = crowd.heard, 0, perf_counter() + seconds
    try:
        while perf_counter() < deadline:
            await crowd.reach(base + (sent - in_flight + 1) * len(crowd.followers))
            speaker.send()
            sent += 1
        await crowd.reach(base + sent * len(crowd.followers))
    except Stalled:
        return False
    return True


async def deliver(server: Server, rooms: list[SeededRoom], scale: Scale, in_flight: int) -> Figures:
    crowds = [Crowd(room.id) for room in rooms]
    async with joined(server, [(crowd, room.tokens) for crowd, room in zip(crowds, rooms, strict=True)]):
        speakers = [await speaker(server, room.tokens[0], room.id) for room in rooms]
        pairs = list(zip(crowds, speakers, strict=True))
        await settle(pairs)
        await asyncio.gather(*(send_and_await(*pair, scale.warm_seconds, in_flight) for pair in pairs))
        before, meter = heard_by(crowds), Meter(server.pids)
        in_time = all(await asyncio.gather(*(send_and_await(*pair, scale.seconds, in_flight) for pair in pairs)))
        meter.stop()
        deliveries = heard_by(crowds) - before
        lasts = [await last_answer(each) for each in speakers]
        refused = sum(len(each.answers.refused) for each in speakers)
        found = faults(zip(crowds, lasts, strict=True), refused)
        for each in speakers:
            each.close()
    return {
        "deliveries a second": deliveries / (meter.seconds - (0 if in_time else PATIENCE_SECONDS)),
        "CPU µs per delivery": 1e6 * meter.cpu_seconds / max(deliveries, 1),
        **cores(meter),
        **found,
    }


def heard_by(crowds: list[Crowd]) -> int:
    return sum(crowd.heard for crowd in crowds)


def scenario(rooms: int, followers: int, in_flight: int) -> Scenario:
    def measure(contestant: Contestant, scale: Scale) -> Figures:
        here, there = (rooms, scale.of(followers)) if rooms == 1 else (scale.of(rooms), followers)
        seeded = contestant.rooms(here, members=there)
        with contestant.serving() as server:
            return run(deliver(server, seeded, scale, in_flight))

    crowd = f"{rooms} room{'s' * (rooms > 1)} × {followers:,} followers"
    how = "each message awaited by all" if in_flight == 1 else f"{in_flight} messages of a room in flight"
    name = f"deliveries-{rooms}x{followers}{'' if in_flight == 1 else '-saturated'}"
    return Scenario(name, f"Deliveries, {crowd}, {how}", "deliveries a second", measure, ALL_KINDS)


DELIVERIES = [
    scenario(rooms, followers, in_flight) for rooms, followers in ((1, 1000), (100, 10)) for in_flight in (1, IN_FLIGHT)
]
