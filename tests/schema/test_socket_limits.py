"""What one socket may take, and how many of them there may be: both sides of each limit."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any
from unittest.mock import patch

import pytest

from config.limits import Limits
from rooms.identity import NOBODY, Viewer
from rooms.models import Guest
from schema import socket as socket_module
from schema.addresses import network_of
from schema.census import Census
from schema.closing import NO_RECEIPT, SERVICE_RESTART, SUBSCRIBER_EXISTS, TOO_MANY_SOCKETS, TOO_MUCH_AT_ONCE
from schema.limits import Pace
from schema.pacing import FIRST_WINDOW_BYTES
from schema.served import Drain
from server.drain import Notice
from tests.rooms.fakes import run_loop

from .loops import SkippingLoop, run_skipping
from .sockets import ENOUGH_SECONDS, Ended, Socket, opened, recognised

QUERY = "{ viewer { isAuthenticated } }"
ONE, OTHER = "192.0.2.1", "192.0.2.2"
CAN_REFUSE: dict[str, Any] = {"websocket.http.response": {}}
CAN_WAIT: dict[str, Any] = {"salas.backpressure": {}}
QUIET = Pace(receipt_seconds=1_000, heartbeat_seconds=1_000)


async def _never(self: socket_module.Socket, *_: object) -> None:
    await asyncio.Event().wait()


# Operations


FOLLOW = 'subscription { messages(roomId: "x") { sequence } }'
FAST: dict[str, Any] = {"socket_frames_per_second": 0}


class Held:
    """Within, operations begin and end when they are told to. ``working`` are those that have begun, in their order."""

    def __init__(self) -> None:
        self.working: list[str] = []
        self._release: dict[str, asyncio.Event] = {}

    async def stream(self, socket: socket_module.Socket, operation_id: str, *_: object) -> str:
        self.working.append(operation_id)
        self._release[operation_id] = asyncio.Event()
        await self._release[operation_id].wait()
        return await socket._finish(operation_id, {"id": operation_id, "type": "complete"})

    def release(self, *operation_ids: str) -> None:
        for operation_id in operation_ids:
            self._release[operation_id].set()

    async def begun(self, number: int) -> None:
        async with asyncio.timeout(ENOUGH_SECONDS):
            while len(self.working) < number:  # noqa: ASYNC110 - a turn of the loop each
                await asyncio.sleep(0)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()

    async def stream(socket: socket_module.Socket, *arguments: Any) -> str:
        return await held.stream(socket, *arguments)

    with patch.object(socket_module.Socket, "_stream", stream):
        yield held


async def answered(socket: Socket) -> None:
    """Return once everything that was sent before has been handled."""
    await socket.send(type="ping")
    assert await socket.receive() == {"type": "pong"}


@pytest.mark.keeps("socket_operations")
@pytest.mark.exceeds("socket_operations")
async def test_fifty_operations_are_worked_on_and_more_follow_in_their_order(held: Held) -> None:
    async with opened() as socket:
        await socket.init()
        names = [str(number) for number in range(53)]
        for name in names:
            await socket.subscribe(name, QUERY)
        await answered(socket)
        assert held.working == names[:50]
        held.release("7", "3")
        assert {(await socket.receive())["id"] for _ in range(2)} == {"3", "7"}
        await held.begun(52)
        assert held.working == names[:52]
        await socket.send(type="complete", id="0")
        await held.begun(53)


async def test_one_that_waits_may_be_completed_and_never_begins(held: Held) -> None:
    async with opened(limits=Limits(socket_operations=1)) as socket:
        await socket.init()
        for name in "123":
            await socket.subscribe(name, QUERY)
        await socket.send(type="complete", id="2")
        await answered(socket)
        held.release("1")
        await held.begun(2)
        assert held.working == ["1", "3"]


async def test_the_id_of_one_that_waits_is_in_use(held: Held) -> None:
    async with opened(limits=Limits(socket_operations=1)) as socket:
        await socket.init()
        for name in "122":
            await socket.subscribe(name, QUERY)
        assert await socket.closed() == SUBSCRIBER_EXISTS


@pytest.mark.keeps("socket_waiting_operations")
@pytest.mark.exceeds("socket_waiting_operations")
async def test_a_hundred_wait_and_more_are_read_once_one_of_them_has_begun(held: Held) -> None:
    async with opened(limits=Limits(**FAST), extensions=CAN_WAIT) as socket:
        await socket.init()
        names = [str(number) for number in range(152)]
        for name in names[:150]:
            await socket.subscribe(name, QUERY)
        await answered(socket)
        for name in names[150:]:
            await socket.subscribe(name, QUERY)
        await socket.send(type="ping")
        await run_loop(50)
        assert socket.nothing_waits, "the ping is not read"
        held.release("0", "1")
        assert {(await socket.receive()).get("id") for _ in range(3)} == {"0", "1", None}
        for name in names[2:]:
            await held.begun(min(50 + int(name), 152))
            held.release(name)
            assert (await socket.receive())["id"] == name
        assert held.working == names


async def test_they_are_bounded_by_their_size_too(held: Held) -> None:
    async with opened(limits=Limits(socket_operations=1, body_bytes=1_000, **FAST), extensions=CAN_WAIT) as socket:
        await socket.init()
        for name in "1234":
            await socket.subscribe(name + "x" * 600, QUERY)
        await socket.send(type="ping")
        await run_loop(50)
        assert socket.nothing_waits
        held.release("1" + "x" * 600)
        assert {(await socket.receive())["type"] for _ in range(2)} == {"complete", "pong"}


async def test_where_the_client_can_not_be_made_wait_one_too_many_is_refused_and_told_what_to_do(held: Held) -> None:
    async with opened(limits=Limits(**FAST)) as socket:
        await socket.init()
        for number in range(151):
            await socket.subscribe(str(number), QUERY)
        refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("150", "error")
        assert refused["payload"] == [
            {
                "message": socket_module.CROWDED,
                "extensions": {"code": "RATE_LIMITED", "retryAfter": 1.0},
            }
        ]


async def test_a_socket_that_is_not_read_is_closed_as_any_other(held: Held) -> None:
    notice = Notice()
    drain: Drain = {"began": notice, "delay_seconds": 0.0}
    limits = Limits(socket_operations=1, socket_waiting_operations=1)
    async with opened(limits=limits, extensions=CAN_WAIT, drain=drain, pace=Pace(drain_seconds=0)) as socket:
        await socket.init()
        for name in "123":
            await socket.subscribe(name, QUERY)
        await held.begun(1)
        notice.set()
        assert await socket.closed() == SERVICE_RESTART


async def test_those_that_wait_have_their_turn_before_a_server_ends(held: Held) -> None:
    notice = Notice()
    drain: Drain = {"began": notice, "delay_seconds": 0.0}
    async with opened(limits=Limits(socket_operations=1), drain=drain) as socket:
        await socket.init()
        for name in "12":
            await socket.subscribe(name, QUERY)
        await answered(socket)
        notice.set()
        for number, name in enumerate("12", 1):
            await held.begun(number)
            held.release(name)
            assert (await socket.receive())["id"] == name
        assert await socket.closed() == SERVICE_RESTART


async def test_subscriptions_that_have_begun_hold_up_no_query() -> None:
    """Of them there may be fifty more, and one too many is refused alone."""
    async with opened(limits=Limits(socket_operations=2), extensions=CAN_WAIT) as socket:
        await socket.init()
        with (
            patch.object(socket_module, "shared_in", return_value=None),
            patch.object(socket_module, "events", _endless),
        ):
            for name in "123":
                await socket.subscribe(name, FOLLOW)
            refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("3", "error")
        assert refused["payload"] == [
            {
                "message": "Too many subscriptions on this socket: complete one of them, or open another socket.",
                "extensions": {"code": "RATE_LIMITED", "retryAfter": 1.0},
            }
        ]
        for number in range(10):
            await socket.subscribe(f"query {number}", QUERY)
        assert Counter([(await socket.receive())["type"] for _ in range(20)]) == {"next": 10, "complete": 10}
        await socket.send(type="complete", id="1")
        with (
            patch.object(socket_module, "shared_in", return_value=None),
            patch.object(socket_module, "events", _endless),
        ):
            await socket.subscribe("3", FOLLOW)
            await answered(socket)


async def _endless(*_: object) -> AsyncIterator[Any]:
    await asyncio.Event().wait()
    yield


@pytest.mark.parametrize("number", [100, 1_000])
async def test_however_many_queries_are_sent_at_once_all_are_answered(number: int) -> None:
    """The pongs stand behind all of them in the client's stream, and the window is full long before."""
    async with opened(limits=Limits(**FAST), extensions=CAN_WAIT) as socket:
        socket.signs_receipts = False
        await socket.init()
        for each in range(number):
            await socket.subscribe(str(each), QUERY)
        kinds: Counter[str] = Counter()
        pings: list[dict[str, Any]] = []
        while kinds["complete"] < number:
            message = await socket.receive()
            kinds[message["type"]] += 1
            if message["type"] == "ping" and kinds["next"] > number - 150:
                await socket.send(type="pong", payload=message["payload"])
            elif message["type"] == "ping":
                pings.append(message)
        assert (kinds["next"], kinds["error"]) == (number, 0)


