"""What scenarios have in common: figures, and a crowd that is known to listen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import uvloop

from tests.bench.contestants import Contestant
from tests.bench.cores import Meter
from tests.bench.followers import Crowd, Stalled
from tests.bench.results import Figures
from tests.bench.speakers import Speaker

SETTLE_SECONDS = 60.0
PROBE_SECONDS = 0.25
LOOK_SECONDS = 0.005
ANSWER_SECONDS = 20.0
RUN_SECONDS = 300.0
LOAD = "load core busy, %"
DISTURBED = "disturbed, %"
"""For how much of the time the server waited for its core while something else on the machine had it."""
CORES = (LOAD, DISTURBED)

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """How much of everything: ``seconds`` are measured after ``warm_seconds`` of the same, with ``tries`` for calm.

    ``rounds`` of four turns each, where two take turns.
    """

    seconds: float
    warm_seconds: float
    tries: int
    rounds: int
    divisor: int = 1

    def of(self, number: int) -> int:
        return max(number // self.divisor, 1)


FULL = Scale(seconds=4.0, warm_seconds=1.0, tries=2, rounds=4)
QUICK = Scale(seconds=1.5, warm_seconds=0.5, tries=1, rounds=2, divisor=5)


@dataclass(frozen=True)
class Scenario:
    """``main`` is the figure that is compared, ``more_is_better`` in which direction; ``kinds`` of servers enter.

    ``once``: the scenario has rounds of its own, and is about this tree only.
    """

    name: str
    title: str
    main: str
    measure: Callable[[Contestant, Scale], Figures]
    kinds: frozenset[str]
    more_is_better: bool = True
    once: bool = False


ALL_KINDS = frozenset({"salas", "peer", "memory", "raw"})
GRAPHQL_KINDS = frozenset({"salas", "peer"})
SALAS_ONLY = frozenset({"salas"})


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop of its own, for as long as anything here may take."""

    async def bounded() -> T:
        async with asyncio.timeout(RUN_SECONDS):
            return await work

    return uvloop.run(bounded())


async def settle(pairs: Iterable[tuple[Crowd, Speaker]]) -> None:
    """Send in each room until every follower has heard something, and then all have heard the last.

    One room after the other, so that a slow server is not flooded. Raises Stalled.
    """
    for crowd, speaker in pairs:
        await settle_one(crowd, speaker)


async def settle_one(crowd: Crowd, speaker: Speaker) -> None:
    deadline, last = perf_counter() + SETTLE_SECONDS, 0
    while not (last and crowd.have_all_heard(last)):
        if perf_counter() > deadline:
            lost = crowd.lost(last)
            raise Stalled(f"not all heard {last}, {lost} lost: {crowd.faults[:3]}, {speaker.answers.refused[:3]}")
        speaker.send()
        last = await last_answer(speaker)
        await looked(partial(crowd.have_all_heard, last), PROBE_SECONDS if not crowd.have_all_begun else SETTLE_SECONDS)


async def last_answer(speaker: Speaker) -> int:
    """The greatest sequence that was acknowledged, once everything that was sent has been answered."""
    await looked(lambda: speaker.unanswered == 0, ANSWER_SECONDS)
    return max(speaker.answers.sequences, default=0)


async def looked(condition: Callable[[], bool], seconds: float) -> bool:
    """Look again and again, at most ``seconds``; return whether ``condition`` holds."""
    deadline = perf_counter() + seconds
    while not (holds := condition()) and perf_counter() < deadline:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(LOOK_SECONDS)
    return holds


def faults(crowds: Iterable[tuple[Crowd, int]], answers_refused: int) -> Figures:
    """What should all be 0. With each crowd comes the last sequence that it should have heard."""
    crowds = list(crowds)
    return {
        "lost": sum(crowd.lost(last) for crowd, last in crowds),
        "repeated": sum(crowd.repeated for crowd, _ in crowds),
        "reordered": sum(crowd.reordered for crowd, _ in crowds),
        "misaddressed": sum(crowd.misheard for crowd, _ in crowds),
        "faults": sum(len(crowd.faults) + crowd.closed for crowd, _ in crowds),
        "refused": answers_refused,
    }


def cores(meter: Meter) -> Figures:
    return {LOAD: 100 * meter.load_core_share, DISTURBED: 100 * meter.disturbed_share}
