"""Over ``manage.py serve`` and a network, what ``tests/schema/test_other_clients.py`` shows without."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets
from pytest_django import DjangoDbBlocker

from rooms.models import Room
from schema.closing import BAD_REQUEST, SUBPROTOCOL_NOT_ACCEPTABLE
from schema.cursors import log_cursor
from schema.pacing import FIRST_WINDOW_BYTES
from schema.transport import PROTOCOL
from tests.people import make_guest, make_room, send
from tests.plugins.servers import Databases
from tests.services.salas import Salas

from .client import FOLLOW, room_id
from .npm import npm_program

pytestmark = pytest.mark.end_to_end

ENOUGH_SECONDS = 60
QUERY = "{ __typename }"
MESSAGES = 40
NO_TEXT, TOO_BIG = 1007, 1009


@pytest.fixture(scope="module")
def server(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Salas]:
    environment = {"SALAS_LIMIT_SOCKET_FRAMES_PER_SECOND": "0"}
    with ExitStack() as stack:
        server = Salas(databases.new(stack, scaled=False), "", environment, django_db_blocker.unblock, [])
        stack.callback(server.close)
        yield server.start()


@asynccontextmanager
async def connected(server: Salas, *subprotocols: str) -> AsyncIterator[websockets.ClientConnection]:
    offered = [websockets.Subprotocol(each) for each in subprotocols or (PROTOCOL,)]
    async with websockets.connect(server.websocket_url, subprotocols=offered, ping_interval=None) as socket:
        yield socket


async def received(socket: websockets.ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS))


async def ended(socket: websockets.ClientConnection) -> tuple[int | None, str | None]:
    await asyncio.wait_for(socket.wait_closed(), ENOUGH_SECONDS)
    return socket.close_code, socket.close_reason


def room_with_more_than_a_window() -> Room:
    room = make_room()
    guest = make_guest(room)
    for _ in range(MESSAGES):
        send(guest, room, "x" * (2 * FIRST_WINDOW_BYTES // MESSAGES))
    return room


def subscribe(room: Room) -> str:
    variables = {"roomId": room_id(room), "after": log_cursor(room.pk, 0)}
    return json.dumps({"type": "subscribe", "id": "1", "payload": {"query": FOLLOW, "variables": variables}})


def in_pieces(data: bytes) -> Iterable[bytes]:
    return [data[:5], data[5:9], b"", data[9:]]


# Binary frames


@pytest.mark.parametrize("is_fragmented", [False, True], ids=["whole", "in fragments"])
async def test_a_client_that_sends_binary_frames_only_follows_a_room(server: Salas, is_fragmented: bool) -> None:
    """Its receipts go the short way, and are taken there."""
    room = await server.acall(room_with_more_than_a_window)
    async with connected(server) as socket:

        async def say(text: str) -> None:
            await socket.send(in_pieces(text.encode()) if is_fragmented else text.encode())

        await say('{"type":"connection_init"}')
        assert await received(socket) == {"type": "connection_ack"}
        await say(subscribe(room))
        heard = 0
        while heard < MESSAGES:
            message = await received(socket)
            heard += message["type"] == "next"
            if message["type"] == "ping":
                await say(json.dumps({"type": "pong", "payload": message["payload"]}, separators=(",", ":")))


@pytest.mark.parametrize(
    ("data", "is_text", "code", "reason"),
    [
        (b"\xff", False, BAD_REQUEST, "A binary frame must hold a message as text in UTF-8"),
        (b'{"type":"pong","payload":{"receipt":1}}\xff', False, BAD_REQUEST, "A binary frame must hold"),
        (b"", False, BAD_REQUEST, "A message must be a JSON object"),
        (b"x" * (256 * 1024 + 1), False, TOO_BIG, "exceeds payload limit of 262144 octets"),
        (b"\xff", True, NO_TEXT, "A text must be UTF-8"),
    ],
    ids=["no UTF-8", "a receipt and more", "empty", "too long", "a text that is none"],
)
async def test_what_is_no_message_ends_the_socket_and_says_why(
    server: Salas, data: bytes, is_text: bool, code: int, reason: str
) -> None:
    async with connected(server) as socket:
        await socket.send(data, text=is_text)
        found, says = await ended(socket)
        assert found == code
        assert reason in (says or "")


# Clients that answer no ping of the protocol


@pytest.mark.parametrize("params", [{}, {"pings": False}], ids=["pings are not answered", "pings are not wanted"])
async def test_a_client_that_answers_no_ping_hears_all(server: Salas, params: dict[str, Any]) -> None:
    """Its WebSocket answers those of its own; only where the client has not said so, five seconds pass before."""
    room = await server.acall(room_with_more_than_a_window)
    async with connected(server) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": params}))
        assert await received(socket) == {"type": "connection_ack"}
        await socket.send(subscribe(room))
        kinds: Counter[str] = Counter()
        while kinds["next"] < MESSAGES:
            kinds[(await received(socket))["type"]] += 1
        assert bool(kinds["ping"]) is (params == {})


# Many operations at once


@pytest.mark.parametrize("number", [100, 1_000])
async def test_queries_that_are_sent_all_at_once_are_all_answered(server: Salas, number: int) -> None:
    async with connected(server) as socket:
        await socket.send('{"type":"connection_init"}')
        assert await received(socket) == {"type": "connection_ack"}
        for each in range(number):
            message = {"type": "subscribe", "id": str(each), "payload": {"query": QUERY}}
            await socket.send(json.dumps(message))
        kinds: Counter[str] = Counter()
        while kinds["complete"] < number:
            message = await received(socket)
            kinds[message["type"]] += 1
            if message["type"] == "ping":
                await socket.send(json.dumps({"type": "pong", "payload": message["payload"]}))
        assert (kinds["next"], kinds["error"]) == (number, 0)


# Subprotocols


async def test_clients_of_the_legacy_protocol_see_which_one_to_set(server: Salas) -> None:
    """Without a subprotocol in the answer, browsers and ``ws`` end with 1006, and show nothing."""
    async with npm_program("legacy.mjs", {"SALAS_URL": server.graphql_url}, "graphql-ws") as program:
        found = [line async for line in program.lines()]
    reason = "Subprotocol not acceptable: graphql-ws is the legacy protocol. Set your client to graphql-transport-ws"
    assert {line["kind"] for line in found} <= {"ws", "native"}
    assert found
    assert {(line["code"], line["reason"]) for line in found} == {(SUBPROTOCOL_NOT_ACCEPTABLE, reason)}


@pytest.mark.parametrize("offered", [("graphql-ws", PROTOCOL), ("GraphQL-Transport-WS",)], ids=str)
async def test_the_subprotocol_is_found_however_it_is_offered(server: Salas, offered: tuple[str, ...]) -> None:
    async with connected(server, *offered) as socket:
        assert socket.subprotocol == offered[-1]
        await socket.send('{"type":"connection_init"}')
        assert await received(socket) == {"type": "connection_ack"}


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (["graphql-ws", PROTOCOL], PROTOCOL),
        ([f"graphql-ws,{PROTOCOL}"], PROTOCOL),
        ([f"{PROTOCOL},"], PROTOCOL),
        (["graphql-ws", "x"], "graphql-ws"),
    ],
    ids=str,
)
async def test_the_header_may_come_twice_and_have_many_values(server: Salas, lines: list[str], chosen: str) -> None:
    """RFC 6455, section 11.3.4: in two lines it is as good as in one."""
    offers = [f"Sec-WebSocket-Protocol: {line}" for line in lines]
    head = await handshake(server, *offers, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    assert "101 Switching Protocols" in head
    assert f"sec-websocket-protocol: {chosen}\r\n" in head.lower()
    assert "sec-websocket-extensions" not in head.lower()


async def handshake(server: Salas, *headers: str) -> str:
    """The head of the answer to an upgrade."""
    address = urlsplit(server.websocket_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = [
        f"GET {address.path} HTTP/1.1",
        f"Host: {address.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        return (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ENOUGH_SECONDS)).decode()
    finally:
        writer.transport.abort()
