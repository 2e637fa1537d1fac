"""What clients from npm do when a socket ends, for each way in which it may, is what docs/guarantees.md says of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from websockets import ConnectionClosed, Subprotocol
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from schema.transport import PROTOCOL

from .npm import UNMODIFIED, NpmClient, npm_program

pytestmark = pytest.mark.end_to_end

GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"
ENOUGH_SECONDS = 60
RECOMMENDED = "recommended"  # graphql-ws with the options that docs/guarantees.md recommends
CLIENTS = (*UNMODIFIED, RECOMMENDED)
COMES_BACK, GIVES_UP = "comes back", "gives up"

Fates = dict[tuple[str, str], str]  # by client and end


def documented() -> Fates:
    """An end is a close code, or the status that a handshake is answered with."""
    rows = re.findall(r"^\| (\d{3,4}) \| .+ \| ([^|]+) \|$", GUARANTEES.read_text(), re.MULTILINE)
    return {(client, end): fate(client, says) for end, says in rows for client in CLIENTS}


def fate(client: str, says: str) -> str:
    comes_back = "come back" in says if client == RECOMMENDED else says.startswith("come back")
    return COMES_BACK if comes_back else GIVES_UP


class Server:
    """Makes of the first connection to each path what the path says. ``found`` grows as clients decide."""

    def __init__(self) -> None:
        self.found: Fates = {}
        self._connections: Counter[str] = Counter()
        self._more = asyncio.Event()

    async def decided(self, number: int) -> None:
        async with asyncio.timeout(ENOUGH_SECONDS):
            while len(self.found) < number:
                await self._more.wait()
                self._more.clear()

    async def note_who_gives_up(self, clients: NpmClient) -> None:
        async for line in clients.lines():
            self._note(line["client"], line["end"], GIVES_UP)

    def greet(self, socket: ServerConnection, request: Request) -> Response | None:
        self._connections[request.path] += 1
        _, client, end = request.path.split("/")
        if self._connections[request.path] > 1:
            self._note(client, end, COMES_BACK)
        return socket.respond(int(end), "no\n") if self._is_first(request) and int(end) < 1000 else None

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request
        with suppress(ConnectionClosed):
            await socket.recv()
            await socket.send(json.dumps({"type": "connection_ack"}))
            await socket.recv()
            if self._is_first(socket.request):
                await socket.close(int(socket.request.path.rpartition("/")[2]), "as the path says")
            await socket.wait_closed()

    def _is_first(self, request: Request) -> bool:
        return self._connections[request.path] == 1

    def _note(self, client: str, end: str, fate: str) -> None:
        self.found[client, end] = fate
        self._more.set()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    async with serve(
        server.handle, "127.0.0.1", 0, process_request=server.greet, subprotocols=[Subprotocol(PROTOCOL)]
    ) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


async def test_clients_do_what_the_documentation_says_of_every_end() -> None:
    server, expected = Server(), documented()
    variables = {"CLIENTS": json.dumps(CLIENTS), "ENDS": json.dumps(sorted({end for _, end in expected}))}
    async with serving(server) as url, npm_program("ends.mjs", {"SALAS_URL": url, **variables}) as clients:
        noting = asyncio.create_task(server.note_who_gives_up(clients))
        await server.decided(len(expected))
        noting.cancel()
    assert server.found == expected
