"""What clients do that graphql-ws does not, and that ended or stalled their sockets.

Apollo iOS 2 sends binary frames only. Apollo Kotlin, Apollo iOS and Python's gql answer pings without a payload, early
Apollo iOS 2 not at all, and Go's genqlient gives up at the first one. ``tests/end_to_end/test_other_clients.py`` does
the same over ``manage.py serve``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache.backends.locmem import LocMemCache

from config.limits import Limits
from rooms.identity import Viewer
from rooms.models import Guest
from schema.closing import BAD_REQUEST, MAX_REASON_BYTES, NO_RECEIPT, SUBPROTOCOL_NOT_ACCEPTABLE
from schema.cursors import log_cursor
from schema.limits import Pace
from schema.receipts import Receipts
from schema.transport import PROTOCOL
from tests.rooms.fakes import FakeLog, run_loop

from . import test_subscriptions
from .loops import SkippingLoop, run_skipping
from .sockets import Socket, opened, recognised
from .test_subscriptions import KNOWN, MADE_ID, follow, sequences

QUERY = "{ __typename }"
BOM = b"\xef\xbb\xbf"
known, log, receipts = test_subscriptions.known, test_subscriptions.log, test_subscriptions.receipts

QUIET = Pace(receipt_seconds=1_000, heartbeat_seconds=1_000)


class Pings:
    """A server's ``salas.pings``, with a client whose WebSocket answers each unless ``answers`` is switched off."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.answers = True
        self.take: Callable[[bytes], None] = lambda _: None

    @property
    def extensions(self) -> dict[str, Any]:
        return {"salas.pings": {"send": self.send, "listen": self.listen}}

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)
        if self.answers:
            asyncio.get_running_loop().call_soon(self.take, payload)

    def listen(self, take: Callable[[bytes], None]) -> None:
        self.take = take


@asynccontextmanager
async def remembering() -> AsyncIterator[Receipts]:
    """The memory of a process, in which whoever connects is the same guest."""
    receipts = Receipts(LocMemCache(uuid4().hex, {}))
    with recognised(Viewer(guest=Guest(pk=1))):
        yield receipts
    await receipts.close()


# Binary frames


async def send_binary(socket: Socket, before: bytes = b"", **message: Any) -> None:
    await socket.send_bytes(before + json.dumps(message, ensure_ascii=False).encode())


@pytest.mark.parametrize("before", [b"", BOM, b" \n"], ids=["as it is", "byte order mark", "white space"])
async def test_binary_frames_are_taken_for_the_text_that_they_hold_and_answered_by_texts(before: bytes) -> None:
    async with opened() as socket:
        await send_binary(socket, before, type="connection_init")
        assert await socket.receive() == {"type": "connection_ack"}
        await send_binary(socket, before, type="subscribe", id="é", payload={"query": QUERY})
        assert [(await socket.receive())["id"] for _ in range(2)] == ["é", "é"]
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}, "and texts among them"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff{}", "A binary frame must hold a message as text in UTF-8"),
        (b'{"type": "ping", "payload": {"a": "\xed\xa0\x80"}}', "A binary frame must hold a message as text in UTF-8"),
        ('{"type": "ping"}'.encode("utf-16"), "A binary frame must hold a message as text in UTF-8"),
        (b"", "A message must be a JSON object"),
        (b"x" * (256 * 1024 + 1), "A message must not be longer than 262144 bytes"),
    ],
    ids=["no UTF-8", "half a surrogate", "UTF-16", "empty", "too long"],
)
async def test_what_is_no_message_in_a_binary_frame_ends_the_socket_and_says_why(data: bytes, reason: str) -> None:
    async with opened() as socket:
        await socket.send_bytes(data)
        assert await socket.closed() == BAD_REQUEST
        assert reason in socket.reason


async def test_a_receipt_may_be_signed_in_a_binary_frame(log: FakeLog, known: None, receipts: Receipts) -> None:
    async with opened(log, receipts=receipts, leave_code=1006) as socket:
        socket.signs_receipts = False
        await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
        assert await sequences(socket, 3) == [1, 2, 3]
        await send_binary(socket, type="pong", payload=(await socket.receive())["payload"])
        await socket.send(type="ping")
        await socket.receive()
    log.append()
    async with opened(log, receipts=receipts) as socket:
        await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
        assert await sequences(socket, 1) == [4]


# Clients that answer no ping


