"""What a long log costs: catching up with ten thousand missed messages, and a page out of a million."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat
from statistics import median
from time import perf_counter

from tests.bench import dialects
from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.cores import Meter
from tests.bench.followers import Crowd, Follower, open_socket
from tests.bench.results import Figures
from tests.bench.speakers import Answers, HttpSpeaker

from .common import ANSWER_SECONDS, SALAS_ONLY, Scale, Scenario, cores, faults, run

MISSED = 10_000
SHORT = 1_000
LONG = 1_000_000
PAGE = 50
PAGES = 150

_rooms: dict[str, list[SeededRoom]] = {}


async def replay(server: Server, room: SeededRoom, number: int) -> Figures:
    """From the connection until the last missed message is there."""
    crowd, meter = Crowd(room.id), Meter(server.pids)
    follower = Follower(crowd, server, room.tokens[0], after=room.start)
    crowd.followers.append(follower)
    await open_socket(follower, server, room.id)
    await crowd.reach(number)
    meter.stop()
    follower.close()
    return {
        "messages a second": number / meter.seconds,
        "CPU µs per message": 1e6 * meter.cpu_seconds / number,
        **cores(meter),
        **faults([(crowd, number)], 0),
    }


def measure_replay(contestant: Contestant, scale: Scale) -> Figures:
    number = scale.of(MISSED)
    (room,) = contestant.rooms(1, members=1, messages=number)
    with contestant.serving() as server:
        return run(replay(server, room, number))


class Reader:
    """Asks for pages over HTTP, one after the other, and notes how long each took."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.answers = Answers()

    async def page(self, room: SeededRoom, before: str | None) -> float:
        """Milliseconds."""
        asker = await HttpSpeaker(room.tokens[0], room.id, self.answers).open(self._server)
        answered = asyncio.Event()
        self.answers.on_answer = answered.set
        began = perf_counter()
        asker.ask(dialects.PAGE, {"slug": room.slug, "before": before})
        async with asyncio.timeout(ANSWER_SECONDS):
            await answered.wait()
        took = perf_counter() - began
        asker.close()
        if self.answers.last.count(b'"cursor"') != PAGE:
            raise ValueError(f"this is not a page of {PAGE}: {self.answers.last[:300]!r}")
        return 1000 * took


async def pages(server: Server, short: SeededRoom, long: SeededRoom) -> Figures:
    """In turn out of one and the other; half of them the last page, half one from the middle."""
    reader, meter = Reader(server), Meter(server.pids)
    of_short, of_long = [], []
    for is_warm, from_middle in chain(repeat((False, False), 10), zip(repeat(True), alternately(PAGES))):
        times = [await reader.page(room, room.middle if from_middle else None) for room in (short, long)]
        if is_warm:
            of_short.append(times[0])
            of_long.append(times[1])
    meter.stop()
    return {
        "long over short": median(of_long) / median(of_short),
        "long, ms": median(of_long),
        "short, ms": median(of_short),
        **cores(meter),
        "refused": len(reader.answers.refused),
    }


def alternately(number: int) -> Iterator[bool]:
    return (bool(which % 2) for which in range(number))


def measure_pages(contestant: Contestant, scale: Scale) -> Figures:
    """The rooms are made once for each tree: a million messages take a while."""
    if contestant.name not in _rooms:
        sizes = (SHORT, scale.of(LONG))
        _rooms[contestant.name] = [contestant.rooms(1, members=1, messages=size)[0] for size in sizes]
    with contestant.serving() as server:
        return run(pages(server, *_rooms[contestant.name]))


HISTORY = [
    Scenario(
        "replay",
        f"Replay of {MISSED:,} missed messages",
        "messages a second",
        measure_replay,
        SALAS_ONLY,
    ),
    Scenario(
        "pages",
        f"A page of {PAGE} out of a room of {LONG:,} messages, against one of {SHORT:,}",
        "long over short",
        measure_pages,
        SALAS_ONLY,
        more_is_better=False,
    ),
]
