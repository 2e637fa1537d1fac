"""How cost grows: with the followers of a room, with the rooms that are followed, with the processes that serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.cores import Meter
from tests.bench.followers import PATIENCE_SECONDS, Crowd, joined
from tests.bench.results import COUNTS, Figures
from tests.bench.speakers import Answers, SocketSpeaker, Speaker

from .common import DISTURBED, SALAS_ONLY, Scale, Scenario, cores, faults, looked, run
from .deliveries import deliver
from .sends import Sending

FEW_FOLLOWERS, MANY_FOLLOWERS = 1_000, 10_000
FEW_ROOMS, MANY_ROOMS = 10, 1_000
SENDERS = 8

PER_DELIVERY = "CPU µs per delivery"
PER_SEND = "CPU µs per send"


def deliveries(contestant: Contestant, scale: Scale, followers: int, workers: int) -> Figures:
    rooms = contestant.rooms(1, members=scale.of(followers))
    with contestant.serving(workers) as server:
        return run(deliver(server, rooms, scale, 1))


async def send_to_all(server: Server, rooms: list[SeededRoom], scale: Scale) -> Figures:
    """A few send to every room in turn; each room has one follower."""
    crowds = [Crowd(room.id) for room in rooms]
    async with joined(server, [(crowd, room.tokens) for crowd, room in zip(crowds, rooms, strict=True)]):
        voices: list[Speaker] = []
        for which, token in enumerate(rooms[0].everywhere):
            share = [room.id for room in rooms[which::SENDERS]]
            voices.append(await SocketSpeaker(token, share, Answers()).open(server))
        sending = Sending(voices)
        sending.start()
        await asyncio.sleep(scale.warm_seconds)
        await looked(lambda: sending.answered > 2 * len(rooms), PATIENCE_SECONDS)  # nobody is new to any room
        before, meter = sending.answered, Meter(server.pids)
        await asyncio.sleep(scale.seconds)
        meter.stop()
        sent = sending.answered - before
        await sending.stop()
        refused = sum(len(voice.answers.refused) for voice in voices)
        found = faults([(crowd, 0) for crowd in crowds], refused)
    return {
        PER_SEND: 1e6 * meter.cpu_seconds / max(sent, 1),
        "sends a second": sent / meter.seconds,
        **cores(meter),
        **found,
    }


def sends(contestant: Contestant, scale: Scale, number: int) -> Figures:
    rooms = contestant.rooms(max(scale.of(number), SENDERS), members=1, everywhere=SENDERS)
    with contestant.serving() as server:
        return run(send_to_all(server, rooms, scale))


def grown(name: str, few: Figures, many: Figures, words: tuple[str, str]) -> Figures:
    """One figure at two sizes, and what it is multiplied by."""
    return {
        "grows": many[name] / few[name],
        f"{name}, {words[0]}": few[name],
        f"{name}, {words[1]}": many[name],
        DISTURBED: max(few[DISTURBED], many[DISTURBED]),
        **{count: few.get(count, 0) + many.get(count, 0) for count in COUNTS},
    }


def scenario(name: str, title: str, measure: Callable[[Contestant, Scale], Figures]) -> Scenario:
    return Scenario(f"growth-{name}", title, "grows", measure, SALAS_ONLY, more_is_better=False)


def with_followers(contestant: Contestant, scale: Scale) -> Figures:
    few, many = (deliveries(contestant, scale, number, 1) for number in (FEW_FOLLOWERS, MANY_FOLLOWERS))
    return grown(PER_DELIVERY, few, many, (f"{FEW_FOLLOWERS:,}", f"{MANY_FOLLOWERS:,}"))


def with_rooms(contestant: Contestant, scale: Scale) -> Figures:
    few, many = (sends(contestant, scale, number) for number in (FEW_ROOMS, MANY_ROOMS))
    return grown(PER_SEND, few, many, (f"{FEW_ROOMS:,}", f"{MANY_ROOMS:,}"))


def with_processes(contestant: Contestant, scale: Scale) -> Figures:
    """Each twice, the other way round the second time: the machine may be faster at one time than at another."""
    found = [deliveries(contestant, scale, FEW_FOLLOWERS, workers) for workers in (1, 2, 2, 1)]
    one, two = (mean(*pair) for pair in (found[::3], found[1:3]))
    return grown(PER_DELIVERY, one, two, ("one process", "two"))


def mean(first: Figures, second: Figures) -> Figures:
    """Of what is measured; what is counted is added up."""
    return {name: (first[name] + second[name]) / (1 if name in COUNTS else 2) for name in first}


GROWTH = [
    scenario("followers", f"Growth: {MANY_FOLLOWERS:,} followers of a room, against {FEW_FOLLOWERS:,}", with_followers),
    scenario("rooms", f"Growth: sends while {MANY_ROOMS:,} rooms are followed, against {FEW_ROOMS}", with_rooms),
    scenario("processes", "Growth: two server processes, against one", with_processes),
]
