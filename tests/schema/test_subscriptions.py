"""How a subscription begins and ends, on a log that the test decides about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Literal
from unittest.mock import AsyncMock, patch
from uuid import uuid4

import pytest
from django.core.cache.backends.locmem import LocMemCache

from config.limits import Limits
from rooms import selectors
from rooms.exceptions import Forbidden
from rooms.identity import Viewer
from rooms.models import Guest, Room
from rooms.selectors import Asked, Following, Reader
from schema import socket as socket_module
from schema.closing import NO_RECEIPT, SERVICE_RESTART, TRY_AGAIN
from schema.cursors import log_cursor
from schema.ids import encode_id
from schema.limits import Pace
from schema.pacing import Window
from schema.receipts import Receipts
from schema.schema import schema
from schema.served import Drain
from server.drain import Notice
from tests.rooms.fakes import FakeBroker, FakeLog, run_loop

from .loops import SkippingLoop, run_skipping
from .sockets import Socket, opened, recognised

FOLLOW = "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { sequence cursor } }"

CLOSE_SECONDS = 2.0  # how long our server waits for a close to be answered; Daphne waits for one
MADE_ID = "5f0c1e0a-6b1d-4c7e-9d51-0b7f6f3a2c11"  # as graphql-ws makes them, once for each operation
KNOWN = {"authorization": "Bearer whatever"}  # see ``known``


@pytest.fixture
def log() -> Iterator[FakeLog]:
    """The log of room 1, with three entries, which anyone may follow."""

    entries = FakeLog()
    for _ in range(3):
        entries.append()

    def found(*, asked: Sequence[Asked]) -> list[Following]:
        return [following(each) for each in asked]

    def following(asked: Asked) -> Following:
        room = Room(pk=asked.room_id, sequence=entries.head, access_version=entries.access_version)
        sequence = entries.head if asked.after is None else asked.after
        return Following(room, sequence, Reader(asked.viewer, is_member=True))

    with patch.object(selectors, "rooms_to_follow", found):
        yield entries


@pytest.fixture
async def receipts() -> AsyncIterator[Receipts]:
    """What the process remembers."""
    found = Receipts(LocMemCache(uuid4().hex, {}))
    yield found
    await found.close()


@pytest.fixture
def known() -> Iterator[None]:
    """Whoever connects is the same guest."""
    with recognised(Viewer(guest=Guest(pk=1))):
        yield


async def follow(
    socket: Socket, after: str | None = None, payload: dict[str, Any] | None = None, operation_id: str = "1"
) -> None:
    await socket.init(payload)
    await socket.subscribe(operation_id, FOLLOW, roomId=encode_id("Room", 1), after=after)


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
        with patch.object(selectors, "rooms_to_follow", return_value=[Forbidden()]):
            await follow(socket)
            error = await socket.receive()
        assert (error["type"], error["payload"][0]["extensions"]) == ("error", {"code": "FORBIDDEN"})


async def test_a_passing_failure_closes_the_socket_so_that_the_client_comes_back(log: FakeLog) -> None:
    log.failures = 1
    async with opened(log) as socket:
        await follow(socket, log_cursor(1, 0))
        assert await socket.closed() == TRY_AGAIN


async def test_who_may_read_no_more_is_told_so_and_hears_nothing_after(log: FakeLog, known: None) -> None:
    async with opened(log) as socket:
        await follow(socket, log_cursor(1, 2), KNOWN)
        assert (await socket.receive())["type"] == "next"
        with patch.object(log, "refusals", AsyncMock(return_value=[Forbidden("You are banned.")])):
            log.access_version += 1
            log.append()
            socket.hub.hint(1, log.head)
            error = {"message": "You are banned.", "extensions": {"code": "FORBIDDEN"}}
            assert await socket.receive() == {"id": "1", "type": "error", "payload": [error]}
        await socket.subscribe("1", "{ __typename }")
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_so_does_one_before_it_has_begun(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as socket:
        with patch.object(selectors, "rooms_to_follow", side_effect=ConnectionError("the database is away")):
            await follow(socket)
            assert await socket.closed() == TRY_AGAIN
    assert "the database is away" in caplog.text


async def test_a_syntax_error_beside_it_does_not_disturb_it(log: FakeLog) -> None:
    async with opened(log) as socket:
        await follow(socket, log_cursor(1, 2))
        assert await sequences(socket, 1) == [3]
        await socket.subscribe("2", "{")
        assert (await socket.receive())["type"] == "error"
        await socket.send(type="complete", id="2")
        await socket.subscribe("2", "{ __typename }")
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await socket.subscribe("3", FOLLOW, roomId=encode_id("Room", 1), after=log_cursor(1, 1))
        assert [(await socket.receive())["id"] for _ in range(2)] == ["3", "3"]


async def test_what_fails_within_an_event_is_masked(log: FakeLog, caplog: pytest.LogCaptureFixture) -> None:
    """The entries of this log have no message, which the schema promises."""
    document = FOLLOW.replace("cursor }", "message { text } }")
    async with opened(log) as socket:
        await socket.init()
        await socket.subscribe("1", document, roomId=encode_id("Room", 1), after=log_cursor(1, 2))
        payload = (await socket.receive())["payload"]
    (error,) = payload["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "null" not in error["message"]
    assert "extensions" not in payload
    assert f"in request {error['extensions']['requestId']}" in caplog.text


async def test_a_client_that_has_left_is_no_failure(log: FakeLog, caplog: pytest.LogCaptureFixture) -> None:
    """Servers of ASGI 2.4 say so to whoever sends, before they tell of it."""
    async with opened(log, leave_code=1006) as socket:
        await follow(socket, log_cursor(1, 2))
        assert await sequences(socket, 1) == [3]
        socket.takes = "nothing, and is gone"
        for _ in range(3):
            log.append()
            socket.hub.hint(1, log.head)
            await run_loop(20)
        await socket.send(type="ping")
        await run_loop(20)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_bug_beside_the_operations_leaves_no_mute_socket(
    log: FakeLog, caplog: pytest.LogCaptureFixture
) -> None:
    notice = Notice()
    drain: Drain = {"began": notice, "delay_seconds": 0.0}
    async with opened(log, drain=drain) as socket:
        await socket.init()
        with patch.object(socket_module.Socket, "_finite_operations", side_effect=ZeroDivisionError("bug")):
            notice.set()
            assert await socket.closed() == TRY_AGAIN
    assert "ZeroDivisionError: bug" in caplog.text


async def test_nor_does_one_in_asking_for_receipts(log: FakeLog, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(log, pace=Pace(heartbeat_seconds=0.001)) as socket:
        with patch.object(Window, "ping", side_effect=ZeroDivisionError("bug")):
            await socket.init()
            assert await socket.closed() == TRY_AGAIN
    assert "ZeroDivisionError: bug" in caplog.text


# Receipts


async def sign(socket: Socket, *, with_payload: bool = True) -> None:
    """Take the next message, which is a ping, and answer it."""
    ping = await socket.receive()
    assert ping["type"] == "ping", ping
    await socket.send(type="pong", **({"payload": ping["payload"]} if with_payload else {}))


async def sequences(socket: Socket, number: int) -> list[int]:
    return [(await socket.receive())["payload"]["data"]["messages"]["sequence"] for _ in range(number)]


@pytest.mark.parametrize(
    ("with_payload", "heard"),
    [(True, [4]), (False, [1, 2, 3, 4])],
    ids=["signed", "not signed: it may have come unasked"],
)
async def test_a_client_that_comes_back_with_the_same_operation_goes_on_after_what_it_has_signed(
    log: FakeLog, known: None, receipts: Receipts, with_payload: bool, heard: list[int]
) -> None:
    after = log_cursor(1, 0)
    async with opened(log, receipts=receipts, leave_code=1006) as socket:
        socket.signs_receipts = False
        await follow(socket, after, KNOWN, MADE_ID)
        assert await sequences(socket, 3) == [1, 2, 3]
        await sign(socket, with_payload=with_payload)
        await socket.send(type="ping")
        await socket.receive()
    log.append()
    async with opened(log, receipts=receipts, leave_code=1006) as socket:
        await follow(socket, after, KNOWN, MADE_ID)
        assert await sequences(socket, len(heard)) == heard


async def heard_and_confirmed(socket: Socket, sequence: int) -> None:
    """Hear all up to ``sequence``, and wait until that is confirmed."""
    while (await sequences(socket, 1)) != [sequence]:
        pass
    await sign(socket)
    await socket.send(type="ping")
    assert (await socket.receive())["type"] == "pong"


@pytest.mark.parametrize("operation_id", ["1", "subscription-000000000001"])
async def test_under_an_id_that_counts_after_decides(
    log: FakeLog, known: None, receipts: Receipts, operation_id: str
) -> None:
    """Apollo iOS and Python's gql number their operations, from 1 in each program and on each connection."""
    for _ in range(2):
        async with opened(log, receipts=receipts, leave_code=1006) as socket:
            socket.signs_receipts = False
            await follow(socket, log_cursor(1, 0), KNOWN, operation_id)
            await heard_and_confirmed(socket, log.head)