def test_a_client_that_takes_nothing_of_what_it_asked_for_is_sent_away_and_is_not_read_before() -> None:
    """Of a thousand queries so many are worked on and wait; the rest is not even read."""

    async def course(loop: SkippingLoop) -> int | None:
        unsent = FIRST_WINDOW_BYTES * 10
        frames = {"write": lambda _: None, "unsent": lambda: unsent, "listen": lambda _: None}
        limits = Limits(socket_frames_per_second=0)
        async with opened(limits=limits, extensions={**CAN_WAIT, "salas.frames": frames}) as socket:
            await socket.send(type="connection_init")
            for number in range(1_000):
                await socket.subscribe(f"{number}" + "x" * 1_000, QUERY)
            while socket.unread > 900:  # noqa: ASYNC110 - the queries need threads
                await asyncio.sleep(0.001)
            loop.skip_waits()
            await asyncio.sleep(60)
            assert socket.unread > 700
            return await socket.closed()

    assert run_skipping(course) == NO_RECEIPT


async def test_operations_that_end_make_room_for_others() -> None:
    async with opened(limits=Limits(socket_operations=1)) as socket:
        await socket.init()
        for number in range(5):
            await socket.subscribe(str(number), QUERY)
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_zero_operations_are_no_limit(held: Held) -> None:
    limits = Limits(socket_operations=0, socket_waiting_operations=0, **FAST)
    async with opened(limits=limits) as socket:
        await socket.init()
        for number in range(260):
            await socket.subscribe(str(number), QUERY)
        await held.begun(260)


