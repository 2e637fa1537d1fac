"""``config.asgi:application`` under uvicorn; other end-to-end tests have it under plain Daphne and our own server."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from pytest_django import DjangoDbBlocker
from websockets import ClientConnection
from websockets.exceptions import InvalidStatus

from rooms.models import Room
from schema.closing import BAD_REQUEST, NO_RECEIPT, SERVICE_RESTART
from schema.cursors import log_cursor
from tests.people import make_room
from tests.plugins.servers import Databases, at_once
from tests.services.proxy import Proxy
from tests.services.salas import Salas
from tests.services.service import wait_until

from .client import FOLLOW, Client, Subscription, room_id
from .mute import mute_follower, room_with_much_to_say

pytestmark = pytest.mark.end_to_end

ENOUGH_SECONDS = 20
GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"
ENVIRONMENT = {"SALAS_LIMIT_SOCKET_SILENCE_SECONDS": "3"}
THE_SAME = str(uuid4())  # as clients make ids, and send them again


class Uvicorn(Salas):
    options: ClassVar[tuple[str, ...]] = ()
    listening: ClassVar[re.Pattern[str]] = re.compile(r"running on http://127\.0\.0\.1:(\d+)")

    def program(self) -> list[str]:
        return [sys.executable, "-m", "uvicorn", "config.asgi:application", *self.options, f"--port={self.port}"]


class UvicornAsDocumented(Uvicorn):
    options = ("--ws-ping-interval=0", "--ws-max-size=262144", "--timeout-graceful-shutdown=10")


@pytest.fixture(scope="module")
def pair(databases: Databases, redis_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Salas]]:
    """Two processes on one database, with the options that uvicorn comes with, and with those that we recommend."""
    with ExitStack() as stack:
        url = databases.new(stack, scaled=True)
        servers: list[Salas] = [
            server(url, redis_url, ENVIRONMENT, django_db_blocker.unblock) for server in (Uvicorn, UvicornAsDocumented)
        ]
        stack.callback(at_once, Salas.close, servers)
        yield at_once(Salas.start, servers)


async def test_what_is_sent_to_either_is_heard_at_both(pair: list[Salas]) -> None:
    one, other = pair
    room = await one.acall(make_room)
    async with Client(one) as someone:
        ana = await someone.join(room)
        async with ana.follow(room) as at_one, ana.at(other).follow(room) as at_other:
            for number, server in enumerate(pair * 10):
                await ana.at(server).send(room, str(number))
                assert [await each.texts(1) for each in (at_one, at_other)] == [[str(number)]] * 2


@pytest.mark.parametrize("processes", ["pair", "scaled_servers"], ids=["uvicorn", "Daphne"])
async def test_who_is_cut_off_goes_on_after_what_was_confirmed(processes: str, request: pytest.FixtureRequest) -> None:
    """The same operation again, ``after`` where it first began. The servers tell of the cut in different ways."""
    servers: list[Salas] = request.getfixturevalue(processes)
    room = await servers[0].acall(make_room)
    async with Client(servers[0]) as someone, Proxy([server.url for server in servers]) as way:
        ana = await someone.join(room)
        async with ana.at(way).socket() as socket:  # type: ignore[arg-type]  # it has the addresses of a server
            subscription = await follow_from_the_beginning(socket, room)
            for text in ("one", "two"):
                await ana.send(room, text)
                assert await subscription.texts(1) == [text]
            await confirm_everything(socket)
            way.cut_all()
            await asyncio.wait_for(socket.wait_closed(), ENOUGH_SECONDS)
        await ana.send(room, "three")
        async with ana.at(way).socket() as socket:  # type: ignore[arg-type]
            assert await (await follow_from_the_beginning(socket, room)).texts(1) == ["three"]


async def test_who_takes_nothing_is_sent_away(pair: list[Salas]) -> None:
    """Daphne buffers what is sent; uvicorn has the application wait."""
    room = await pair[0].acall(room_with_much_to_say)
    async with mute_follower(pair[0], room):
        assert await asyncio.to_thread(wait_until, lambda: f"by nobody: {NO_RECEIPT}" in pair[0].log, ENOUGH_SECONDS)


async def test_a_bad_frame_ends_the_socket_with_its_code(pair: list[Salas]) -> None:
    async with Client(pair[0]) as nobody, nobody.socket() as socket:
        await socket.send("[]")
        await asyncio.wait_for(socket.wait_closed(), ENOUGH_SECONDS)
        assert socket.close_code == BAD_REQUEST


async def test_a_page_of_another_site_gets_no_socket(pair: list[Salas]) -> None:
    async with Client(pair[0]) as page:
        with pytest.raises(InvalidStatus, match="403"):
            async with page.socket(Origin="https://evil.example"):
                pass


async def test_nothing_of_that_is_a_failure(pair: list[Salas]) -> None:
    """Last: what the servers have logged until now."""
    for server in pair:
        assert "Traceback" not in server.log
        assert " ERROR " not in server.log


def test_the_documentation_shows_how_it_was_run() -> None:
    command = " ".join(("uvicorn config.asgi:application", *UvicornAsDocumented.options))
    assert f"`{command}`" in GUARANTEES.read_text()


async def test_sockets_are_sent_elsewhere_when_it_ends(pair: list[Salas]) -> None:
    """By uvicorn itself: with the code, if no reason."""
    server = pair[1]
    async with Client(server) as nobody, nobody.socket() as socket:
        await asyncio.to_thread(server.stop)
        await asyncio.wait_for(socket.wait_closed(), ENOUGH_SECONDS)
        assert socket.close_code == SERVICE_RESTART


async def follow_from_the_beginning(socket: ClientConnection, room: Room) -> Subscription:
    payload = {"query": FOLLOW, "variables": {"roomId": room_id(room), "after": log_cursor(room.pk, 0)}}
    await socket.send(json.dumps({"type": "subscribe", "id": THE_SAME, "payload": payload}))
    return Subscription(socket)


async def confirm_everything(socket: ClientConnection) -> None:
    """Return once the server has taken the receipt of what was heard last."""
    ping = await received(socket)
    assert ping["type"] == "ping"
    await socket.send(json.dumps({"type": "pong", "payload": ping["payload"]}))
    await socket.send(json.dumps({"type": "ping"}))
    assert await received(socket) == {"type": "pong"}


async def received(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS))
