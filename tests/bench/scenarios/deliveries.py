"""Deliveries a second: what is sent to rooms, and heard by everybody who follows them."""

from __future__ import annotations

import asyncio
from time import perf_counter

from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.cores import Meter
from tests.bench.followers import PATIENCE_SECONDS, Crowd, Stalled, joined
from tests.bench.results import Figures
from tests.bench.speakers import Speaker, speaker

from .common import ALL_KINDS, CORES, Scale, Scenario, cores, faults, last_answer, run, settle

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


async def deliver(server: Server, rooms: list[SeededRoom], scale: Scale, *in_flight: int) -> Figures:
    """For each of ``in_flight``, one after the other, in the same crowds."""
    crowds = [Crowd(room.id) for room in rooms]
    async with joined(server, [(crowd, room.tokens) for crowd, room in zip(crowds, rooms, strict=True)]):
        speakers = [await speaker(server, room.tokens[0], room.id) for room in rooms]
        pairs = list(zip(crowds, speakers, strict=True))
        await settle(pairs)
        measured = [await delivered(server, pairs, scale, number) for number in in_flight]
        lasts = [await last_answer(each) for each in speakers]
        refused = sum(len(each.answers.refused) for each in speakers)
        found = faults(zip(crowds, lasts, strict=True), refused)
        for each in speakers:
            each.close()
    rates = {name: value for figures in measured for name, value in figures.items()}
    return rates | {name: max(figures[name] for figures in measured) for name in CORES} | found


async def delivered(server: Server, pairs: list[tuple[Crowd, Speaker]], scale: Scale, in_flight: int) -> Figures:
    await asyncio.gather(*(send_and_await(*pair, scale.warm_seconds, in_flight) for pair in pairs))
    before, meter = heard_by(pairs), Meter(server.pids)
    in_time = all(await asyncio.gather(*(send_and_await(*pair, scale.seconds, in_flight) for pair in pairs)))
    meter.stop()
    deliveries = heard_by(pairs) - before
    how = "" if in_flight == 1 else f", {in_flight} in flight"
    return {
        f"deliveries a second{how}": deliveries / (meter.seconds - (0 if in_time else PATIENCE_SECONDS)),
        f"CPU µs per delivery{how}": 1e6 * meter.cpu_seconds / max(deliveries, 1),
        **cores(meter),
    }


def heard_by(pairs: list[tuple[Crowd, Speaker]]) -> int:
    return sum(crowd.heard for crowd, _ in pairs)


def scenario(rooms: int, followers: int) -> Scenario:
    def measure(contestant: Contestant, scale: Scale) -> Figures:
        here, there = (rooms, scale.of(followers)) if rooms == 1 else (scale.of(rooms), followers)
        seeded = contestant.rooms(here, members=there)
        with contestant.serving() as server:
            return run(deliver(server, seeded, scale, 1, IN_FLIGHT))

    crowd = f"{rooms} room{'s' * (rooms > 1)} × {followers:,} followers"
    title = f"Deliveries, {crowd}: each message awaited by all, and {IN_FLIGHT} messages of a room in flight"
    return Scenario(f"deliveries-{rooms}x{followers}", title, "deliveries a second", measure, ALL_KINDS)


DELIVERIES = [scenario(1, 1000), scenario(100, 10)]
