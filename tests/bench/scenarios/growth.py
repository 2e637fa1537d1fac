"""How cost grows: with the followers of a room, with the rooms that are followed, with the processes that serve."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack

from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.results import Figures

from .common import SALAS_ONLY, Scale, Scenario, run
from .turns import Side, delivering, in_turn, sending_to_all

FEW_FOLLOWERS, MANY_FOLLOWERS = 1_000, 10_000
FEW_ROOMS, MANY_ROOMS = 10, 1_000
SENDERS = 8

PER_DELIVERY = "CPU µs per delivery"
PER_SEND = "CPU µs per send"

Enter = Callable[[Server, list[SeededRoom]], AbstractAsyncContextManager[Side]]


def with_followers(contestant: Contestant, scale: Scale) -> Figures:
    rooms = [contestant.rooms(1, members=scale.of(number)) for number in (FEW_FOLLOWERS, MANY_FOLLOWERS)]
    words = (f"{FEW_FOLLOWERS:,}", f"{MANY_FOLLOWERS:,}")
    return side_by_side(contestant, scale, delivering, rooms, (1, 1), PER_DELIVERY, words)


def with_rooms(contestant: Contestant, scale: Scale) -> Figures:
    sizes = [max(scale.of(number), SENDERS) for number in (FEW_ROOMS, MANY_ROOMS)]
    rooms = [contestant.rooms(size, members=1, everywhere=SENDERS) for size in sizes]
    words = (f"{FEW_ROOMS:,}", f"{MANY_ROOMS:,}")
    return side_by_side(contestant, scale, sending_to_all, rooms, (1, 1), PER_SEND, words)


def with_processes(contestant: Contestant, scale: Scale) -> Figures:
    rooms = [contestant.rooms(1, members=scale.of(FEW_FOLLOWERS)) for _ in range(2)]
    return side_by_side(contestant, scale, delivering, rooms, (1, 2), PER_DELIVERY, ("one process", "two"))


def side_by_side(
    contestant: Contestant,
    scale: Scale,
    enter: Enter,
    rooms: list[list[SeededRoom]],
    workers: tuple[int, int],
    name: str,
    words: tuple[str, str],
) -> Figures:
    """Each size has a server with so many ``workers``."""

    async def compare(servers: list[Server]) -> Figures:
        async with AsyncExitStack() as stack:
            few, many = [
                await stack.enter_async_context(enter(server, seeded))
                for server, seeded in zip(servers, rooms, strict=True)
            ]
            return await in_turn(few, many, scale, name, words)

    with ExitStack() as stack:
        return run(compare([stack.enter_context(contestant.serving(number)) for number in workers]))


def scenario(name: str, title: str, measure: Callable[[Contestant, Scale], Figures]) -> Scenario:
    return Scenario(f"growth-{name}", title, "grows", measure, SALAS_ONLY, more_is_better=False)


GROWTH = [
    scenario("followers", f"Growth: {MANY_FOLLOWERS:,} followers of a room, against {FEW_FOLLOWERS:,}", with_followers),
    scenario("rooms", f"Growth: sends while {MANY_ROOMS:,} rooms are followed, against {FEW_ROOMS}", with_rooms),
    scenario("processes", "Growth: two server processes, against one", with_processes),
]