# Messages a second


SLOW = Limits(socket_frame_burst=4, socket_frames_per_second=0.001)


@pytest.mark.keeps("socket_frame_burst")
@pytest.mark.exceeds("socket_frame_burst")
async def test_a_burst_of_messages_is_taken_and_more_end_the_socket() -> None:
    async with opened(limits=SLOW) as socket:
        await socket.init()
        for _ in range(3):
            await socket.send(type="ping")
            assert await socket.receive() == {"type": "pong"}
        await socket.send(type="ping")
        assert await socket.closed() == TOO_MUCH_AT_ONCE


@pytest.mark.keeps("socket_frames_per_second")
@pytest.mark.exceeds("socket_frames_per_second")
@pytest.mark.parametrize(("per_second", "code"), [(29, None), (60, TOO_MUCH_AT_ONCE)])
def test_so_many_messages_a_second_are_taken_for_as_long_as_one_likes(per_second: int, code: int | None) -> None:
    """With the limits as they come: more than thirty a second use up the burst."""

    async def course(loop: SkippingLoop) -> int | None:
        async with opened() as socket:
            await socket.init()
            loop.skip_waits()
            with suppress(Ended):
                for _ in range(20 * per_second):
                    await asyncio.sleep(1 / per_second)
                    await socket.send(type="ping")
                    assert await socket.receive() == {"type": "pong"}
            return socket.code

    assert run_skipping(course) == code


