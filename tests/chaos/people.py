"""Senders and followers who are as careful as the promise asks of a client, and no more.

A sender says a thing again under the same key until it is acknowledged or refused for good. A follower comes back with
``after`` at the last cursor that it heard. Both go to another address when one fails them.

Concurrency: one event loop; one task per person.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from math import inf
from typing import Any, NoReturn, Protocol

import httpx
import websockets
from websockets.exceptions import ConnectionClosed, WebSocketException

from rooms.models import Room
from schema.cursors import log_cursor
from tests.chaos.mark import Mark
from tests.chaos.record import Said, Sent, Stretch
from tests.chaos.sockets import Address, connected, next_message, subscribe
from tests.end_to_end.client import JOIN, SEND, Event, room_id

ANSWER_SECONDS = 5.0
KEEPALIVE_SECONDS = 4.0
GIVE_UP_SECONDS = 60.0
FAULTS_OF_THE_SERVER = {"INTERNAL_SERVER_ERROR", "RATE_LIMITED"}  # no word on the message: say it again


class Ledger:
    """Everything that was said in one room; ``acknowledged`` counts messages, not answers."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.acknowledged = Mark()

    def open(self, key: str, text: str) -> Sent:
        self.sent.append(sent := Sent(key, text, begun=time.monotonic()))
        return sent

    def acknowledge(self, sent: Sent, sequence: int) -> None:
        sent.sequence, sent.seconds = sequence, time.monotonic() - sent.begun
        self.acknowledged.raise_to(self.acknowledged.value + 1)

    def forget_acknowledged_but(self, kept: Collection[str | None]) -> int:
        """Forget what was acknowledged and is not among those keys: it was lost on purpose. Return how much that is."""
        left = [sent for sent in self.sent if not sent.is_acknowledged or sent.key in kept]
        forgotten, self.sent = len(self.sent) - len(left), left
        return forgotten

    @property
    def in_flight(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.attempts and not sent.is_acknowledged and sent.refusal is None]


class Sender:
    """A guest who talks. ``addresses`` are tried in turn, beginning anywhere; ``pause`` is between two messages."""

    def __init__(
        self, name: str, addresses: Sequence[Address], room: Room, ledger: Ledger, chance: random.Random
    ) -> None:
        self.name = name
        self._room = room
        self._ledger = ledger
        self._chance = chance
        self._turns = in_turn(addresses, chance)
        self._address = next(self._turns)
        self._http = httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False)
        self._numbers = count(1)
        self.token = ""

    async def join(self) -> Sender:
        given = {"slug": self._room.slug, "displayName": self.name}
        answer = await self._post(JOIN, given)
        self.token = answer["data"]["joinRoom"]["token"]
        return self

    async def say(self) -> Sent:
        """Say something new, until the server's last word on it or for ``GIVE_UP_SECONDS``."""
        key = f"{self.name}:{next(self._numbers)}:{self._chance.getrandbits(32):08x}"
        sent = self._ledger.open(key, text=f"said under {key}")
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while not await self.attempt(sent):
                    self._address = next(self._turns)
                    await asyncio.sleep(self._chance.uniform(0.05, 0.25))
        except TimeoutError:
            pass  # neither acknowledged nor refused: the record shows it
        return sent

    async def attempt(self, sent: Sent, address: Address | None = None) -> bool:
        """Try once; return whether the answer, if any, is the last word."""
        sent.attempts += 1
        given = {"roomId": room_id(self._room), "text": sent.text, "idempotencyKey": sent.key}
        try:
            answer = await self._post(SEND, given, address)
        except (httpx.TransportError, ValueError):  # ValueError: what a dying server or a proxy said is no JSON
            return False
        if errors := answer.get("errors"):
            code = errors[0].get("extensions", {}).get("code", "no code")
            if code not in FAULTS_OF_THE_SERVER:
                sent.refusal = code
            return code not in FAULTS_OF_THE_SERVER
        sequence = answer["data"]["sendMessage"]["message"]["sequence"]
        sent.answers.append(sequence)
        if not sent.is_acknowledged:
            self._ledger.acknowledge(sent, sequence)
        return True

    async def close(self) -> None:
        await self._http.aclose()

    async def _post(self, document: str, given: dict[str, Any], address: Address | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": document, "variables": {"input": given}}
        response = await self._http.post((address or self._address).graphql_url, json=body, headers=headers)
        answer: dict[str, Any] = response.json()
        return answer


class Hearing:
    """What one follower heard, in the order in which it came; ``highest`` is the highest sequence."""

    def __init__(self) -> None:
        self.stretches = [Stretch(inf)]
        self.highest = Mark()

    def note(self, said: Said) -> None:
        self.stretches[-1].said.append(said)
        self.highest.raise_to(said.sequence)

    def begin_again(self, confirmed: float) -> None:
        """Who has come back may hear again what comes after ``confirmed``."""
        self.stretches.append(Stretch(confirmed))


class Follower(Protocol):
    """Anybody who follows the room from its beginning, such as a client from npm that knows nothing of cursors."""

    hearing: Hearing
    ends: Counter[str]  # how connections ended, by what the client saw

    async def run(self) -> None:
        """Follow until cancelled."""
        ...


class Ended(Exception):
    """The server ended the subscription and left the socket open."""


class CarefulFollower:
    """Follows with ``after``. After ``keepalive`` seconds of silence it pings, and after as many more it comes back."""

    def __init__(
        self,
        name: str,
        addresses: Sequence[Address],
        room: Room,
        token: str,
        chance: random.Random,
        keepalive: float = KEEPALIVE_SECONDS,
    ) -> None:
        self.hearing = Hearing()
        self.ends: Counter[str] = Counter()
        self._room = room
        self._token = token
        self._chance = chance
        self._keepalive = keepalive
        self._turns = in_turn(addresses, chance)
        self._operation_id = f"{name}-{chance.getrandbits(32):08x}"
        self._cursor = log_cursor(room.pk, 0, room.epoch)

    async def run(self) -> None:
        while True:
            try:
                async with connected(next(self._turns), self._token) as socket:
                    await self._follow(socket)
            except (OSError, WebSocketException, TimeoutError, Ended) as error:
                self.ends[described(error)] += 1
            await asyncio.sleep(self._chance.uniform(0.05, 0.25))

    async def _follow(self, socket: websockets.ClientConnection) -> NoReturn:
        await subscribe(socket, self._operation_id, self._room, self._cursor)
        while True:
            message = await next_message(socket, self._keepalive)
            match message["type"]:
                case "error" as kind:
                    raise Ended(kind)
                case _:
                    await self._take(socket, message)

    async def _take(self, socket: websockets.ClientConnection, message: dict[str, Any]) -> None:
        match message["type"]:
            case "next" if not message["payload"].get("errors"):
                self._note(message["payload"]["data"]["messages"])
            case "ping":
                await socket.send(json.dumps({**message, "type": "pong"}))
            case "next" | "complete" as kind:
                raise Ended(kind)

    def _note(self, event: Event) -> None:
        self._cursor = event["cursor"]
        message = event["message"]
        self.hearing.note(Said(event["sequence"], message["idempotencyKey"], message["text"]))


def in_turn(addresses: Sequence[Address], chance: random.Random) -> Iterator[Address]:
    """Go through them for ever, beginning anywhere."""
    for number in count(chance.randrange(len(addresses))):
        yield addresses[number % len(addresses)]


def described(error: Exception) -> str:
    """The close code, or what else happened."""
    if isinstance(error, ConnectionClosed):
        return str(error.rcvd.code if error.rcvd else 1006)
    return str(error) if isinstance(error, Ended) else type(error).__name__
