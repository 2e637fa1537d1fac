"""Who sends much and reads nothing costs ``manage.py serve`` little, and is sent away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any

import pytest
import websockets
from pytest_django import DjangoDbBlocker
from websockets.exceptions import ConnectionClosed

from schema.closing import TOO_MANY_SOCKETS, TOO_MUCH_AT_ONCE
from schema.transport import PROTOCOL
from tests.people import make_room
from tests.plugins.servers import Databases
from tests.services.salas import Salas

from .client import Client
from .mute import resident_bytes

pytestmark = pytest.mark.end_to_end

MIB = 1024 * 1024
MESSAGES = 1_000
ALLOWED_GROWTH = 20 * MIB
BIG = "x" * 200_000


def ping(_number: int) -> dict[str, Any]:
    return {"type": "ping", "payload": {"a": BIG}}


def query(number: int) -> dict[str, Any]:
    return {"type": "subscribe", "id": f"{number} {BIG}", "payload": {"query": "{ __typename }"}}


def query_that_fails(number: int) -> dict[str, Any]:
    return {"type": "subscribe", "id": f"{number} {BIG}", "payload": {"query": "{"}}


class Strict(Salas):
    """With the limits as they come."""

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in super().environment().items() if not name.startswith("SALAS_LIMIT_")}


@pytest.fixture(scope="module")
def strict(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Salas]:
    with ExitStack() as stack:
        server = Strict(databases.new(stack, scaled=False), "", None, django_db_blocker.unblock, [])
        stack.callback(server.close)
        yield server.start()


class Impatient(Strict):
    """With all but one of them."""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SALAS_LIMIT_SOCKET_SILENCE_SECONDS": "6"}


@pytest.fixture(scope="module")
def impatient(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Salas]:
    with ExitStack() as stack:
        server = Impatient(databases.new(stack, scaled=False), "", None, django_db_blocker.unblock, [])
        stack.callback(server.close)
        yield server.start()


async def flood(server: Salas, message: Any, max_queue: int | None) -> tuple[int | None, int]:
    """Send many messages and answer none of the server's; return how that ended, and by how much the server grew.

    With a ``max_queue`` nothing is read, and the client finds out only when it writes: a ping of the WebSocket's own a
    second, which need not be answered.
    """
    before = resident_bytes(server)
    subprotocols = [websockets.Subprotocol(PROTOCOL)]
    connecting = websockets.connect(
        server.websocket_url, subprotocols=subprotocols, max_queue=max_queue, ping_interval=1, ping_timeout=None
    )
    async with connecting as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        with suppress(ConnectionClosed):
            for number in range(MESSAGES):
                await socket.send(json.dumps(message(number)))
        await socket.wait_closed()
        return socket.close_code, resident_bytes(server) - before


@pytest.mark.parametrize(("max_queue", "code"), [(None, TOO_MUCH_AT_ONCE), (1, 1006)], ids=["deaf", "blind"])
async def test_a_client_that_asks_for_much_that_does_not_wait_and_confirms_nothing_is_sent_away(
    strict: Salas, max_queue: int | None, code: int
) -> None:
    """The deaf one reads what comes, and answers nothing; the blind one does not even read, so it can't know why."""
    found, growth = await flood(strict, ping, max_queue)
    assert found == code
    assert growth < ALLOWED_GROWTH


@pytest.mark.parametrize("message", [query, query_that_fails])
async def test_a_client_that_asks_for_much_and_reads_nothing_is_read_no_further_and_sent_away(
    impatient: Salas, message: Any
) -> None:
    found, growth = await flood(impatient, message, 1)
    assert found == 1006
    assert growth < ALLOWED_GROWTH


async def test_an_address_has_a_hundred_sockets_and_a_viewer_twenty(strict: Salas) -> None:
    room = await strict.acall(make_room)
    async with Client(strict) as nobody, Client(strict) as someone, AsyncExitStack() as stack:
        ana = await someone.join(room)
        for _ in range(20):
            await stack.enter_async_context(ana.socket())
        with pytest.raises(ConnectionClosed) as closed:
            await stack.enter_async_context(ana.socket())
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == TOO_MANY_SOCKETS
        for _ in range(80):
            await stack.enter_async_context(nobody.socket())
        with pytest.raises(websockets.InvalidStatus) as refused:
            await stack.enter_async_context(nobody.socket())
        assert refused.value.response.status_code == 429
