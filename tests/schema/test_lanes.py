"""In whose lane the database is asked (``rooms.threads``): the viewer's, or the process's own for what is for all."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import patch

import pytest

from rooms import selectors
from rooms.feed import Head
from rooms.hub import Hub
from rooms.identity import NOBODY, Viewer
from rooms.models import Guest
from rooms.threads import current_lane, enter_lane, in_database
from rooms.turns import OWN
from schema import identities
from schema.cohorts import Cohorts, Member
from schema.context import authenticate_all, lane_of
from schema.ids import encode_id
from tests.people import make_guest, make_room
from tests.rooms.fakes import FakeBroker, FakeEntry, FakeLog, anyone, run_loop

from .api import Api, id_of
from .sockets import opened
from .test_cohorts import PREFIX, FakeFlow, never, shown

QUERY = '{ room(slug: "lobby") { id } }'
ROOM = 1


@pytest.fixture
def lanes() -> Iterator[list[str]]:
    """Those in which rooms are looked up."""
    found: list[str] = []

    def look_up(**_: object) -> None:
        found.append(current_lane())

    with patch.object(selectors, "room_by_slug", look_up):
        yield found


@pytest.mark.parametrize(
    ("viewer", "address", "lane"),
    [
        (Viewer(guest=Guest(pk=7)), "192.0.2.1", "guest:7"),
        (NOBODY, "192.0.2.1", "address 192.0.2.1"),
        (NOBODY, "2001:db8:1:2::1", "address 2001:db8:1:2::/64"),
        (NOBODY, None, "address unknown"),
    ],
)
def test_a_lane_is_a_viewer_s_or_a_network_s(viewer: Viewer, address: str | None, lane: str) -> None:
    assert lane_of(viewer, address) == lane


@pytest.mark.django_db
def test_a_request_waits_in_its_viewer_s_lane(lanes: list[str]) -> None:
    guest = make_guest(make_room())
    Api(guest).data(QUERY)
    Api().data(QUERY)
    assert lanes == [guest.key, "address 127.0.0.1"]


@pytest.mark.django_db(transaction=True)
async def test_an_operation_of_a_socket_waits_in_its_viewer_s_lane(lanes: list[str]) -> None:
    guest = await in_database(lambda: make_guest(make_room()))
    for token, client in ((guest.token, None), (None, "192.0.2.1")):
        async with opened(client=client) as socket:
            await socket.init({"authorization": f"Bearer {token}"} if token else None)
            await socket.subscribe("1", QUERY)
            assert (await socket.receive())["type"] == "next"
    assert lanes == [guest.key, "address 192.0.2.1"]


@pytest.mark.django_db(transaction=True)
async def test_what_is_looked_up_for_many_at_a_time_is_the_process_s_own_work() -> None:
    guest = await in_database(lambda: make_guest(make_room()))
    found: list[str] = []

    def noted(function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            found.append(current_lane())
            return function(*arguments, **named)

        return call

    with (
        patch.object(identities, "authenticate_all", noted(authenticate_all)),
        patch.object(selectors, "rooms_to_follow", noted(selectors.rooms_to_follow)),
    ):
        async with opened() as socket:
            await socket.init({"authorization": f"Bearer {guest.token}"})
            await socket.subscribe(
                "1", f'subscription {{ messages(roomId: "{encode_id("Room", 2**40)}") {{ cursor }} }}'
            )
            assert (await socket.receive())["type"] == "error"
    assert found == [OWN, OWN]


class LaneLog(FakeLog):
    """Notes in whose lane it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[str] = []

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[FakeEntry]:
        self.lanes.append(current_lane())
        return await super().after(room_id, sequence, limit)

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, Head]:
        self.lanes.append(current_lane())
        return await super().heads(room_ids)


async def test_a_feed_reads_in_the_process_s_lane_whoever_followed_first() -> None:
    log = LaneLog()
    hub = Hub(log, FakeBroker())
    enter_lane("ana")
    seat = hub.enter(ROOM, 0, anyone())
    log.append()
    hub.hint(ROOM, 1)
    await run_loop(20)
    assert log.lanes
    assert set(log.lanes) == {OWN}
    seat.leave()
    await hub.close()


async def test_a_replay_is_read_in_its_viewer_s_lane_whoever_makes_it_go_on() -> None:
    log = LaneLog()
    for _ in range(3):
        log.append()
    hub = Hub(log, FakeBroker(), tail_capacity=1)
    enter_lane("somebody")
    seat = hub.enter(ROOM, 3, anyone())
    enter_lane("ana")
    flow = FakeFlow()
    member = Member(Cohorts().of(seat.feed, ("all",), shown), flow, "1", PREFIX, 0, never)
    enter_lane("somebody else")
    member.go_on()
    await run_loop(20)
    assert flow.heard == [1, 2, 3]
    assert [lane for lane in log.lanes if lane != OWN] == ["ana"]
    member.leave()
    seat.leave()
    await hub.close()


@pytest.mark.django_db(transaction=True)
async def test_a_send_is_answered_while_another_viewer_has_eight_queries_that_take_long() -> None:
    room = await in_database(make_room)
    ana, bia = [await in_database(make_guest, room) for _ in range(2)]
    end = threading.Event()
    with patch.object(selectors, "room_by_slug", lambda **_: end.wait(30) and None):
        async with opened() as dear, opened() as other:
            try:
                await dear.init({"authorization": f"Bearer {ana.token}"})
                await other.init({"authorization": f"Bearer {bia.token}"})
                for number in range(8):
                    await dear.subscribe(str(number), QUERY)
                document = 'mutation ($id: ID!) { sendMessage(input: {roomId: $id, text: "hi"}) { message { text } } }'
                await other.subscribe("1", document, id=id_of(room))
                assert (await other.receive())["payload"]["data"] == {"sendMessage": {"message": {"text": "hi"}}}
                assert dear.nothing_waits
            finally:
                end.set()
            answers = [await dear.receive() for _ in range(16)]
            assert {answer["id"] for answer in answers if answer["type"] == "next"} == {*map(str, range(8))}
