"""Sends a second: each stored for good and authorised before it is answered; nobody follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tests.bench.contestants import Contestant, SeededRoom, Server
from tests.bench.cores import Meter
from tests.bench.results import Figures
from tests.bench.speakers import Answers, HttpSpeaker, SocketSpeaker, Speaker

from .common import ANSWER_SECONDS, GRAPHQL_KINDS, Scale, Scenario, cores, looked, run

SENDERS = 32

Open = Callable[[Server, str, str, Answers], Awaitable[Speaker]]


async def over_http(server: Server, token: str, room: str, answers: Answers) -> Speaker:
    return await HttpSpeaker(token, room, answers).open(server)


async def over_websocket(server: Server, token: str, room: str, answers: Answers) -> Speaker:
    return await SocketSpeaker(token, [room], answers).open(server)


class Sending:
    """Everybody sends again as soon as they are answered, until ``pause`` or ``stop``."""

    def __init__(self, speakers: list[Speaker]) -> None:
        self._speakers = speakers
        self._paused = False
        self.answered = 0
        for each in speakers:
            each.answers.on_answer = partial(self._go_on, each)

    def start(self) -> None:
        self._paused = False
        for each in self._speakers:
            each.send()

    async def pause(self) -> None:
        """Return when everybody has been answered."""
        self._paused = True
        await looked(lambda: not any(each.unanswered for each in self._speakers), ANSWER_SECONDS)

    async def stop(self) -> None:
        await self.pause()
        for each in self._speakers:
            each.close()

    def _go_on(self, speaker: Speaker) -> None:
        self.answered += 1
        if not self._paused:
            speaker.send()


async def send(server: Server, rooms: list[SeededRoom], open_speaker: Open, scale: Scale) -> Figures:
    said: dict[str, list[Answers]] = {}
    speakers = []
    for room in rooms:
        for token in room.tokens:
            said.setdefault(room.id, []).append(answers := Answers())
            speakers.append(await open_speaker(server, token, room.id, answers))
    sending = Sending(speakers)
    sending.start()
    await asyncio.sleep(scale.warm_seconds)
    before, meter = sending.answered, Meter(server.pids)
    await asyncio.sleep(scale.seconds)
    meter.stop()
    sent = sending.answered - before
    await sending.stop()
    return {
        "sends a second": sent / meter.seconds,
        "CPU µs per send": 1e6 * meter.cpu_seconds / max(sent, 1),
        **cores(meter),
        "wrong sequences": sum(wrong_sequences(of_room) for of_room in said.values()),
        "refused": sum(len(answers.refused) for of_room in said.values() for answers in of_room),
    }


def wrong_sequences(of_room: list[Answers]) -> int:
    """How far what a room's senders were told is from 1, 2, 3 …, each once."""
    told = sorted(sequence for answers in of_room for sequence in answers.sequences)
    return sum(got != wanted for wanted, got in enumerate(told, 1))


def scenario(how: str, open_speaker: Open, rooms: int) -> Scenario:
    def measure(contestant: Contestant, scale: Scale) -> Figures:
        seeded = contestant.rooms(rooms, members=SENDERS // rooms)
        with contestant.serving() as server:
            return run(send(server, seeded, open_speaker, scale))

    where = "one room" if rooms == 1 else "a room each"
    name = f"sends-{how.lower()}{'' if rooms == 1 else '-apart'}"
    return Scenario(
        name, f"Durable sends over {how}, {SENDERS} senders, {where}", "sends a second", measure, GRAPHQL_KINDS
    )


SENDS = [
    scenario(how, open_speaker, rooms)
    for how, open_speaker in (("HTTP", over_http), ("WebSocket", over_websocket))
    for rooms in (1, SENDERS)
]
