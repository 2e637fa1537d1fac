"""What a server writes down of a whole day: who did what and how it ended, and nothing of what they said or hid."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import websockets
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import DjangoDbBlocker
from websockets.exceptions import ConnectionClosed

from rooms import services
from rooms.models import Room, RoomAccess
from schema.transport import PROTOCOL
from tests.plugins.servers import Databases
from tests.services.salas import Salas

from .client import JOIN, SEND, Client, room_id

pytestmark = pytest.mark.end_to_end

CANARY = f"canary{uuid4().hex[:12]}"
"""In everything that is nobody else's to know."""

SEARCH = "query Search($search: String!) { rooms(search: $search) { edges { node { slug } } } }"
CRASHING = f"{CANARY} crash"


@pytest.fixture
def server(databases: Databases, redis_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Salas]:
    """One that writes down whatever it and its libraries have to say."""
    with ExitStack() as stack:
        url = databases.new(stack, scaled=True)
        variables = {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json"}
        server = Salas(url, redis_url, variables, django_db_blocker.unblock, ["--access-log", "--spread-seconds=0"])
        stack.callback(server.close)
        yield server.start()


@pytest_asyncio.fixture
async def http(server: Salas) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield client


def furnish() -> Room:
    User.objects.create_superuser("staff", password=f"{CANARY} password")
    room = services.create_room(slug="books", name="Books", access=RoomAccess.PASSWORD, password=f"{CANARY} room")
    refuse = f"ALTER TABLE rooms_message ADD CONSTRAINT refused CHECK (text <> '{CRASHING}')"
    with connection.cursor() as cursor:
        cursor.execute(refuse)
    return room


BEARER = {"authorization": f"Bearer {CANARY}"}


async def sockets(client: Client, room: Room) -> None:
    async with client.follow(room) as subscription:
        await client.send(room, f"{CANARY} text", f"{CANARY} key")
        assert await subscription.texts(1) == [f"{CANARY} text"]
    for headers, frames in (
        ({"Cookie": f"sessionid={CANARY}"}, [{"type": "connection_init", "payload": BEARER}, CANARY]),
        ({"Authorization": f"Bearer {CANARY}"}, [{"type": "connection_init"}, {"type": CANARY}]),
        ({}, [{"type": "connection_init"}, {"type": "subscribe", "id": CANARY, "payload": {"query": CANARY}}, CANARY]),
    ):
        await say_to_a_socket(client.server, headers, frames)


async def say_to_a_socket(server: Salas, headers: dict[str, str], frames: list[Any]) -> None:
    """Say something that ends the socket; return when it has."""
    headers = {"Origin": server.url, **headers}
    async with websockets.connect(
        f"{server.websocket_url}?token={CANARY}",
        subprotocols=[websockets.Subprotocol(PROTOCOL)],
        additional_headers=headers,
    ) as socket:
        with suppress(ConnectionClosed):
            for frame in frames:
                await socket.send(json.dumps(frame))
            while True:
                await asyncio.wait_for(socket.recv(), 10)


async def requests(client: Client, room: Room, http: httpx.AsyncClient) -> None:
    await client.execute(JOIN, input={"slug": "books", "displayName": f"{CANARY} name", "password": f"{CANARY} wrong"})
    await client.execute(JOIN, input={"slug": f"{CANARY}", "displayName": "", "password": CANARY})
    await client.execute(SEARCH, search=CANARY)
    await client.execute(SEND, input={"roomId": room_id(room), "text": {"wrong": CANARY}})
    await client.execute(f'{{ room(slug: "{CANARY}") {{ nothing }} }}')
    crashed = await client.execute(SEND, input={"roomId": room_id(room), "text": CRASHING})
    assert crashed["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    for headers, body in (
        ({"Authorization": f"Bearer {CANARY}"}, '{"query": "{ viewer { isGuest } }"}'),
        (
            {"Cookie": f"sessionid={CANARY}; other={CANARY}", "Origin": str(http.base_url)},
            '{"query": "{ viewer { id } }"}',
        ),
        ({}, f'{{"query": "{CANARY}'),
        ({"X-CSRFToken": CANARY, "Cookie": "sessionid=x"}, f'["{CANARY}"]'),
    ):
        all_headers = {"Content-Type": "application/json", **headers}
        await http.post("/graphql/", params={"variables": CANARY}, content=body, headers=all_headers)
    await http.get("/graphql/", params={"query": f"{{ {CANARY} }}", "token": CANARY})


async def use_the_admin(http: httpx.AsyncClient) -> None:
    page = (await http.get("/admin/login/", params={"next": "/admin/", "token": CANARY})).text
    token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    for password, status in ((f"{CANARY} wrong", 200), (f"{CANARY} password", 302)):
        data = {"username": "staff", "password": password, "csrfmiddlewaretoken": token[1]}
        assert (await http.post("/admin/login/?next=/admin/", data=data)).status_code == status
    await http.post("/admin/rooms/room/add/", data={"name": CANARY})
    await http.get("/admin/rooms/message/", params={"q": CANARY})


def lines(server: Salas, logger: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return [line for line in found if line["logger"] == logger]


async def test_nothing_that_is_to_be_kept_is_in_the_log(server: Salas, http: httpx.AsyncClient) -> None:
    room = await server.acall(furnish)
    async with Client(server, http=httpx.AsyncClient(headers={"Origin": server.url})) as client:
        await client.join(room, f"{CANARY} name", f"{CANARY} room")
        kept = [str(client.token), client.session_cookie.partition("=")[2]]
        await sockets(client, room)
        await requests(client, room, http)
    await use_the_admin(http)
    kept += [cookie.value or "" for cookie in http.cookies.jar]
    server.stop()
    assert "IntegrityError" in server.log
    assert "DEBUG" in server.log
    assert len(kept) == 4
    assert [each for each in (CANARY, *kept) if each in server.log] == []


async def test_a_line_says_who_did_what_and_how_it_ended(server: Salas) -> None:
    room = await server.acall(furnish)
    async with Client(server) as client:
        await client.join(room, "Ana", f"{CANARY} room")
        await client.execute("query Nothing { room(slug: 1) { id } }")
        await client.execute("query Who { viewer { isGuest } }")
        async with client.subscribe("query Who { viewer { isGuest } }") as subscription:
            assert (await subscription.message())["type"] == "next"
            assert (await subscription.message())["type"] == "complete"
        async with client.follow(room):
            pass
    server.stop()
    written = lines(server, "schema.tracing")
    assert all(line["seconds"] > 0 and line["level"] == "INFO" for line in written)
    assert len({line["request_id"] for line in written}) == len(written)
    kinds = [(line["message"].split()[0], line.get("operation"), line["viewer"], line["status"]) for line in written]
    guest = kinds[0][2]
    assert re.fullmatch("guest:[0-9]+", guest)
    assert kinds[:3] == [("HTTP", None, guest, 200), ("HTTP", "Nothing", guest, 200), ("HTTP", "Who", guest, 200)]
    assert ("Operation", "Who", guest, "complete") in kinds
    assert kinds.count(("Socket", None, guest, 1000)) == 2


async def test_who_cannot_read_json_reads_lines(databases: Databases, django_db_blocker: DjangoDbBlocker) -> None:
    with ExitStack() as stack:
        url = databases.new(stack, scaled=False)
        server = Salas(url, "", {"LOG_LEVEL": "INFO"}, django_db_blocker.unblock, ["--spread-seconds=0"])
        stack.callback(server.close)
        server.start()
        async with Client(server) as client:
            await client.execute("query Who { viewer { isGuest } }")
        server.stop()
        assert re.search(r"^\S+ \S+ INFO schema.tracing: HTTP Who by nobody: 200", server.log, re.MULTILINE)
