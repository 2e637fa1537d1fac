"""What happens when in a drain, on a clock that only the drain moves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from server.drain import Notice, Timetable, drain

TEN_SECONDS = Timetable.within(10, spread=3)


@dataclass
class FakeServer:
    """Is busy and connected until the times that are given, and notes when it was asked for what."""

    busy_until: float = 0.0
    connected_until: float = 0.0
    time: float = 0.0
    asked: dict[str, float] = field(default_factory=dict)

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def is_busy(self) -> bool:
        return self.time < self.busy_until

    def is_connected(self) -> bool:
        return self.time < max(self.connected_until, self.busy_until)

    def stop_accepting(self) -> None:
        self.asked["stop"] = self.time

    def close_connections(self) -> None:
        self.asked["close"] = self.time
        self.connected_until = 0.0

    def cut_connections(self) -> None:
        self.asked["cut"] = self.time

    async def drained(self) -> dict[str, float]:
        await drain(self, TEN_SECONDS, now=self.now, sleep=self.sleep)
        return {name: round(time, 1) for name, time in (self.asked | {"end": self.time}).items()}


async def test_a_server_without_connections_ends_at_once() -> None:
    assert await FakeServer().drained() == {"stop": 0, "close": 0, "cut": 0, "end": 0}


async def test_idle_connections_may_bring_one_more_request() -> None:
    assert await FakeServer(connected_until=60).drained() == {"stop": 0, "close": 0.5, "cut": 0.5, "end": 0.5}


async def test_what_is_under_way_may_end() -> None:
    assert await FakeServer(busy_until=5, connected_until=60).drained() == {"stop": 0, "close": 5, "cut": 5, "end": 5}


async def test_what_does_not_end_is_closed_and_then_cut() -> None:
    assert await FakeServer(busy_until=7.5).drained() == {"stop": 0, "close": 7.2, "cut": 7.5, "end": 7.5}
    assert await FakeServer(busy_until=60).drained() == {"stop": 0, "close": 7.2, "cut": 7.8, "end": 8.3}


@pytest.mark.parametrize("seconds", [2.0, 10.0, 30.0])
def test_every_step_has_its_time(seconds: float) -> None:
    table = Timetable.within(seconds, spread=0.3)
    steps = [0, table.spread, table.close, table.cut, table.end, table.exit, table.kill, seconds]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(("seconds", "spread"), [(1, 0), (10, 8), (10, -1)])
def test_a_drain_needs_some_time(seconds: float, spread: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Timetable.within(seconds, spread)


def test_an_application_has_four_seconds_after_the_last_delay() -> None:
    assert TEN_SECONDS.spread + 4 < TEN_SECONDS.close


def test_sockets_are_sent_away_one_by_one() -> None:
    delays = [TEN_SECONDS.offer()[1]["delay_seconds"] for _ in range(3000)]
    assert len(set(delays)) > 2900
    for third in range(3):
        assert 850 < sum(int(3 * delay / TEN_SECONDS.spread) == third for delay in delays) < 1150


async def test_a_notice_knows_whether_anybody_waits() -> None:
    notice, offer = TEN_SECONDS.offer()
    assert not notice.is_heeded
    waiting = asyncio.create_task(offer["began"].wait())
    await asyncio.sleep(0)
    assert notice.is_heeded
    notice.set()
    await waiting


@pytest.mark.parametrize("is_early", [True, False], ids=["before", "after"])
async def test_a_notice_calls_who_asked_once_and_not_from_within(is_early: bool) -> None:
    notice, called = Notice(), []
    if not is_early:
        notice.set()
    notice.call(lambda: called.append("told"))
    assert notice.is_heeded
    notice.set()
    assert called == []
    await asyncio.sleep(0)
    notice.set()
    await asyncio.sleep(0)
    assert called == ["told"]