async def hear_all(socket: Socket, log: FakeLog) -> list[int]:
    """What is heard of the log, with no answer to the protocol's pings."""
    heard: list[int] = []
    while not heard or heard[-1] < log.head:
        message = await socket.receive()
        if message["type"] == "next":
            heard.append(message["payload"]["data"]["messages"]["sequence"])
    return heard


def test_a_client_that_leaves_pings_unanswered_is_asked_by_the_websocket_s_own_after_five_seconds(log: FakeLog) -> None:
    async def course(loop: SkippingLoop) -> float:
        pings = Pings()
        for _ in range(300):
            log.append()
        async with opened(log, extensions=pings.extensions) as socket:
            socket.signs_receipts = False
            await follow(socket, log_cursor(1, 0))
            heard = await sequences(socket, 1)
            began = loop.time()
            loop.skip_waits()
            heard += await hear_all(socket, log)
            assert heard == list(range(1, log.head + 1))
            took = loop.time() - began
            await asyncio.sleep(60)
            assert pings.sent
            assert all(1 <= len(payload) <= 125 for payload in pings.sent)
            assert socket.code is None, "it is alive"
            return took

    assert 5 <= run_skipping(course) < 5 + 2 * Pace().heartbeat_seconds / 4


def test_where_the_server_has_no_such_pings_it_is_told_what_to_do() -> None:
    async def course(loop: SkippingLoop) -> tuple[int | None, str]:
        async with opened() as socket:
            socket.signs_receipts = False
            await socket.init()
            loop.skip_waits()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 60)
            return await socket.closed(), socket.reason

    code, reason = run_skipping(course)
    assert code == NO_RECEIPT
    assert reason == "No `ping` was answered: send a `pong` for each, as graphql-transport-ws says"


def test_one_that_answers_neither_is_sent_away() -> None:
    async def course(loop: SkippingLoop) -> tuple[int | None, str]:
        pings = Pings()
        pings.answers = False
        async with opened(extensions=pings.extensions) as socket:
            socket.signs_receipts = False
            await socket.init()
            loop.skip_waits()
            await asyncio.sleep(60)
            assert len(pings.sent) == 1, "nothing is asked twice"
            return await socket.closed(), socket.reason

    assert run_skipping(course) == (NO_RECEIPT, "Nothing was confirmed for too long: come back")


def test_such_answers_confirm_no_position(log: FakeLog) -> None:
    """They show that bytes have arrived, and not that the program has seen what they say."""

    async def course(loop: SkippingLoop) -> list[int]:
        pings = Pings()
        async with remembering() as receipts:
            async with opened(log, receipts=receipts, leave_code=1006, extensions=pings.extensions) as socket:
                socket.signs_receipts = False
                await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
                assert await sequences(socket, 3) == [1, 2, 3]
                loop.skip_waits()
                while len(pings.sent) < 2:  # noqa: ASYNC110 - time is skipped
                    await asyncio.sleep(1)
                loop.skip_no_more()
            async with opened(log, receipts=receipts) as socket:
                await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
                return await sequences(socket, 3)

    assert run_skipping(course) == [1, 2, 3]


def test_one_that_signs_after_all_is_asked_by_message_again_and_comes_back_to_what_it_has_signed(log: FakeLog) -> None:
    """A page that was held up for a while: its browser answers the WebSocket's own pings meanwhile."""

    async def course(loop: SkippingLoop) -> list[int]:
        pings = Pings()
        async with remembering() as receipts:
            async with opened(log, receipts=receipts, leave_code=1006, extensions=pings.extensions) as socket:
                socket.signs_receipts = False
                await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
                assert await sequences(socket, 3) == [1, 2, 3]
                late = await socket.receive()
                loop.skip_waits()
                while len(pings.sent) < 2:  # noqa: ASYNC110 - time is skipped
                    await asyncio.sleep(1)
                loop.skip_no_more()
                await socket.send(type="pong", payload=late["payload"])
                await socket.send(type="pong", payload=(await socket.receive())["payload"])
                await socket.send(type="ping")
                assert await socket.receive() == {"type": "pong"}
            log.append()
            async with opened(log, receipts=receipts) as socket:
                await follow(socket, log_cursor(1, 0), KNOWN, MADE_ID)
                return await sequences(socket, 1)

    assert run_skipping(course) == [4]


