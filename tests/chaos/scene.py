"""One fault's course: people who talk and follow in a room of their own, what befalls them, and what came of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

from rooms.models import Room
from tests.chaos.people import KEEPALIVE_SECONDS, CarefulFollower, Follower, Ledger, Sender
from tests.chaos.record import Counts, judged, refusals, slowest, unanswered
from tests.chaos.sockets import Address
from tests.chaos.world import World
from tests.people import make_room
from tests.services.service import ServiceError

T = TypeVar("T")

RECOVERY_LIMIT_SECONDS = 10.0
QUICK_SECONDS = 1.0
PATIENCE_SECONDS = 30.0
COURSE_LIMIT_SECONDS = 600.0


@dataclass(frozen=True)
class Load:
    """Who is there. ``pause`` is between two messages of one sender, in seconds, from the least to the most.

    ``messages`` ends the talking after so many altogether, otherwise they talk as long as the fault lasts. ``by_front``
    leads everyone through the proxy before the servers; else each goes to the servers directly.
    """

    senders: int = 4
    followers: int = 6
    pause: tuple[float, float] = (0.04, 0.12)
    messages: int | None = None
    keepalive: float = KEEPALIVE_SECONDS
    by_front: bool = False


Befall = Callable[["Scene"], Awaitable[None]]
MakeFollower = Callable[["Scene", int], Follower]


def careful(scene: Scene, number: int) -> Follower:
    chance, token = random.Random(scene.chance.random()), scene.probes[0].token
    return CarefulFollower(f"follower {number}", scene.addresses, scene.room, token, chance, scene.load.keepalive)


@dataclass(frozen=True)
class Fault:
    """``befall`` does the damage, and returns once it has ended or been recovered from.

    ``load`` is for `make chaos`, ``short_load`` for the test suite; None: the fault takes too long for it. ``follower``
    makes whoever follows: it is where other clients than our own come in.
    """

    name: str
    befall: Befall
    load: Load = Load()
    short_load: Load | None = Load(senders=3, followers=4)
    follower: MakeFollower = careful


@dataclass
class Outcome:
    """``slowest`` is the slowest acknowledgement in seconds; ``is_quick`` says that it must be under one."""

    name: str
    counts: Counts
    recovery: float = inf
    slowest: float = 0.0
    must_be_quick: bool = False
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.failures()

    def failures(self) -> list[str]:
        """What breaks the promise; nothing where it was kept."""
        late = [f"recovered in {self.recovery:.1f} s"] if self.recovery >= RECOVERY_LIMIT_SECONDS else []
        slow = [f"a send took {self.slowest:.1f} s"] if self.must_be_quick and self.slowest >= QUICK_SECONDS else []
        broken = [] if self.counts.is_clean else ["the counts are not zero"]
        return broken + late + slow + self.problems


class Scene:
    """``chance`` is all the chance there is; ``full`` says whether there is time for everything."""

    def __init__(self, world: World, room: Room, load: Load, chance: random.Random, *, full: bool) -> None:
        self.world = world
        self.room = room
        self.load = load
        self.chance = chance
        self.full = full
        self.ledger = Ledger()
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.recovery = 0.0
        self.away: tuple[float, float] | None = None
        self.addresses: Sequence[Address] = [world.front] if load.by_front else world.servers
        self.senders = [self.sender(f"sender {number}", self.addresses) for number in range(load.senders)]
        self.probes = [self.sender(f"probe {number}", [server]) for number, server in enumerate(world.servers)]
        self.followers: list[Follower] = []
        self._is_over = False

    def sender(self, name: str, addresses: Sequence[Address]) -> Sender:
        return Sender(name, addresses, self.room, self.ledger, random.Random(self.chance.random()))

    # What a fault says

    def either(self, in_full: T, in_short: T) -> T:
        return in_full if self.full else in_short

    async def further(self, number: int) -> None:
        """Wait until that many more messages have been acknowledged."""
        await self.ledger.acknowledged.reached(self.ledger.acknowledged.value + number)

    async def recover(self, since: float, *processes: int) -> None:
        """Note how long it takes, from ``since``, until every process takes a message and everyone has heard it.

        ``processes`` are the numbers of those that are there; all, when none is named.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                there = processes or range(len(self.probes))
                sent = await asyncio.gather(*(self.probes[number].say() for number in there))
                await self.all_hear(max(each.sequence or 0 for each in sent))
            is_acknowledged = all(each.is_acknowledged for each in sent)
        except TimeoutError:
            is_acknowledged = False
        self.recovery = max(self.recovery, time.monotonic() - since if is_acknowledged else inf)

    async def all_hear(self, sequence: int) -> None:
        await asyncio.gather(*(follower.hearing.highest.reached(sequence) for follower in self.followers))

    @contextmanager
    def redis_away(self) -> Iterator[None]:
        """What is sent within must be acknowledged at once."""
        since = time.monotonic()
        yield
        self.away = since, time.monotonic()

    async def stored_unanswered(self) -> int:
        """How many messages are in the log whose senders do not know it."""
        keys = {sent.key for sent in self.ledger.in_flight}
        return sum(said.key in keys for said in await self.world.log_of(self.room.pk))

    # The course

    async def play(self, befall: Befall, make_follower: MakeFollower) -> None:
        """Raises what goes wrong with the run itself; what goes wrong with the promise is in the record."""
        for sender in (*self.senders, *self.probes):
            await sender.join()
        self.followers += [make_follower(self, number) for number in range(self.load.followers)]
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(follower.run()) for follower in self.followers]
            talking = [group.create_task(self._talk(sender)) for sender in self.senders]
            await befall(self)
            if not self.recovery:
                await self.recover(time.monotonic())
            self._is_over = True
            await asyncio.gather(*talking)
            await self._hear_the_rest()
            for task in following:
                task.cancel()

    async def close(self) -> None:
        for sender in (*self.senders, *self.probes):
            await sender.close()

    async def _talk(self, sender: Sender) -> None:
        while not self._is_over and not self._has_said_all():
            await sender.say()
            await asyncio.sleep(self.chance.uniform(*self.load.pause))

    def _has_said_all(self) -> bool:
        return self.load.messages is not None and len(self.ledger.sent) >= self.load.messages

    async def _hear_the_rest(self) -> None:
        """What is not heard by then is lost."""
        log = await self.world.log_of(self.room.pk)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.all_hear(log[-1].sequence if log else 0)
        except TimeoutError:
            self.problems.append("some never heard the end of the log")

    async def outcome(self, name: str) -> Outcome:
        sent = self.ledger.sent
        since, until = self.away or (0.0, inf)
        heard = [follower.hearing.stretches for follower in self.followers]
        return Outcome(
            name,
            judged(sent, await self.world.log_of(self.room.pk), heard),
            recovery=self.recovery,
            slowest=slowest([each for each in sent if since <= each.begun <= until]),
            must_be_quick=self.away is not None,
            problems=[*self.problems, *self._refused(), *self._unanswered()],
            notes=[*self.notes, *self._ends()],
        )

    def _refused(self) -> list[str]:
        return [f"{number} refused with {code}" for code, number in refusals(self.ledger.sent).items()]

    def _unanswered(self) -> list[str]:
        return [f"{number} never answered"] if (number := unanswered(self.ledger.sent)) else []

    def _ends(self) -> list[str]:
        ends = sum((follower.ends for follower in self.followers), Counter[str]())
        return ["sockets ended: " + ", ".join(f"{how} × {number}" for how, number in ends.items())] if ends else []


async def played(world: World, fault: Fault, *, seed: int, full: bool) -> Outcome:
    """Let ``fault`` befall ``world`` and return what came of it; ``world`` is whole before and after."""
    load = fault.load if full else fault.short_load or fault.load
    room = await world.servers[0].acall(make_room, slug=f"chaos-{time.monotonic_ns()}")
    scene = Scene(world, room, load, random.Random(f"{seed}:{fault.name}"), full=full)
    try:
        async with asyncio.timeout(COURSE_LIMIT_SECONDS):
            await scene.play(fault.befall, fault.follower)
    except* (TimeoutError, ServiceError) as errors:
        scene.problems += [
            f"broke off: {str(error).partition(':')[0] or 'it took too long'}" for error in errors.exceptions
        ]
        scene.recovery = inf
    finally:
        await scene.close()
        await world.restore()
    return await scene.outcome(fault.name)
