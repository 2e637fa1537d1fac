"""Hints over the layer of this run: Redis's when scaled out, the one in memory when embedded."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import ChannelLayerManager

from rooms import broker as broker_module
from rooms.broker import Broker
from rooms.hints import ENTRIES_CARRIED, AccessChange, Growth, group_of, hint_message

ENOUGH_SECONDS = 10
PROBE = 0  # a sequence that no log has


class Ear:
    """Hears hints, and lets the test wait for one."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[int, int | None]] = asyncio.Queue()
        self._has_heard_probe = asyncio.Event()

    def __call__(self, room_id: int, sequence: int | None) -> None:
        if sequence == PROBE:
            self._has_heard_probe.set()
        else:
            self.heard.put_nowait((room_id, sequence))

    async def next(self) -> tuple[int, int | None]:
        return await asyncio.wait_for(self.heard.get(), ENOUGH_SECONDS)

    async def is_within(self, layer: FailingLayer, room_id: int) -> None:
        """Wait until what is said to the room's group is heard: Redis lets one in a moment after that was asked for."""
        async with asyncio.timeout(ENOUGH_SECONDS):
            while not self._has_heard_probe.is_set():
                await layer.group_send(group_of(room_id), hint_message(room_id, PROBE))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._has_heard_probe.wait(), 0.05)


