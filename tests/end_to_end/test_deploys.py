"""What a deploy does to those who talk and those who follow: it costs them a moment."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from itertools import count
from typing import Any

import httpx
import pytest
from pytest_django import DjangoDbBlocker
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from rooms.models import Room
from schema.cursors import log_cursor
from tests.people import make_room
from tests.plugins.servers import Databases, at_once
from tests.services.proxy import Proxy
from tests.services.salas import Salas

from .client import SEND, Client, Event, room_id
from .npm import UNMODIFIED, NpmClient, npm_client

pytestmark = pytest.mark.end_to_end

ENOUGH_SECONDS = 20
RESTART = (1012, "Service restart: come back")

Deploy = Callable[[int], list[Salas]]


@pytest.fixture
def deploy(databases: Databases, redis_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Deploy]:
    """What starts ``manage.py serve`` so many times, on one new database."""
    with ExitStack() as stack:

        def start(number: int) -> list[Salas]:
            url = databases.new(stack, scaled=True)
            options = ["--spread-seconds=0.5"]
            servers = [Salas(url, redis_url, None, django_db_blocker.unblock, options) for _ in range(number)]
            stack.callback(at_once, Salas.close, servers)
            return at_once(Salas.start, servers)

        yield start


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENOUGH_SECONDS):
        while not condition():  # noqa: ASYNC110  # a server, or a client of npm, has no event to wait for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def meanwhile(*work: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Have something done within."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Ledger:
    """What was said in a room, each under its text as the key: the sequence that was answered, None for no answer."""

    def __init__(self) -> None:
        self.said: dict[str, int | None] = {}
        self.over = asyncio.Event()

    @property
    def unanswered(self) -> list[str]:
        return [key for key, sequence in self.said.items() if sequence is None]

    @property
    def answered(self) -> int:
        return len(self.said) - len(self.unanswered)

    async def more_answers(self, number: int) -> None:
        enough = self.answered + number
        await until(lambda: self.answered >= enough)

    async def say(self, who: Client, room: Room, key: str) -> None:
        """Send once. Raises httpx.TransportError where there is no answer."""
        self.said.setdefault(key, None)
        self.said[key] = (await who.send(room, key, key))["message"]["sequence"]

    async def talk_until_there_is_no_answer(self, who: Client, room: Room, name: str) -> None:
        with suppress(httpx.TransportError):
            for number in count():
                await self.say(who, room, f"{name} {number}")

    async def talk_until_it_is_over(self, who: Client, room: Room, name: str) -> None:
        """Say again what was not answered before saying anything new."""
        for number in count():
            key = f"{name} {number}"
            while self.said.get(key) is None:
                if self.over.is_set() and key not in self.said:
                    return
                with suppress(httpx.TransportError):
                    await self.say(who, room, key)

    def assert_was_heard_by(self, events: list[Event]) -> None:
        """All was stored once, where its sender was told, and heard once and in order."""
        assert [event["sequence"] for event in events] == list(range(1, len(self.said) + 1))
        assert {event["message"]["text"]: event["sequence"] for event in events} == self.said


class Follower:
    """Comes back as clients do, ``after`` what it has heard. ``ends`` is how its sockets were closed."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ends: list[tuple[int, str] | None] = []

    async def follow(self, who: Client, room: Room) -> None:
        while True:
            after = self.events[-1]["cursor"] if self.events else log_cursor(room.pk, 0)
            try:
                async with who.follow(room, after) as subscription:
                    while True:
                        self.events.append(await subscription.event())
            except ConnectionClosed as closed:
                self.ends.append((closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else None)
            except (OSError, InvalidHandshake):
                await asyncio.sleep(0.05)  # no server there, at the moment


@asynccontextmanager
async def npm_follower(name: str, server: Proxy, who: Client, room: Room) -> AsyncIterator[set[int]]:
    """A client from npm as it comes, and with which sequences it has heard until now."""
    heard: set[int] = set()

    async def read(client: NpmClient) -> None:
        async for line in client.lines():
            if line["type"] == "heard":
                heard.add(line["sequence"])

    async with npm_client(name, server.graphql_url, who.token or "", room) as client, meanwhile(read(client)):
        yield heard
        assert client.process.returncode is None, f"{name} has given up"


async def ended_in_order(server: Salas) -> None:
    """Raises what tells that ten seconds were not enough."""
    assert await asyncio.to_thread(server.ended) == 0


async def test_what_is_under_way_when_a_server_ends_is_answered_or_can_be_said_again(deploy: Deploy) -> None:
    (server,) = deploy(1)
    room = await server.acall(make_room)
    ledger, follower = Ledger(), Follower()
    async with Client(server) as someone:
        ana = await someone.join(room)
        talking = [ledger.talk_until_there_is_no_answer(ana, room, str(number)) for number in range(6)]
        async with meanwhile(follower.follow(ana, room), *talking) as (_, *talks):
            await until(lambda: len(follower.events) >= 30)
            server.signal(signal.SIGTERM)
            await asyncio.wait_for(asyncio.gather(*talks), ENOUGH_SECONDS)
            await ended_in_order(server)
            await asyncio.to_thread(server.start)
            for key in ledger.unanswered:
                await ledger.say(ana, room, key)
            await until(lambda: len(follower.events) >= len(ledger.said))
    assert follower.ends == [RESTART]
    ledger.assert_was_heard_by(follower.events)


async def test_mutations_on_a_socket_are_answered_before_it_is_closed(deploy: Deploy) -> None:
    (server,) = deploy(1)
    room = await server.acall(make_room)
    async with Client(server) as someone:
        ana = await someone.join(room)
        async with ana.socket() as socket:
            for number in range(20):
                variables = {"input": {"roomId": room_id(room), "text": str(number)}}
                payload = {"query": SEND, "variables": variables}
                await socket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": payload}))
            answers = [json.loads(await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS))]  # the server is at it
            server.signal(signal.SIGTERM)
            with suppress(ConnectionClosed):
                while True:
                    answers.append(json.loads(await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS)))
            assert (socket.close_code, socket.close_reason) == RESTART
        await ended_in_order(server)
    sent = [answer["payload"]["data"]["sendMessage"] for answer in answers if answer["type"] == "next"]
    assert sorted(each["message"]["sequence"] for each in sent) == list(range(1, 21))