async def test_two_devices_of_one_account_that_count_alike_hear_everything(
    log: FakeLog, known: None, receipts: Receipts
) -> None:
    after = log_cursor(1, 0)
    async with opened(log, receipts=receipts, leave_code=1006) as one:
        await follow(one, after, KNOWN)
        assert await sequences(one, 3) == [1, 2, 3]
    for _ in range(3):
        log.append()
    async with opened(log, receipts=receipts, leave_code=1006) as other:
        other.signs_receipts = False
        await follow(other, after, KNOWN)
        await heard_and_confirmed(other, 6)
    async with opened(log, receipts=receipts, leave_code=1006) as one:
        await follow(one, after, KNOWN)
        assert (await sequences(one, 6))[-3:] == [4, 5, 6]


async def test_what_was_not_confirmed_comes_again(log: FakeLog, known: None, receipts: Receipts) -> None:
    for _ in range(2):
        async with opened(log, receipts=receipts, leave_code=1006) as socket:
            socket.signs_receipts = False
            await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
            assert await sequences(socket, 3) == [1, 2, 3]


@pytest.mark.parametrize("leave_code", [1000, 1001])
async def test_who_leaves_on_purpose_begins_anew(
    log: FakeLog, known: None, receipts: Receipts, leave_code: int
) -> None:
    for _ in range(2):
        async with opened(log, receipts=receipts, leave_code=leave_code) as socket:
            await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
            assert await sequences(socket, 3) == [1, 2, 3]
            await socket.send(type="ping")
            assert (await socket.receive())["type"] == "pong"


