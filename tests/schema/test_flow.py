"""What goes out on a socket, and when it asks: flow, pacemaker and outlets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from schema.closing import NO_RECEIPT, TOO_MUCH_AT_ONCE, TRY_AGAIN, Closed
from schema.flow import Flow, PingFrame
from schema.limits import Pace
from schema.outlets import DirectOutlet, QueuedOutlet, outlet_of
from schema.pacemaker import ASKED_PER_SECOND, LONGEST_SECONDS, Pacemaker

from .loops import SkippingLoop, run_skipping

PACE = Pace()


class Sent:
    """An outlet that keeps what it is given, as the messages that it holds."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.unsent = 0

    def write(self, texts: Sequence[bytes]) -> None:
        self.messages += [each for text in texts if (each := json.loads(text)) != {"type": "connection_ack"}]

    def unsent_bytes(self) -> int:
        return self.unsent

    async def flushed(self) -> None:
        return

    def drop(self) -> None:
        return

    @property
    def pings(self) -> list[int]:
        return [each["payload"]["receipt"] for each in self.messages if each["type"] == "ping"]


def flow_of(
    sent: Sent,
    pacemaker: Pacemaker | None = None,
    window_bytes: int = 0,
    ended: list[Closed] | None = None,
    ping_frame: PingFrame | None = None,
) -> Flow:
    """Of an acknowledged connection."""
    flow = Flow(
        sent,
        pacemaker or Pacemaker(PACE),
        pace=PACE,
        window_bytes=window_bytes,
        silence_seconds=30,
        end=([] if ended is None else ended).append,
        ping_frame=ping_frame,
    )
    flow.acknowledge(may_ask_by_message=True)
    return flow


class Broken(Sent):
    def write(self, texts: Sequence[bytes]) -> None:
        if b"ping" in texts[0]:
            raise ZeroDivisionError("bug")


def test_one_that_cannot_be_asked_ends_alone(caplog: pytest.LogCaptureFixture) -> None:
    sent, ended = Sent(), list[Closed]()

    async def course(loop: SkippingLoop) -> None:
        loop.skip_waits()
        pacemaker = Pacemaker(PACE)
        flows = [flow_of(each, pacemaker, ended=ended) for each in (Broken(), sent, Broken())]
        for flow in flows:
            flow.sent(10, "1", 1)
            pacemaker.await_burst(flow)
        await asyncio.sleep(1)
        for flow in flows:
            flow.leave()

    run_skipping(course)
    assert len(sent.pings) == 1
    assert [closed.code for closed in ended] == [TRY_AGAIN, TRY_AGAIN]
    assert "ZeroDivisionError: bug" in caplog.text


def test_a_receipt_is_asked_for_once_a_burst_is_over() -> None:
    sent = Sent()

    async def course(loop: SkippingLoop) -> float:
        loop.skip_waits()
        flow = flow_of(sent)
        for _ in range(3):
            flow.reply({"type": "x"})
        began = loop.time()
        while not sent.pings:  # noqa: ASYNC110 - time is skipped
            await asyncio.sleep(0.01)
        flow.leave()
        return loop.time() - began

    assert PACE.receipt_seconds <= run_skipping(course) <= 2 * PACE.receipt_seconds + 0.02
    assert len(sent.pings) == 1, "one for all three"


@pytest.mark.parametrize("pause", [0.05, 0.2])
def test_where_there_is_no_pause_one_is_asked_for_every_second(pause: float) -> None:
    sent = Sent()

    async def course(loop: SkippingLoop) -> None:
        loop.skip_waits()
        flow, began = flow_of(sent), loop.time()
        while loop.time() - began < 10:
            flow.reply({"type": "x"})
            await asyncio.sleep(pause)
        flow.leave()

    run_skipping(course)
    assert 10 <= len(sent.pings) <= 10 / LONGEST_SECONDS


@pytest.mark.parametrize("crowd", [200, 5_000])
def test_however_many_are_busy_no_more_are_asked_than_so_many_a_second_and_each_in_turn(crowd: int) -> None:
    """With few of them each is asked within a second, with many all are asked equally often."""
    seconds = 20

    async def course(loop: SkippingLoop) -> list[Sent]:
        loop.skip_waits()
        pacemaker, sent = Pacemaker(PACE), [Sent() for _ in range(crowd)]
        flows = [flow_of(each, pacemaker) for each in sent]
        began = loop.time()
        while loop.time() - began < seconds:
            for flow in flows:
                flow.sent(10, "1", 1)
                pacemaker.await_burst(flow)
            await asyncio.sleep(0.1)
        for flow in flows:
            flow.leave()
        return sent

    pings = [len(each.pings) for each in run_skipping(course)]
    wanted = min(seconds, seconds * ASKED_PER_SECOND / crowd)
    assert max(pings) - min(pings) <= 1
    assert wanted - 1 <= min(pings)
    assert sum(pings) <= seconds * ASKED_PER_SECOND


