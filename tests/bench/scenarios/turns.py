"""Two sizes of one thing, served at once, by a server each, which take turns: one, other, other, one.

From one minute to the next the machine is faster or slower by more than is to be found out here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Protocol

from tests.bench.contestants import SeededRoom, Server
from tests.bench.cores import Meter, cpu_seconds
from tests.bench.followers import PATIENCE_SECONDS, Crowd, Stalled, joined
from tests.bench.results import COUNTS, Figures
from tests.bench.speakers import Answers, SocketSpeaker, Speaker, speaker

from .common import DISTURBED, Scale, cores, faults, last_answer, looked, settle
from .deliveries import send_and_await
from .sends import Sending

TURN_SECONDS = 2.0


class Side(Protocol):
    """A server of one size, and what is done there when it is its turn."""

    server: Server

    async def work(self, seconds: float) -> int:
        """Return how many deliveries, or sends, there were. Nothing is under way any more. Raises Stalled."""
        ...

    async def found(self) -> Figures:
        """What should all be 0."""
        ...


class Delivering:
    """One sends, the next as soon as all have heard the last."""

    def __init__(self, server: Server, crowd: Crowd, voice: Speaker) -> None:
        self.server = server
        self._crowd = crowd
        self._voice = voice

    async def work(self, seconds: float) -> int:
        before = self._crowd.heard
        if not await send_and_await(self._crowd, self._voice, seconds, 1):
            raise Stalled(f"{self._crowd.heard - before} deliveries, then none")
        return self._crowd.heard - before

    async def found(self) -> Figures:
        return faults([(self._crowd, await last_answer(self._voice))], len(self._voice.answers.refused))


@asynccontextmanager
async def delivering(server: Server, rooms: list[SeededRoom]) -> AsyncIterator[Side]:
    (room,) = rooms
    crowd = Crowd(room.id)
    async with joined(server, [(crowd, room.tokens)]):
        voice = await speaker(server, room.tokens[0], room.id)
        await settle([(crowd, voice)])
        yield Delivering(server, crowd, voice)
        voice.close()


class SendingToAll:
    """A few send to every room in turn; each room has one follower."""

    def __init__(self, server: Server, crowds: list[Crowd], sending: Sending, voices: list[Speaker]) -> None:
        self.server = server
        self._crowds = crowds
        self._sending = sending
        self._voices = voices

    async def work(self, seconds: float) -> int:
        before = self._sending.answered
        self._sending.start()
        await asyncio.sleep(seconds)
        await self._sending.pause()
        return self._sending.answered - before

    async def found(self) -> Figures:
        return faults([(crowd, 0) for crowd in self._crowds], sum(len(each.answers.refused) for each in self._voices))


@asynccontextmanager
async def sending_to_all(server: Server, rooms: list[SeededRoom]) -> AsyncIterator[Side]:
    """It begins when nobody is new to any of the rooms."""
    crowds = [Crowd(room.id) for room in rooms]
    async with joined(server, [(crowd, room.tokens) for crowd, room in zip(crowds, rooms, strict=True)]):
        voices: list[Speaker] = []
        for which, token in enumerate(rooms[0].everywhere):
            share = [room.id for room in rooms[which :: len(rooms[0].everywhere)]]
            voices.append(await SocketSpeaker(token, share, Answers()).open(server))
        sending = Sending(voices)
        sending.start()
        await looked(lambda: sending.answered > 2 * len(rooms), PATIENCE_SECONDS)
        await sending.pause()
        yield SendingToAll(server, crowds, sending, voices)
        await sending.stop()


async def in_turn(few: Side, many: Side, scale: Scale, name: str, words: tuple[str, str]) -> Figures:
    """The CPU of one delivery, or send, at both sizes, and by what that grows: medians over rounds of four turns."""
    for side in (few, many):
        await side.work(scale.warm_seconds)
    meter = Meter([*few.server.pids, *many.server.pids])
    costs = [await one_round(few, many) for _ in range(scale.rounds)]
    meter.stop()
    wrong = [await side.found() for side in (few, many)]
    return {
        "grows": median(there / here for here, there in costs),
        f"{name}, {words[0]}": median(here for here, _ in costs),
        f"{name}, {words[1]}": median(there for _, there in costs),
        DISTURBED: cores(meter)[DISTURBED],
        **{count: sum(each.get(count, 0) for each in wrong) for count in COUNTS},
    }


async def one_round(few: Side, many: Side) -> tuple[float, float]:
    """µs of CPU for one delivery, or send, at each size: of what is used while it is that server's turn."""
    done, used = {few: 0, many: 0}, {few: 0.0, many: 0.0}
    for side in (few, many, many, few):
        before = cpu_seconds(side.server.pids)
        done[side] += await side.work(TURN_SECONDS)
        used[side] += cpu_seconds(side.server.pids) - before
    return 1e6 * used[few] / done[few], 1e6 * used[many] / done[many]