@pytest.mark.keeps("socket_window_bytes")
@pytest.mark.exceeds("socket_window_bytes")
async def test_who_says_complete_begins_anew(log: FakeLog, known: None, receipts: Receipts) -> None:
    for _ in range(2):
        async with opened(log, receipts=receipts, leave_code=1006) as socket:
            await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
            assert await sequences(socket, 3) == [1, 2, 3]
            await socket.send(type="complete", id=MADE_ID)
            await socket.send(type="ping")
            assert (await socket.receive())["type"] == "pong"


@pytest.mark.parametrize(("after", "heard"), [(log_cursor(1, 1), [2, 3, 4, 5]), (None, [5])], ids=["after", "nothing"])
async def test_where_the_memory_is_gone_after_counts_and_without_it_the_sequence_shows_the_hole(
    log: FakeLog, known: None, after: str | None, heard: list[int]
) -> None:
    async with opened(log, leave_code=1006) as socket:
        await follow(socket, after, KNOWN, MADE_ID)
    log.append()
    async with opened(log, broker=(broker := FakeBroker())) as socket:
        await follow(socket, after, KNOWN, MADE_ID)
        while not broker.watched:  # noqa: ASYNC110 - the start needs a thread
            await asyncio.sleep(0.001)
        log.append()
        socket.hub.hint(1, log.head)
        assert await sequences(socket, len(heard)) == heard


async def test_no_more_is_in_flight_than_the_window_takes(log: FakeLog) -> None:
    for _ in range(50):
        log.append()
    async with opened(log, limits=Limits(socket_window_bytes=500)) as socket:
        socket.signs_receipts = False
        await follow(socket, log_cursor(1, 0))
        heard, unconfirmed = 0, 0
        while heard < log.head:
            message = await socket.receive()
            if message["type"] == "next":
                heard += 1
                unconfirmed += len(json.dumps(message, separators=(",", ":")))
                assert unconfirmed < 500 + 200
            elif unconfirmed >= 500 or heard == log.head:
                await run_loop(50)
                assert socket.nothing_waits, "the server waits for the pong"
                await socket.send(type="pong", payload=message["payload"])
                unconfirmed = 0


@pytest.mark.exceeds("socket_silence_seconds")
async def test_who_confirms_nothing_is_sent_away_to_come_back(log: FakeLog) -> None:
    async with opened(
        log, limits=Limits(socket_silence_seconds=0.05), pace=Pace(receipt_seconds=0.0, heartbeat_seconds=0.04)
    ) as socket:
        socket.signs_receipts = False
        await follow(socket, log_cursor(1, 0))
        assert await socket.closed() == NO_RECEIPT


@pytest.mark.keeps("socket_silence_seconds")
async def test_an_idle_client_is_asked_for_a_sign_of_life(log: FakeLog) -> None:
    async with opened(log, pace=Pace(heartbeat_seconds=0.01)) as socket:
        socket.signs_receipts = False
        await follow(socket)
        for _ in range(3):
            await sign(socket)


