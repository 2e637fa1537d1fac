"""One rate limit for all mutations of a viewer, over HTTP and WebSocket alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest
from pytest_django import Settings

from config.limits import Limits
from rooms.models import Member
from rooms.rates import LocalBuckets, Rates
from rooms.threads import in_database
from schema import writes
from tests.people import make_guest, make_room
from tests.rooms.test_rates import Clock

from .api import Api, id_of
from .sockets import opened

LEAVE = "mutation ($id: ID!) { leaveRoom(input: {roomId: $id}) { room { id } } }"
JOIN = 'mutation ($slug: String!) { joinRoom(input: {slug: $slug, displayName: "Ana"}) { token } }'
LOGOUT = "mutation { logout { viewer { isGuest } } }"
QUERY = "{ viewer { isGuest } }"
GRAPHQL_RESPONSE = {"Accept": "application/graphql-response+json"}


@pytest.fixture
def clock(settings: Settings) -> Iterator[Clock]:
    """Two mutations at once, then one in two seconds by this clock."""
    clock = Clock()
    settings.LIMITS = replace(settings.LIMITS, write_burst=2, writes_per_second=0.5)
    with patch.object(writes, "_rates", Rates(None, LocalBuckets(clock.nanoseconds), clock.seconds)):
        yield clock


@pytest.mark.keeps("write_burst", "writes_per_second")
@pytest.mark.exceeds("write_burst", "writes_per_second")
@pytest.mark.django_db
def test_mutations_of_a_viewer_are_limited_whatever_they_do(clock: Clock) -> None:
    room = make_room()
    ana = Api(make_guest(room))
    ana.data(JOIN, slug=room.slug)
    ana.data(JOIN, slug=room.slug)
    assert ana.refusal(LEAVE, id=id_of(room)) == {"code": "RATE_LIMITED", "retryAfter": 2.0}
    assert Member.objects.get().left_at is None
    ana.data(QUERY)
    clock.now += 2
    ana.data(LEAVE, id=id_of(room))


@pytest.mark.django_db
def test_each_viewer_has_its_own(clock: Clock) -> None:
    room = make_room()
    for viewer in (make_guest(room), make_guest(room)):
        for _ in range(2):
            Api(viewer).data(LEAVE, id=id_of(room))


@pytest.mark.django_db
def test_the_anonymous_of_an_address_have_one_together(clock: Clock) -> None:
    Api().data(LOGOUT)
    Api().data(LOGOUT)
    assert Api().refusal(LOGOUT)["code"] == "RATE_LIMITED"


@pytest.mark.django_db
def test_each_mutation_of_a_document_counts_and_none_is_done_where_one_is_too_many(clock: Clock) -> None:
    rooms = [make_room() for _ in range(3)]
    ana = make_guest(rooms[0])
    fields = "".join(
        f'a{n}: leaveRoom(input: {{roomId: "{id_of(room)}"}}) {{ room {{ id }} }} ' for n, room in enumerate(rooms)
    )
    assert Api(ana).refusal(f"mutation {{ ...All }} fragment All on Mutation {{ {fields} }}")["code"] == "RATE_LIMITED"
    assert Member.objects.get().left_at is None


@pytest.mark.django_db
def test_the_status_is_429_for_clients_that_know_it(clock: Clock) -> None:
    *done, response = [Api().post({"query": LOGOUT}, **GRAPHQL_RESPONSE) for _ in range(3)]
    assert [each.status_code for each in done] == [200, 200]
    assert response.status_code == 429
    assert response.json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 2.0}
    assert Api().post({"query": LOGOUT}).status_code == 200  # application/json: as for every error


@pytest.mark.django_db(transaction=True)
async def test_over_websocket_it_is_an_error_of_the_operation(clock: Clock) -> None:
    guest = await in_database(lambda: make_guest(make_room()))
    async with opened() as socket:
        await socket.init({"authorization": f"Bearer {guest.token}"})
        document = 'mutation { leaveRoom(input: {roomId: "UnxX"}) { room { id } } }'
        for number in range(2):
            await socket.subscribe(str(number), document)
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await socket.subscribe("one more", document)
        refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("one more", "error")
        assert refused["payload"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 2.0}


@pytest.mark.django_db
def test_zero_is_no_limit(clock: Clock, settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), write_burst=0)
    for _ in range(5):
        Api().data(LOGOUT)