async def test_messages_of_any_kind_count() -> None:
    async with opened(limits=SLOW) as socket:
        await socket.init()
        await socket.send(type="pong")
        await socket.send(type="complete", id="1")
        await socket.send(type="pong", payload={"receipt": 2**31})
        await socket.send(type="pong", payload={"no": "receipt"})
        assert await socket.closed() == TOO_MUCH_AT_ONCE


async def test_receipts_that_were_asked_for_do_not_count() -> None:
    async with opened(limits=SLOW, pace=Pace(heartbeat_seconds=0.001)) as socket:
        await socket.init()
        socket.signs_receipts = False
        for _ in range(20):
            ping = await socket.receive()
            await socket.send(type="pong", payload=ping["payload"])
        await socket.leave(1000)
    assert socket.code is None


async def test_what_needs_a_moment_is_read_a_moment_later_where_the_client_can_wait() -> None:
    waits = [0.0, 0.0, 0.001, 0.001, 0.0]
    with patch.object(socket_module, "Bucket") as bucket:
        bucket.return_value.take.side_effect = waits
        async with opened(extensions=CAN_WAIT) as socket:
            await socket.init()
            for _ in range(2):
                await socket.send(type="ping")
                assert await socket.receive() == {"type": "pong"}
    assert bucket.return_value.take.call_count == len(waits)


async def test_a_client_with_fifty_operations_is_never_hit() -> None:
    """All of them begin, end and begin again at once."""
    async with opened() as socket:
        await socket.init()
        with patch.object(socket_module.Socket, "_stream", _never):
            for number in range(50):
                await socket.subscribe(str(number), QUERY)
            for number in range(50):
                await socket.send(type="complete", id=str(number))
            for number in range(50):
                await socket.subscribe(str(number), QUERY)
            await socket.send(type="ping")
            assert await socket.receive() == {"type": "pong"}


# What is sent and not read


async def test_who_asks_for_pongs_and_confirms_nothing_is_sent_away() -> None:
    limits = Limits(socket_window_bytes=1_000, socket_frames_per_second=0)
    async with opened(limits=limits, pace=QUIET) as socket:
        socket.signs_receipts = False
        await socket.init()
        for _ in range(5):
            await socket.send(type="ping", payload={"a": "x" * 1_000})
        assert await socket.closed() == TOO_MUCH_AT_ONCE
        assert socket.reason == "Too much was asked for and not confirmed: come back"


async def test_who_confirms_may_ask_for_as_many_pongs_as_they_like() -> None:
    limits = Limits(socket_window_bytes=1_000, socket_frames_per_second=0)
    async with opened(limits=limits, pace=QUIET) as socket:
        await socket.init()
        for _ in range(20):
            await socket.send(type="ping", payload={"a": "x" * 300})
            assert (await socket.receive())["type"] == "pong"


async def test_results_that_nobody_confirms_wait_and_count_as_running() -> None:
    """However cheap the queries are, no more than the window is sent, and no more than those that may wait are kept."""
    limits = Limits(
        socket_window_bytes=500, socket_operations=10, socket_waiting_operations=10, socket_frames_per_second=0
    )
    async with opened(limits=limits, pace=QUIET) as socket:
        socket.signs_receipts = False
        await socket.init()
        received: list[dict[str, Any]] = []
        for number in range(60):
            await socket.subscribe(str(number), "{ __typename }")
        with suppress(Ended):
            while True:
                received.append(await socket.receive())
        kinds = Counter(message["type"] for message in received)
        assert socket.code == TOO_MUCH_AT_ONCE
        assert kinds["error"] > 0
        assert sum(len(json.dumps(message)) for message in received) < 2_000