def test_an_idle_client_is_asked_for_a_sign_of_life_and_a_silent_one_is_sent_away() -> None:
    sent, ended = Sent(), list[Closed]()

    async def course(loop: SkippingLoop) -> float:
        loop.skip_waits()
        flow = flow_of(sent, ended=ended)
        while not sent.pings:  # noqa: ASYNC110 - time is skipped
            await asyncio.sleep(0.1)
        flow.pong(sent.pings[0])
        while len(sent.pings) < 2:  # noqa: ASYNC110 - time is skipped
            await asyncio.sleep(0.1)
        since = loop.time()
        while not ended:  # noqa: ASYNC110 - time is skipped
            await asyncio.sleep(0.1)
        flow.leave()
        return loop.time() - since

    assert 30 <= run_skipping(course) <= 30 + PACE.heartbeat_seconds / 4 + 0.2
    assert (ended[0].code, len(sent.pings)) == (NO_RECEIPT, 2)


async def test_who_has_left_is_asked_nothing_and_no_timer_is_left() -> None:
    pacemaker = Pacemaker(Pace(receipt_seconds=0))
    one, other = Sent(), Sent()
    gone, here = flow_of(one, pacemaker), flow_of(other, pacemaker)
    for flow in (gone, here):
        flow.reply({"type": "x"})
    gone.leave()
    while not other.pings:  # noqa: ASYNC110 - the timer's next turn
        await asyncio.sleep(0)
    here.leave()
    assert one.pings == []
    assert (pacemaker._tick_timer, pacemaker._look_timer) == (None, None)


async def test_what_waits_for_room_goes_when_there_is_some() -> None:
    sent = Sent()
    flow = flow_of(sent, window_bytes=100)
    await flow.put({"type": "next", "text": "x" * 100})
    waiting = [asyncio.create_task(flow.put({"type": "later", "number": number})) for number in range(2)]
    await asyncio.sleep(0)
    assert [each["type"] for each in sent.messages] == ["next", "ping"]
    flow.pong(sent.pings[0])
    await asyncio.gather(*waiting)
    assert [each["number"] for each in sent.messages if each["type"] == "later"] == [0, 1]
    flow.leave()


async def test_who_goes_on_asking_and_confirms_nothing_is_sent_away() -> None:
    flow = flow_of(Sent(), window_bytes=100)
    for _ in range(13):
        flow.reply({"type": "pong"})
    with pytest.raises(Closed) as raised:
        flow.reply({"type": "pong"})
    assert raised.value.code == TOO_MUCH_AT_ONCE
    flow.leave()


async def test_nothing_is_sent_after_it_was_shut() -> None:
    sent = Sent()
    flow = flow_of(sent)
    flow.shut()
    flow.say({"type": "x"})
    flow.write([b"{}"])
    assert sent.messages == []
    flow.leave()


# Outlets


async def test_a_queue_keeps_the_order_where_the_server_makes_it_wait() -> None:
    taken: list[Any] = []
    may_go_on = asyncio.Event()

    async def send(event: Any) -> None:
        await may_go_on.wait()
        taken.append(event["text"])

    outlet = QueuedOutlet(send)
    outlet.write([b"a", b"b"])
    await asyncio.sleep(0)
    outlet.write([b"c"])
    assert outlet.unsent_bytes() == 3, "one that the server has not taken, and two behind it"
    may_go_on.set()
    await outlet.flushed()
    assert outlet.unsent_bytes() == 0
    outlet.write([b"d"])
    await outlet.flushed()
    assert taken == ["a", "b", "c", "d"]


async def test_a_queue_ends_with_its_socket_and_where_the_client_is_gone() -> None:
    async def gone(event: Any) -> None:
        raise OSError("gone")

    async def never(event: Any) -> None:
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    for send in (gone, never):
        outlet = QueuedOutlet(send)
        outlet.write([b"a", b"b"])
        await asyncio.sleep(0)
        outlet.drop()
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_the_server_s_own_way_is_taken_where_it_offers_one() -> None:
    taken: list[bytes] = []

    async def send(event: Any) -> None:
        raise AssertionError("not this way")

    outlet = outlet_of({"salas.frames": {"write": taken.extend, "unsent": lambda: 7}}, send)
    assert isinstance(outlet, DirectOutlet)
    outlet.write([b"a"])
    await outlet.flushed()
    outlet.drop()
    assert (taken, outlet.unsent_bytes()) == ([b"a"], 7)
    assert isinstance(outlet_of({}, send), QueuedOutlet)
