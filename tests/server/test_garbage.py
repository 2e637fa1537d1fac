"""When garbage is collected, by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from server.garbage import LOST_AT_ONCE, TIME_PART, Garbage


class World:
    """Its clock, and collections that take ``seconds`` each. ``began`` has the times at which they did."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.began: list[float] = []
        self.timers: list[Timer] = []
        self.garbage = Garbage(lambda: self.now, self._call_later, self._collect)

    def pass_time(self, until: float) -> None:
        while due := [each for each in self.timers if each.at <= until]:
            first = min(due, key=lambda timer: timer.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.call()
        self.now = max(self.now, until)

    def lose(self, number: int, still_open: int) -> None:
        for lost in range(1, number + 1):
            self.garbage.connection_lost(still_open - lost)
        self.pass_time(self.now)

    def _call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.timers.append(timer := Timer(self, self.now + seconds, call))
        return timer

    def _collect(self) -> None:
        self.began.append(self.now)
        self.now += self.seconds


class Timer:
    def __init__(self, world: World, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self._world = world

    def cancel(self) -> None:
        self._world.timers.remove(self)


def test_a_few_wait_for_more_to_be_lost() -> None:
    world = World(seconds=0.01)
    world.lose(LOST_AT_ONCE - 1, still_open=100)
    assert world.began == []
    world.lose(1, still_open=1)
    assert world.began == [0.0]


def test_where_many_are_open_many_are_lost_first() -> None:
    world = World(seconds=0.01)
    world.lose(1_000, still_open=10_000)
    assert world.began == []
    world.lose(1_500, still_open=9_000)
    assert len(world.began) == 1


def test_what_takes_long_is_not_done_often_and_at_last_all_is_collected() -> None:
    """Ten thousand are lost within five seconds."""
    world = World(seconds=0.9)
    for batch in range(100):
        world.pass_time(batch * 0.05)
        world.lose(100, still_open=10_000 - batch * 100)
    world.pass_time(100)
    assert world.began[0] < 5 < world.began[-1]
    assert all(later - earlier >= world.seconds / TIME_PART for earlier, later in pairwise(world.began))
    assert len(world.began) == 2
    assert world.timers == []


def test_what_is_quick_is_done_whenever_it_is_due() -> None:
    world = World(seconds=0.001)
    for second in range(1, 11):
        world.pass_time(second)
        world.lose(LOST_AT_ONCE, still_open=LOST_AT_ONCE)
    assert len(world.began) == 10


def test_at_the_end_nothing_is_collected() -> None:
    world = World(seconds=0.9)
    world.lose(100, still_open=100)
    world.lose(100, still_open=100)
    assert len(world.timers) == 1
    world.garbage.end()
    world.lose(1_000, still_open=1_000)
    world.pass_time(100)
    assert len(world.began) == 1
