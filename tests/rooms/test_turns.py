"""Who of those that wait for a place goes next."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from rooms.turns import OWN, Turns


class Desk:
    """Places, stepped by hand. An item is its lane and a number; ``begun`` are those that have a place."""

    def __init__(self, places: int, *, share: int, reserved: int = 0) -> None:
        self.turns: Turns[tuple[str, int]] = Turns(places, share=share, reserved=reserved)
        self.begun: list[tuple[str, int]] = []
        self._number = 0

    def wait(self, *lanes: str) -> Desk:
        for lane in lanes:
            self._number += 1
            self.turns.wait(lane, (lane, self._number))
        return self

    def begin(self) -> list[str]:
        """Give all places that can be given; return the lanes that had them."""
        found = []
        while (item := self.turns.begin()) is not None:
            self.begun.append(item)
            found.append(item[0])
        return found

    def end(self, lane: str) -> list[str]:
        """Free one of the lane's places; return the lanes that begin then."""
        self.begun.remove(next(item for item in self.begun if item[0] == lane))
        self.turns.end(lane)
        return self.begin()


def test_a_lane_has_its_share_at_most_though_places_are_free() -> None:
    assert Desk(4, share=2).wait("ana", "ana", "ana").begin() == ["ana", "ana"]


def test_another_lane_finds_a_place_however_many_wait_in_the_first() -> None:
    desk = Desk(4, share=2).wait(*["ana"] * 9)
    desk.begin()
    assert desk.wait("bia").begin() == ["bia"]


def test_what_ends_makes_room_for_the_same_lane() -> None:
    desk = Desk(4, share=2).wait(*["ana"] * 3)
    desk.begin()
    assert desk.end("ana") == ["ana"]


def test_lanes_take_turns() -> None:
    desk = Desk(1, share=1).wait("ana", "ana", "ana", "bia", "bia", "rui")
    assert desk.begin() == ["ana"]
    order = [desk.end(lane)[0] for lane in ("ana", "bia", "rui", "ana", "bia")]
    assert order == ["bia", "rui", "ana", "bia", "ana"]


def test_within_a_lane_the_first_comes_first() -> None:
    desk = Desk(3, share=3).wait("ana", "ana", "ana")
    desk.begin()
    assert desk.begun == [("ana", 1), ("ana", 2), ("ana", 3)]


def test_the_process_s_own_work_goes_first() -> None:
    desk = Desk(1, share=1).wait("ana")
    desk.begin()
    assert desk.wait("bia", OWN).end("ana") == [OWN]


def test_lanes_leave_the_reserved_places_to_the_process_s_own_work() -> None:
    desk = Desk(4, share=2, reserved=1).wait("ana", "ana", "bia", "bia")
    assert desk.begin() == ["ana", "bia", "ana"]
    assert desk.wait(OWN).begin() == [OWN]


def test_the_process_s_own_work_may_have_every_place() -> None:
    assert Desk(3, share=1, reserved=1).wait(*[OWN] * 4).begin() == [OWN] * 3


def test_what_is_withdrawn_does_not_begin() -> None:
    desk = Desk(1, share=1).wait("ana", "ana", "bia")
    desk.turns.withdraw("ana", ("ana", 1))
    desk.begin()
    assert desk.begun == [("ana", 2)]
    desk.turns.withdraw("bia", ("bia", 3))
    assert desk.end("ana") == []


def test_withdrawing_what_has_begun_changes_nothing() -> None:
    desk = Desk(1, share=1).wait("ana")
    desk.begin()
    desk.turns.withdraw("ana", ("ana", 1))
    assert desk.wait("bia").begin() == []
    assert desk.end("ana") == ["bia"]


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_places_are_bounded_and_nobody_is_forgotten(seed: int) -> None:
    draw = random.Random(seed)
    places, share, reserved = draw.randint(2, 8), draw.randint(1, 4), draw.randint(0, 1)
    desk, lanes = Desk(places, share=share, reserved=reserved), [OWN, "ana", "bia", "rui"]
    asked: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for _ in range(200):
        lane = draw.choice(lanes)
        if draw.random() < 0.5:
            asked[lane] += 1
            desk.wait(lane).begin()
        elif desk.begun:
            lane = draw.choice(desk.begun)[0]
            done[lane] += 1
            desk.end(lane)
        held = Counter(lane for lane, _ in desk.begun)
        own = held.pop(OWN, 0)
        assert own + held.total() <= places
        assert held.total() <= places - reserved
        assert max(held.values(), default=0) <= share
    while desk.begun:
        done[desk.begun[0][0]] += 1
        desk.end(desk.begun[0][0])
    assert done == asked