class Frames:
    """A server's ``salas.frames``: what was written, and what it takes at once."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.take: Callable[[bytes], bool] = lambda _: False

    def write(self, texts: Sequence[bytes]) -> None:
        self.written += [json.loads(text) for text in texts]

    def listen(self, take: Callable[[bytes], bool]) -> None:
        self.take = take

    async def wait_for(self, kind: str, number: int = 1) -> list[dict[str, Any]]:
        while len(found := [each for each in self.written if each["type"] == kind]) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return found


async def test_a_receipt_is_taken_at_once_where_the_server_offers_it_and_nothing_else_is(
    log: FakeLog, known: None, receipts: Receipts
) -> None:
    frames = Frames()
    extensions = {"salas.frames": {"write": frames.write, "unsent": lambda: 0, "listen": frames.listen}}
    async with opened(log, extensions=extensions, receipts=receipts, leave_code=1006) as socket:
        await socket.send(type="connection_init", payload=KNOWN)
        await socket.subscribe(MADE_ID, FOLLOW, roomId=encode_id("Room", 1), after=log_cursor(1, 0))
        (ping,) = await frames.wait_for("ping")
        assert [each["payload"]["data"]["messages"]["sequence"] for each in await frames.wait_for("next")] == [1, 2, 3]
        number = ping["payload"]["receipt"]
        pong = b'{"type":"pong","payload":{"receipt":%d}}'
        others = (pong % (number + 1), b'{"type":"pong"}', b'{"type":"ping"}', b'{"type": "pong"}', b"[]", b"\xff")
        assert [frames.take(text) for text in others] == [False] * len(others)
        assert frames.take(pong % number)
        assert not frames.take(pong % number), "it is not waited for any more"
    async with opened(log, receipts=receipts) as socket:
        log.append()
        await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
        assert await sequences(socket, 1) == [4]


@pytest.mark.parametrize("takes", ["all", "nothing"], ids=["server buffers", "server waits"])
@pytest.mark.parametrize("after", [None, 0], ids=["idle", "with messages on the way"])
@pytest.mark.parametrize("heard_of", [0, 1, 5, 20])
def test_a_peer_that_vanished_is_gone_with_its_tasks_and_its_place_in_the_hub_within_45_seconds(
    log: FakeLog, after: int | None, heard_of: int, takes: Literal["all", "nothing"]
) -> None:
    """With the times as they come. ``heard_of`` seconds pass before it is heard of for the last time.

    What is sent to it disappears in the server's buffers, or waits there to be sent, for ever.
    """
    broker = FakeBroker()

    async def course(loop: SkippingLoop) -> float:
        async with opened(log, broker=broker) as socket:
            socket.signs_receipts = False
            await follow(socket, None if after is None else log_cursor(1, after))
            while not broker.watched:  # noqa: ASYNC110 - the start needs a thread, in real time
                await asyncio.sleep(0.001)
            loop.skip_waits()
            socket.takes = takes
            await asyncio.sleep(heard_of)
            await socket.send(type="pong")
            since = loop.time()
            while (broker.watched or socket_tasks()) and loop.time() < since + 60:  # noqa: ASYNC110 - time is skipped
                await asyncio.sleep(0.1)
            return loop.time() - since

    assert 30 <= run_skipping(course) < 45 - CLOSE_SECONDS


def socket_tasks() -> list[str]:
    """What runs for sockets, but for what serves them, which ends with what it has begun."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith("Socket.")]


# Drain


async def test_a_draining_server_lets_what_runs_end_and_sends_followers_elsewhere(log: FakeLog) -> None:
    notice = Notice()
    drain: Drain = {"began": notice, "delay_seconds": 0.0}
    release = asyncio.Event()

    async def slow(self: object, info: object) -> str:
        await release.wait()
        return "done"

    async with opened(log, drain=drain) as socket:
        await follow(socket, log_cursor(1, 2))
        assert await sequences(socket, 1) == [3]  # until it has begun it is waited for, as what runs to an end is
        with patch.object(schema._schema.query_type.fields["viewer"], "resolve", slow):  # type: ignore[union-attr]
            await socket.subscribe("2", "{ viewer { __typename } }")
            await socket.send(type="ping")
            await socket.receive()
            notice.set()
            await run_loop(20)
            await socket.subscribe("3", "{ viewer { __typename } }")
            await run_loop(20)
            release.set()
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        assert await socket.closed() == SERVICE_RESTART
        assert socket.reason == "Service restart: come back"