@pytest.mark.parametrize(("second", "kinds"), [("{ __typename }", ["next", "complete"]), ("{ nothing }", ["error"])])
async def test_the_last_message_of_an_operation_waits_for_room_too(second: str, kinds: list[str]) -> None:
    async with opened(limits=Limits(socket_window_bytes=100), pace=QUIET) as socket:
        socket.signs_receipts = False
        await socket.init()
        await socket.subscribe("1", "{ __typename }")
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        asked = await socket.receive()
        assert asked["type"] == "ping"
        await socket.subscribe("2", second)
        await socket.send(type="ping")
        assert (await socket.receive())["type"] == "pong"
        await socket.send(type="pong", payload=asked["payload"])
        rest = [(await socket.receive())["type"] for _ in range(len(kinds) + 1)]
        assert [kind for kind in rest if kind != "ping"] == kinds


# How many sockets


async def crowd(stack: AsyncExitStack, census: Census, limits: Limits, *clients: str | None) -> list[Socket]:
    return [await stack.enter_async_context(opened(census=census, limits=limits, client=client)) for client in clients]


@pytest.mark.keeps("sockets", "sockets_per_address")
@pytest.mark.exceeds("sockets", "sockets_per_address")
@pytest.mark.parametrize(
    ("limits", "clients", "newcomer", "status"),
    [
        (Limits(sockets=2), (ONE, OTHER), ONE, 503),
        (Limits(sockets_per_address=2), (ONE, ONE, OTHER), ONE, 429),
        (Limits(sockets_per_address=2), ("2001:db8::1", "2001:db8::2"), "2001:db8::3", 429),
    ],
)
async def test_one_socket_too_many_is_refused(
    limits: Limits, clients: tuple[str, ...], newcomer: str, status: int
) -> None:
    census = Census()
    async with AsyncExitStack() as stack:
        sockets = await crowd(stack, census, limits, *clients)
        with pytest.raises(Ended, match=str(status)):
            await stack.enter_async_context(
                opened(census=census, limits=limits, client=newcomer, extensions=CAN_REFUSE)
            )
        async with opened(census=census, limits=limits, client=newcomer) as refused:
            assert await refused.closed() == TOO_MANY_SOCKETS
        for socket in sockets:
            await socket.init()


async def test_a_socket_that_ends_makes_room_for_another() -> None:
    census, limits = Census(), Limits(sockets=1, sockets_per_address=1)
    for _ in range(3):
        async with opened(census=census, limits=limits, client=ONE) as socket:
            await socket.init()
    assert census.names == set()


async def test_a_socket_without_an_address_counts_in_all_only() -> None:
    limits = Limits(sockets_per_address=1)
    async with AsyncExitStack() as stack:
        for socket in await crowd(stack, Census(), limits, None, None):
            await socket.init()


@pytest.mark.keeps("sockets_per_viewer")
@pytest.mark.exceeds("sockets_per_viewer")
async def test_a_viewer_s_socket_too_many_is_sent_away_and_harms_no_other() -> None:
    census, limits = Census(), Limits(sockets_per_viewer=2)
    ana, rui = (Viewer(guest=Guest(pk=number, display_name="x")) for number in (1, 2))
    async with AsyncExitStack() as stack:
        one, other, third, somebody_else, nobody = await crowd(stack, census, limits, *[ONE] * 5)
        with recognised(ana, ana, ana, rui, NOBODY):
            for socket in (one, other):
                await socket.init({"authorization": "Bearer x"})
            await third.send(type="connection_init", payload={"authorization": "Bearer x"})
            assert await third.closed() == TOO_MANY_SOCKETS
            await somebody_else.init({"authorization": "Bearer x"})
            await nobody.init({"authorization": "Bearer x"})
        assert "viewer guest:1" in census.names
    assert census.names == set()


async def test_zero_sockets_are_no_limit() -> None:
    limits = Limits(sockets=0, sockets_per_address=0, sockets_per_viewer=0)
    async with AsyncExitStack() as stack:
        for socket in await crowd(stack, Census(), limits, *[ONE] * 150):
            await socket.init()


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::/64"), ("2001:db8:0:1::1", "2001:db8:0:1::/64")],
)
def test_a_client_of_ipv6_has_many_addresses(address: str, network: str) -> None:
    assert network_of(address) == network