async def test_a_rolling_restart_under_load_loses_nothing(deploy: Deploy) -> None:
    one, other = deploy(2)
    room = await one.acall(make_room)
    ledger, followers = Ledger(), [Follower(), Follower()]
    async with (
        Proxy([one.url, other.url]) as front,
        Client(front) as someone,  # type: ignore[arg-type]  # it has the addresses of a server
        AsyncExitStack() as stack,
    ):
        ana = await someone.join(room)
        talking = [ledger.talk_until_it_is_over(ana, room, str(number)) for number in range(2)]
        following = [follower.follow(ana, room) for follower in followers]
        unmodified = [await stack.enter_async_context(npm_follower(name, front, ana, room)) for name in UNMODIFIED]
        async with meanwhile(*talking, *following) as tasks:
            await until(lambda: all(unmodified))
            await ledger.more_answers(20)
            one.signal(signal.SIGTERM)
            await ended_in_order(one)
            await asyncio.to_thread(one.start)
            await ledger.more_answers(20)
            other.signal(signal.SIGTERM)
            await ended_in_order(other)
            await ledger.more_answers(20)
            ledger.over.set()
            await asyncio.wait_for(asyncio.gather(*tasks[: len(talking)]), ENOUGH_SECONDS)
            await until(lambda: all(len(each.events) >= len(ledger.said) for each in followers))
            await until(lambda: all(len(heard) >= len(ledger.said) for heard in unmodified))
    for follower in followers:
        ledger.assert_was_heard_by(follower.events)
        assert set(follower.ends) <= {RESTART}
    assert any(follower.ends for follower in followers)
