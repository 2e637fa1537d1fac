"""How a subscription begins and ends, on a log that the test decides about."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from rooms import selectors
from rooms.exceptions import Forbidden
from rooms.models import Room
from schema.cursors import log_cursor
from schema.ids import encode_id
from schema.transport import TRY_AGAIN
from tests.rooms.fakes import FakeLog

from .sockets import Socket, opened

FOLLOW = "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { sequence cursor } }"


@pytest.fixture
def log() -> Iterator[FakeLog]:
    """The log of room 1, with three entries, which anyone may follow."""

    entries = FakeLog()
    for _ in range(3):
        entries.append()

    def found(*, room_id: int, after: int | None, **_: object) -> tuple[Room, int]:
        return Room(pk=room_id, sequence=entries.head), entries.head if after is None else after

    with patch.object(selectors, "room_to_follow", found):
        yield entries


async def follow(socket: Socket, after: str | None = None) -> None:
    await socket.init()
    await socket.subscribe("1", FOLLOW, roomId=encode_id("Room", 1), after=after)


async def test_it_brings_each_entry_after_the_cursor(log: FakeLog) -> None:
    async with opened(log) as socket:
        await follow(socket, log_cursor(1, 1))
        for sequence in (2, 3):
            event = {"sequence": sequence, "cursor": log_cursor(1, sequence)}
            assert await socket.receive() == {"id": "1", "type": "next", "payload": {"data": {"messages": event}}}


async def test_it_ends_on_complete(log: FakeLog) -> None:
    async with opened(log) as socket:
        await follow(socket)
        await socket.send(type="complete", id="1")
        await socket.subscribe("1", "{ __typename }")
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_a_refusal_is_an_error_of_the_operation() -> None:
    async with opened() as socket:
        with patch.object(selectors, "room_to_follow", side_effect=Forbidden):
            await follow(socket)
            error = await socket.receive()
        assert (error["type"], error["payload"][0]["extensions"]) == ("error", {"code": "FORBIDDEN"})


async def test_a_passing_failure_closes_the_socket_so_that_the_client_comes_back(log: FakeLog) -> None:
    log.failures = 1
    async with opened(log) as socket:
        await follow(socket, log_cursor(1, 0))
        assert await socket.closed() == TRY_AGAIN
