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


@pytest.mark.parametrize("message", [ping, query, query_that_fails])
@pytest.mark.parametrize(("max_queue", "code"), [(None, TOO_MUCH_AT_ONCE), (1, 1006)], ids=["deaf", "blind"])
async def test_who_asks_for_much_and_confirms_nothing_is_sent_away(
    strict: Salas, message: Any, max_queue: int | None, code: int
) -> None:
    """The deaf reads what comes, and answers nothing; the blind does not even read, so it can't know why.

    Who does not read finds out only when they write: a ping of the WebSocket's a second, which nobody need answer.
    """
    before = resident_bytes(strict)
    subprotocols = [websockets.Subprotocol(PROTOCOL)]
    connecting = websockets.connect(
        strict.websocket_url, subprotocols=subprotocols, max_queue=max_queue, ping_interval=1, ping_timeout=None
    )
    async with connecting as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        with suppress(ConnectionClosed):
            for number in range(MESSAGES):
                await socket.send(json.dumps(message(number)))
        await socket.wait_closed()
        assert socket.close_code == code
        assert resident_bytes(strict) - before < ALLOWED_GROWTH


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