class FailingLayer:
    """Wraps a layer; what is named in ``failing`` raises, what is in ``hanging`` never returns."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.failing: set[str] = set()
        self.hanging: set[str] = set()
        self.calls: list[str] = []
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def called(self, name: str) -> None:
        await asyncio.wait_for(self._events[name].wait(), ENOUGH_SECONDS)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            self.calls.append(name)
            self._events[name].set()
            if name in self.failing:
                raise ConnectionError("the layer is away")
            if name in self.hanging:
                await asyncio.Event().wait()
            return await getattr(self.layer, name)(*args)

        return call


def unheard(change: AccessChange) -> None:
    raise AssertionError(f"nobody announced {change}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time between two tries."""
    monkeypatch.setattr(broker_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(broker_module, "REFRESH_SECONDS", 0.01)


@pytest.fixture
async def layer() -> AsyncIterator[FailingLayer]:
    """A layer as a process of its own would have it, of the kind of this run."""
    found = ChannelLayerManager()[DEFAULT_CHANNEL_LAYER]
    yield FailingLayer(found)
    await found.flush()


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[Ear]:
    ear = Ear()
    task = asyncio.create_task(broker.listen(ear))
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        broker.detach()


async def test_a_watched_room_is_looked_at_once_and_then_hinted_at(layer: FailingLayer) -> None:
    broker = Broker(layer)  # type: ignore[arg-type]
    async with listening(broker) as ear:
        broker.watch(1)
        assert await ear.next() == (1, None)
        broker.attach(Ear(), unheard)
        broker.announce(1, 5)
        assert await ear.next() == (1, 5)


async def test_the_process_hears_itself_without_the_layer(layer: FailingLayer) -> None:
    layer.failing = {"group_send", "new_channel"}
    broker, own = Broker(layer), Ear()  # type: ignore[arg-type]
    broker.attach(own, unheard)
    broker.announce(1, 5)
    assert await own.next() == (1, 5)
    broker.detach()


async def test_what_the_process_has_at_hand_it_is_offered_and_others_are_hinted_at(layer: FailingLayer) -> None:
    here, there, own = Broker(layer), Broker(layer), Ear()  # type: ignore[arg-type]
    offered: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
    async with listening(there) as ear:
        there.watch(1)
        assert await ear.next() == (1, None)
        here.attach(own, unheard, lambda *offer: offered.put_nowait(offer))
        entries: Any = ["the fourth", "the fifth"]
        broker_module.announce(room_id=1, sequence=5, entries=entries)
        assert await asyncio.wait_for(offered.get(), ENOUGH_SECONDS) == (1, entries)
        assert await ear.next() == (1, 5)
        broker_module.announce(room_id=1, sequence=6)
        assert await own.next() == (1, 6), "what it has not at hand it is hinted at"
    assert own.heard.empty()


class Envelope:
    """Stands for a seal: what it ``opens`` may be taken."""

    def __init__(self, *, opens: bool = True) -> None:
        self.opens = opens
        self.put: list[list[Any]] = []

    def sealed(self, entries: Sequence[Any]) -> bytes | None:
        self.put.append(list(entries))
        return b"%d" % (len(self.put) - 1)

    def opened(self, room_id: int, sealed: bytes) -> Sequence[Any]:
        return self.put[int(sealed)] if self.opens else ()


@dataclass(frozen=True)
class Numbered:
    """What a broker needs to know of an entry."""

    sequence: int


def numbered(*sequences: int) -> list[Any]:
    return [Numbered(sequence) for sequence in sequences]


class Sociable(Broker):
    """Tells when it has met another."""

    def __init__(self, layer: Any, envelope: Envelope) -> None:
        super().__init__(layer, envelope)
        self.offered: list[tuple[int, Sequence[Any]]] = []
        self.has_heard_itself = asyncio.Event()
        self._has_met = asyncio.Event()

    def offer(self, room_id: int, entries: Sequence[Any]) -> None:
        self.offered.append((room_id, entries))

    def meet_anew(self) -> None:
        self._has_met.clear()

    async def meets_another(self) -> None:
        await asyncio.wait_for(self._has_met.wait(), ENOUGH_SECONDS)

    def _note_greeting(self, name: str) -> None:
        super()._note_greeting(name)
        if name == self._name:
            self.has_heard_itself.set()
        if self._has_company():
            self._has_met.set()


@asynccontextmanager
async def meeting(layer: FailingLayer, envelope: Envelope) -> AsyncIterator[tuple[Sociable, Sociable, Ear]]:
    """Two that listen, one after the other, and have met; the second is attached and its ear is that for room 1."""
    here, there = Sociable(layer, envelope), Sociable(layer, envelope)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(listening(here))
        here.watch(1)
        assert await first.next() == (1, None)
        await asyncio.wait_for(here.has_heard_itself.wait(), ENOUGH_SECONDS)
        ear = await stack.enter_async_context(listening(there))
        there.watch(1)
        assert await ear.next() == (1, None)
        there.attach(ear, unheard, there.offer)
        await asyncio.gather(here.meets_another(), there.meets_another(), ear.is_within(layer, 1))
        yield here, there, ear


@pytest.mark.parametrize("opens", [True, False])
async def test_entries_go_along_with_a_hint_to_other_processes(layer: FailingLayer, opens: bool) -> None:
    """What cannot be opened is a hint like any other."""
    async with meeting(layer, Envelope(opens=opens)) as (here, there, ear):
        here.attach(Ear(), unheard)
        here.announce(1, 5, numbered(4, 5))
        assert await ear.next() == (1, 5)
    assert there.offered == ([(1, numbered(4, 5))] if opens else [])


async def test_who_sent_them_is_offered_entries_once(layer: FailingLayer) -> None:
    async with meeting(layer, envelope := Envelope()) as (_, there, ear):
        there.announce(1, 5, numbered(5))
        assert await ear.next() == (1, 5), "over the layer"
    assert there.offered == [(1, numbered(5))]
    assert envelope.put == [numbered(5)]


async def test_what_cannot_be_sealed_is_hinted_at(layer: FailingLayer, caplog: pytest.LogCaptureFixture) -> None:
    envelope = Envelope()
    with patch.object(envelope, "sealed", side_effect=TypeError("no JSON")):
        async with meeting(layer, envelope) as (here, _, ear):
            here.attach(Ear(), unheard)
            here.announce(1, 5, numbered(5))
            assert await ear.next() == (1, 5)
    assert "no JSON" in caplog.text


async def test_nothing_goes_along_where_nobody_else_listens(layer: FailingLayer) -> None:
    broker = Broker(layer, envelope := Envelope())  # type: ignore[arg-type]
    async with listening(broker) as ear:
        broker.watch(1)
        assert await ear.next() == (1, None)
        await ear.is_within(layer, 1)
        broker.attach(Ear(), unheard)
        broker.announce(1, 5, numbered(5))
        assert await ear.next() == (1, 5)
    assert envelope.put == []


async def test_nor_where_who_listened_has_long_said_nothing(
    layer: FailingLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with meeting(layer, envelope := Envelope()) as (here, _, ear):
        here.attach(Ear(), unheard)
        monkeypatch.setattr(broker_module, "SILENT_SECONDS", 0.0)
        here.announce(1, 5, numbered(5))
        assert await ear.next() == (1, 5)
    assert envelope.put == []


async def test_who_comes_is_greeted_back(layer: FailingLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And need not wait until the others say again that they listen."""
    monkeypatch.setattr(broker_module, "REFRESH_SECONDS", 3600.0)
    async with meeting(layer, Envelope()) as (here, there, _):
        assert here._has_company()
        assert there._has_company()


async def test_that_one_listens_is_said_again_and_again(layer: FailingLayer, quick: None) -> None:
    async with meeting(layer, Envelope()) as (here, there, _):
        for _ in range(5):
            for broker in (here, there):
                broker.meet_anew()
            await asyncio.gather(here.meets_another(), there.meets_another())


def test_growths_that_wait_go_together_as_far_as_they_follow_on_one_another() -> None:
    third, fourth = Growth(3, numbered(2, 3)), Growth(4, numbered(4))
    assert third.with_later(fourth) == Growth(4, numbered(2, 3, 4))
    assert third.with_later(Growth(5, numbered(5))) == Growth(5, numbered(5)), "the fourth is missing"
    assert third.with_later(Growth(4)) == Growth(4), "and here it is not at hand"
    assert Growth(3).with_later(fourth) == fourth
    assert fourth.with_later(third) == fourth, "what is told late says nothing new"
    many = Growth(ENTRIES_CARRIED + 1, numbered(*range(2, ENTRIES_CARRIED + 2)))
    assert many.with_later(Growth(ENTRIES_CARRIED + 2, numbered(ENTRIES_CARRIED + 2))) == Growth(ENTRIES_CARRIED + 2)


async def test_any_thread_may_announce(layer: FailingLayer) -> None:
    broker, own = Broker(layer), Ear()  # type: ignore[arg-type]
    broker.attach(own, unheard)
    thread = threading.Thread(target=broker_module.announce, kwargs={"room_id": 1, "sequence": 5})
    thread.start()
    assert await own.next() == (1, 5)
    await asyncio.to_thread(thread.join)
    broker.detach()


async def test_hints_that_wait_are_merged_into_the_newest(layer: FailingLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "LAYER_TIMEOUT_SECONDS", 0.05)
    layer.hanging = {"group_send"}
    broker, own = Broker(layer), Ear()  # type: ignore[arg-type]
    broker.attach(own, unheard)
    for sequence in range(1, 101):
        broker.announce(1, sequence)
    for _ in range(100):
        await own.next()
    assert broker._sending is not None
    await asyncio.wait_for(broker._sending, ENOUGH_SECONDS)
    assert layer.calls.count("group_send") <= 2
    broker.detach()


async def test_a_layer_that_was_away_is_listened_to_again(layer: FailingLayer, quick: None) -> None:
    layer.failing = {"new_channel"}
    broker = Broker(layer)  # type: ignore[arg-type]
    async with listening(broker) as ear:
        broker.watch(1)
        await layer.called("new_channel")
        layer.failing.clear()
        assert await ear.next() == (1, None)


async def test_a_group_that_could_not_be_joined_is_joined_later(layer: FailingLayer, quick: None) -> None:
    layer.failing = {"group_add"}
    broker = Broker(layer)  # type: ignore[arg-type]
    async with listening(broker) as ear:
        broker.watch(1)
        await layer.called("group_add")
        layer.failing.clear()
        assert await ear.next() == (1, None)


async def test_that_the_layer_is_away_is_said_once(layer: FailingLayer, caplog: pytest.LogCaptureFixture) -> None:
    layer.failing = {"group_send"}
    broker, own = Broker(layer), Ear()  # type: ignore[arg-type]
    broker.attach(own, unheard)
    for room_id in range(20):
        broker.announce(room_id, 1)
    for _ in range(20):
        await own.next()
    assert broker._sending is not None
    await asyncio.wait_for(broker._sending, ENOUGH_SECONDS)
    broker.detach()
    assert len(caplog.records) == 1


async def test_a_room_that_is_no_longer_watched_is_no_longer_hinted_at(layer: FailingLayer) -> None:
    broker = Broker(layer)  # type: ignore[arg-type]
    async with listening(broker) as ear:
        broker.watch(1)
        assert await ear.next() == (1, None)
        broker.unwatch(1)
        broker.watch(2)
        assert await ear.next() == (2, None)
        broker.attach(Ear(), unheard)
        broker.announce(1, 5)
        broker.announce(2, 6)
        assert await ear.next() == (2, 6)


@pytest.mark.parametrize("change", [AccessChange(7, 3, "user:5"), AccessChange(viewer_key="guest:1")])
async def test_a_change_of_access_reaches_every_process(layer: FailingLayer, change: AccessChange) -> None:
    here, there = Broker(layer), Broker(layer)  # type: ignore[arg-type]
    heard_here: asyncio.Queue[AccessChange] = asyncio.Queue()
    heard_there: asyncio.Queue[AccessChange] = asyncio.Queue()
    async with listening(there) as ear:
        there.attach(ear, heard_there.put_nowait)
        there.watch(1)
        assert await ear.next() == (1, None)  # it has joined the groups by now
        here.attach(Ear(), heard_here.put_nowait)
        broker_module.announce_access(room_id=change.room_id, version=change.version, viewer_key=change.viewer_key)
        assert await asyncio.wait_for(heard_here.get(), ENOUGH_SECONDS) == change
        assert await asyncio.wait_for(heard_there.get(), ENOUGH_SECONDS) == change


def test_a_process_without_sockets_announces_too() -> None:
    assert not broker_module._attached
    broker_module.announce(room_id=1, sequence=1)