def test_a_client_whose_pongs_have_no_payload_is_served_for_as_long_as_it_likes(log: FakeLog) -> None:
    async def course(loop: SkippingLoop) -> int:
        pings = Pings()
        for _ in range(300):
            log.append()
        async with opened(log, extensions=pings.extensions) as socket:
            socket.signs_receipts = False
            await follow(socket, log_cursor(1, 0))
            heard = len(await sequences(socket, 1))
            loop.skip_waits()
            asked, began = 0, loop.time()
            while loop.time() - began < 100:
                message = await socket.receive()
                heard += message["type"] == "next"
                if message["type"] == "ping":
                    asked += 1
                    await socket.send(type="pong")
            assert (heard, pings.sent) == (log.head, [])
            return asked

    assert run_skipping(course) > 10


@pytest.mark.parametrize("payload", [None, {}, {"time": 1}, {"receipt": None}], ids=str)
async def test_a_pong_that_signs_nothing_opens_the_window(log: FakeLog, payload: dict[str, Any] | None) -> None:
    async with opened(log, limits=Limits(socket_window_bytes=100), pace=QUIET) as socket:
        socket.signs_receipts = False
        await follow(socket, log_cursor(1, 0))
        heard: list[int] = []
        while len(heard) < log.head:
            message = await socket.receive()
            if message["type"] == "ping":
                await socket.send(type="pong", payload=payload)
            else:
                heard.append(message["payload"]["data"]["messages"]["sequence"])


async def test_a_receipt_that_has_become_a_decimal_fraction_is_signed(log: FakeLog) -> None:
    """Programs whose every number is one, such as those in Lua and some in Swift, write 17 as 17.0."""
    async with opened(log, limits=Limits(socket_window_bytes=50), pace=QUIET) as socket:
        socket.signs_receipts = False
        await follow(socket, log_cursor(1, 0))
        for _ in range(log.head):
            assert (await socket.receive())["type"] == "next"
            ping = await socket.receive()
            await socket.send(type="pong", payload={"receipt": float(ping["payload"]["receipt"])})


@pytest.mark.parametrize("payload", [b"", b"x", b"17", b"\xff" * 12, b"9" * 125], ids=str)
async def test_pongs_to_pings_that_are_not_ours_say_nothing(payload: bytes) -> None:
    """Such as those to Daphne's own pings; RFC 6455, section 5.5.3, allows unasked ones too."""
    pings = Pings()
    async with opened(extensions=pings.extensions) as socket:
        await socket.init()
        pings.take(payload)
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}


# Clients that a ping ends


def test_a_client_that_says_so_is_never_sent_a_ping_of_the_protocol(log: FakeLog) -> None:
    async def course(loop: SkippingLoop) -> list[str]:
        pings = Pings()
        kinds: list[str] = []
        for _ in range(300):
            log.append()
        async with opened(log, extensions=pings.extensions) as socket:
            socket.signs_receipts = False
            await socket.send(type="ping")
            kinds.append((await socket.receive())["type"])
            await follow(socket, log_cursor(1, 0), {"pings": False})
            await sequences(socket, 1)
            loop.skip_waits()
            while kinds.count("next") < log.head - 1:
                kinds.append((await socket.receive())["type"])
            await asyncio.sleep(60)
            await socket.send(type="pong")
            await socket.send(type="pong", payload={"receipt": int(pings.sent[0])})
            await asyncio.sleep(60)
            await run_loop(10)
            assert socket.nothing_waits
            assert len(pings.sent) > 10
        return kinds

    assert set(run_skipping(course)) == {"pong", "next"}


@pytest.mark.parametrize("pings", [True, None])
async def test_a_client_may_say_that_it_answers_them(pings: bool | None) -> None:
    async with opened() as socket:
        await socket.init({"pings": pings})


@pytest.mark.parametrize("pings", [0, 1, "false", "frames", [], {}], ids=str)
async def test_whether_there_are_pings_is_true_or_false(pings: object) -> None:
    async with opened(extensions=Pings().extensions) as socket:
        await socket.send(type="connection_init", payload={"pings": pings})
        assert await socket.closed() == BAD_REQUEST
        assert socket.reason.startswith("`pings` must be true, or false")


async def test_where_the_server_has_no_other_pings_it_says_so() -> None:
    async with opened() as socket:
        await socket.send(type="connection_init", payload={"pings": False})
        assert await socket.closed() == BAD_REQUEST
        assert socket.reason == "`pings: false` needs a server with pings of its own: manage.py serve"


async def test_nobody_is_asked_before_the_acknowledgement() -> None:
    """Else a client that a ping ends could not say so in time."""
    async with opened(pace=Pace(receipt_seconds=0.0, heartbeat_seconds=0.001)) as socket:
        socket.signs_receipts = False
        await socket.send(type="ping", payload={"a": "x" * 10_000})
        assert (await socket.receive())["type"] == "pong"
        await run_loop(20)
        assert socket.nothing_waits
        await socket.init()
        assert (await socket.receive())["type"] == "ping", "now for what was said before"


# Subprotocols


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        (("graphql-ws",), "graphql-ws is the legacy protocol."),
        (("soap", "GraphQL-WS"), "graphql-ws is the legacy protocol."),
        (("soap",), "none of yours is known."),
        ((), "none was offered."),
        (("",), "none was offered."),
    ],
    ids=str,
)
async def test_another_subprotocol_is_told_which_one_to_use(offered: tuple[str, ...], says: str) -> None:
    """The first is accepted, so that the client sees the close: without any, browsers and Node end without a code."""
    async with opened(subprotocols=offered) as socket:
        assert socket.accepted_subprotocol == (offered[0] if offered and offered[0] else None)
        assert await socket.closed() == SUBPROTOCOL_NOT_ACCEPTABLE
        assert socket.reason == f"Subprotocol not acceptable: {says} Set your client to {PROTOCOL}"
        assert len(socket.reason.encode()) <= MAX_REASON_BYTES


@pytest.mark.parametrize(
    "offered",
    [("graphql-ws", PROTOCOL), (PROTOCOL, "graphql-ws"), ("", PROTOCOL, "x"), ("GraphQL-Transport-WS",)],
    ids=str,
)
async def test_ours_is_found_among_others_however_it_is_written(offered: tuple[str, ...]) -> None:
    async with opened(subprotocols=offered) as socket:
        assert socket.accepted_subprotocol == next(each for each in offered if each.lower() == PROTOCOL)
        await socket.init()


@pytest.mark.parametrize("kind", ["start", "stop", "connection_terminate"])
async def test_a_message_of_the_legacy_protocol_is_told_so(kind: str) -> None:
    async with opened() as socket:
        await socket.init()
        await socket.send(type=kind, id="1", payload={"query": QUERY})
        assert await socket.closed() == BAD_REQUEST
        assert socket.reason == f"`{kind}` is of the legacy protocol: set your client to graphql-transport-ws"


# Members that say nothing


@pytest.mark.parametrize(
    "nothing",
    [
        {"variables": None, "operationName": None, "extensions": None},
        {"operationName": ""},
        {"variables": {}, "extensions": {}, "documentId": None},
        {"documentId": ""},
        {"unknown": [1]},
    ],
    ids=str,
)
async def test_members_that_say_nothing_are_as_good_as_none(nothing: dict[str, Any]) -> None:
    """Programs in Go write out the empty values of what was not set."""
    async with opened() as socket:
        await socket.init()
        await socket.send(type="subscribe", id="1", payload={"query": QUERY, **nothing})
        assert (await socket.receive())["type"] == "next"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "connection_init", "id": "", "payload": None},
        {"type": "connection_init", "payload": {"headers": {"x": "y"}}},
    ],
    ids=str,
)
async def test_an_init_may_have_more_than_it_needs(message: dict[str, Any]) -> None:
    async with opened() as socket:
        await socket.send(**message)
        assert await socket.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "text", ['{"type":"ping"}\n', '\r\n {"type":"ping","id":"","payload":null}', '\ufeff{"type":"ping"}']
)
async def test_what_stands_around_a_message_does_not_matter(text: str) -> None:
    async with opened() as socket:
        await socket.send_text(text)
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "connection_init", "payload": ""}, "The payload of `connection_init` must be an object, or null"),
        ({"type": "ping", "payload": "x"}, "The payload of `ping` must be an object, or null"),
        ({"type": "pong", "payload": "x"}, "The payload of `pong` must be an object, or null"),
        ({"type": "complete", "id": 1}, 'An operation `id` must be a text that is not empty, such as "1"'),
        ({"type": "ka"}, "Unknown message type"),
    ],
    ids=str,
)
async def test_what_the_protocol_forbids_is_named(message: dict[str, Any], reason: str) -> None:
    async with opened() as socket:
        await socket.send(**message)
        assert await socket.closed() == BAD_REQUEST
        assert socket.reason == reason
