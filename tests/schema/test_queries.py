from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from rooms import services
from rooms.identity import NOBODY, Viewer
from rooms.models import MemberRole, Room, RoomAccess
from schema.cursors import log_cursor
from schema.ids import encode_id
from tests.people import archive, make_guest, make_member, make_room, make_staff, make_user, send

from .api import Api, id_of

pytestmark = pytest.mark.django_db

MESSAGES = """
query ($slug: String!, $first: Int, $after: String, $last: Int, $before: String) {
  room(slug: $slug) {
    cursor
    messages(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { sequence text author { displayName isGuest } } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
ROOMS = """
query ($first: Int, $after: String, $last: Int, $before: String, $search: String, $archived: Boolean) {
  rooms(first: $first, after: $after, last: $last, before: $before, search: $search, archived: $archived) {
    edges { cursor node { slug } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


def room_with(count: int) -> tuple[Room, Viewer]:
    room = make_room()
    ana = make_guest(room)
    for number in range(1, count + 1):
        send(ana, room, str(number))
    return room, ana


def page(room: Room, **arguments: object) -> tuple[list[str], bool, bool]:
    """Texts, whether there is a next page, whether there is a previous one."""
    found = Api().data(MESSAGES, slug=room.slug, **arguments)["room"]["messages"]
    info = found["pageInfo"]
    cursors = [edge["cursor"] for edge in found["edges"]] or [None]
    assert (info["startCursor"], info["endCursor"]) == (cursors[0], cursors[-1])
    return [edge["node"]["text"] for edge in found["edges"]], info["hasNextPage"], info["hasPreviousPage"]


def slugs(viewer: Viewer | None = None, **arguments: object) -> list[str]:
    found = Api(viewer).data(ROOMS, **arguments)["rooms"]
    return [edge["node"]["slug"] for edge in found["edges"]]


# Who am I


def test_nobody_is_nobody() -> None:
    found = Api().data("{ viewer { isAuthenticated isGuest displayName members { id } } }")
    assert found["viewer"] == {"isAuthenticated": False, "isGuest": False, "displayName": None, "members": []}


def test_a_guest_is_known_by_the_bearer_token() -> None:
    room = make_room(name="Kitchen")
    found = Api(make_guest(room, "Ana")).data(
        "{ viewer { isAuthenticated isGuest displayName members { displayName room { name } } } }"
    )
    members = [{"displayName": "Ana", "room": {"name": "Kitchen"}}]
    assert found["viewer"] == {"isAuthenticated": True, "isGuest": True, "displayName": "Ana", "members": members}


def test_an_account_is_known_by_its_session() -> None:
    found = Api(make_user("bia")).data("{ viewer { isAuthenticated isGuest displayName } }")
    assert found["viewer"] == {"isAuthenticated": True, "isGuest": False, "displayName": "bia"}


# A room


@pytest.mark.parametrize("slug", ["nowhere", "", "\0", "\ud800", "x" * 500, "' OR 1=1 --"])
def test_no_such_room_is_null(slug: str) -> None:
    assert Api().data("query ($slug: String!) { room(slug: $slug) { id } }", slug=slug) == {"room": None}


@pytest.mark.parametrize(
    ("access", "who", "known", "readable"),
    [
        (RoomAccess.OPEN, lambda room: NOBODY, True, True),
        (RoomAccess.PASSWORD, lambda room: NOBODY, True, False),
        (RoomAccess.PASSWORD, lambda room: make_user(), True, False),
        (RoomAccess.PASSWORD, make_guest, True, True),
        (RoomAccess.PASSWORD, lambda room: make_staff(), True, True),
        (RoomAccess.MEMBERS, lambda room: NOBODY, False, False),
        (RoomAccess.MEMBERS, lambda room: make_user(), False, False),
        (RoomAccess.MEMBERS, make_member, True, True),
        (RoomAccess.MEMBERS, lambda room: make_staff(), True, True),
    ],
)
def test_who_may_know_and_who_may_read(access: RoomAccess, who: object, known: bool, readable: bool) -> None:
    room = make_room(access)
    viewer = who(room)  # type: ignore[operator]
    found = Api(viewer).execute(
        "query ($slug: String!) { room(slug: $slug) { slug cursor messages { edges { cursor } } } }", slug=room.slug
    )
    if not known:
        assert (found["data"], found.get("errors")) == ({"room": None}, None)
    elif readable:
        assert "errors" not in found
        assert found["data"] == {
            "room": {"slug": room.slug, "cursor": log_cursor(room.pk, 0), "messages": {"edges": []}}
        }
    else:
        assert found["data"] == {"room": {"slug": room.slug, "cursor": None, "messages": None}}
        code = "FORBIDDEN" if viewer.is_authenticated else "UNAUTHENTICATED"
        assert [error["extensions"]["code"] for error in found["errors"]] == [code]
    assert (room.slug in slugs(viewer)) == known


def test_an_archived_room_is_still_read() -> None:
    room, _ = room_with(1)
    archive(room)
    found = Api().data(
        "query ($slug: String!) { room(slug: $slug) { isArchived messages { edges { cursor } } } }", slug=room.slug
    )
    assert found["room"]["isArchived"] is True
    assert len(found["room"]["messages"]["edges"]) == 1


def test_you_in_this_room() -> None:
    room = make_room()
    document = "query ($slug: String!) { room(slug: $slug) { viewerMember { displayName role } } }"
    assert Api(make_guest(make_room())).data(document, slug=room.slug)["room"]["viewerMember"] is None
    moderator = make_member(room, MemberRole.MODERATOR, "Bia")
    expected = {"displayName": "Bia", "role": "MODERATOR"}
    assert Api(moderator).data(document, slug=room.slug)["room"]["viewerMember"] == expected
    services.leave_room(viewer=moderator, room_id=room.pk)
    assert Api(moderator).data(document, slug=room.slug)["room"]["viewerMember"] is None


# Messages in pages


def test_messages_come_in_sending_order() -> None:
    room, _ = room_with(3)
    assert page(room) == (["1", "2", "3"], False, False)


def test_pages_go_on_where_the_last_one_ended() -> None:
    room, _ = room_with(5)
    assert page(room, first=2) == (["1", "2"], True, False)
    assert page(room, first=2, after=log_cursor(room.pk, 2)) == (["3", "4"], True, True)
    assert page(room, first=2, after=log_cursor(room.pk, 4)) == (["5"], False, True)
    assert page(room, last=2) == (["4", "5"], False, True)
    assert page(room, last=2, before=log_cursor(room.pk, 4)) == (["2", "3"], True, True)
    assert page(room, last=2, before=log_cursor(room.pk, 2)) == (["1"], True, False)


def test_a_page_may_be_empty() -> None:
    room, _ = room_with(2)
    assert page(room, first=0) == ([], True, False)
    assert page(room, after=log_cursor(room.pk, 2)) == ([], False, True)
    assert page(room, after=log_cursor(room.pk, 0)) == (["1", "2"], False, False)


def test_edits_take_places_in_the_log_that_no_message_has() -> None:
    room, ana = room_with(2)
    first = Api().data(MESSAGES, slug=room.slug, first=1)["room"]["messages"]["edges"][0]
    message_id = room.messages.get(sequence=1).pk
    services.edit_message(viewer=ana, message_id=message_id, text="one")
    send(ana, room, "4")
    assert page(room, first=2, after=first["cursor"]) == (["2", "4"], False, True)


@pytest.mark.parametrize(
    ("arguments", "extensions"),
    [
        ({"first": 101}, {"code": "BAD_USER_INPUT", "field": "first"}),
        ({"first": -1}, {"code": "BAD_USER_INPUT", "field": "first"}),
        ({"last": 101}, {"code": "BAD_USER_INPUT", "field": "last"}),
        ({"first": 1, "last": 1}, {"code": "BAD_USER_INPUT", "field": "last"}),
        ({"after": "x"}, {"code": "CURSOR_INVALID"}),
        ({"before": ""}, {"code": "CURSOR_INVALID"}),
        ({"after": log_cursor(999, 0)}, {"code": "CURSOR_INVALID"}),
    ],
)
def test_a_page_that_cannot_be_had_is_refused(arguments: dict[str, object], extensions: dict[str, str]) -> None:
    room, _ = room_with(1)
    assert Api().refusal(MESSAGES, slug=room.slug, **arguments) == extensions
    if "first" in arguments or "last" in arguments:
        assert Api().refusal(ROOMS, **arguments) == extensions


def test_a_hundred_at_a_time_are_fine() -> None:
    room, _ = room_with(1)
    assert page(room, first=100) == (["1"], False, False)


def test_a_cursor_beyond_the_end_of_the_log_is_refused() -> None:
    room, _ = room_with(1)
    assert Api().refusal(MESSAGES, slug=room.slug, after=log_cursor(room.pk, 2)) == {"code": "CURSOR_AHEAD"}


def test_a_page_of_messages_costs_the_same_however_long(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    room, _ = room_with(30)
    for size in (1, 30):
        with django_assert_num_queries(2):
            Api().data(MESSAGES, slug=room.slug, first=size)


# Rooms in pages


def test_rooms_come_by_name_in_pages() -> None:
    for slug, name in (("r1", "Alpha"), ("r2", "Beta"), ("r3", "Beta"), ("r4", "Gamma")):
        make_room(slug=slug, name=name)
    everything = Api().data(ROOMS)["rooms"]["edges"]
    assert [edge["node"]["slug"] for edge in everything] == ["r1", "r2", "r3", "r4"]
    cursors = [edge["cursor"] for edge in everything]
    assert slugs(first=2, after=cursors[1]) == ["r3", "r4"]
    assert slugs(last=2, before=cursors[2]) == ["r1", "r2"]
    info = Api().data(ROOMS, first=1, after=cursors[1])["rooms"]["pageInfo"]
    assert (info["hasPreviousPage"], info["hasNextPage"]) == (True, True)


def test_rooms_are_searched_by_name_and_description() -> None:
    services.create_room(slug="r1", name="Garden", description="tomatoes and beans")
    services.create_room(slug="r2", name="Kitchen", description="tomatoes, cooked")
    assert slugs(search="TOMATOES") == ["r1", "r2"]
    assert slugs(search="kitch cooked") == ["r2"]
    assert slugs(search="nothing") == []


@pytest.mark.parametrize("search", ["\0", "\ud800", "x" * 201])
def test_a_search_that_the_database_cannot_take_is_refused(search: str) -> None:
    assert Api().refusal(ROOMS, search=search) == {"code": "BAD_USER_INPUT", "field": "search"}


def test_archived_rooms_are_listed_unless_left_out() -> None:
    make_room(slug="r1")
    archive(make_room(slug="r2"))
    assert [slugs(), slugs(archived=False), slugs(archived=True)] == [["r1", "r2"], ["r1"], ["r2"]]


def test_what_you_are_to_many_rooms_costs_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ana = make_guest(make_room())
    for _ in range(20):
        make_room()
    with django_assert_num_queries(4):  # the token, the rooms, the memberships, the bans
        Api(ana).data("{ rooms { edges { node { slug cursor viewerMember { displayName } } } } }")


# Anything by its id


def test_anything_is_found_by_its_id() -> None:
    room, _ = room_with(1)
    message = room.messages.get()
    document = "query ($id: ID!) { node(id: $id) { __typename id ... on Message { author { room { slug } } } } }"
    for thing in (room, message, message.author):
        node = Api().data(document, id=id_of(thing))["node"]
        assert (node["__typename"], node["id"]) == (type(thing).__name__, id_of(thing))


def test_what_one_may_not_read_is_null_like_what_is_not_there() -> None:
    room = make_room(RoomAccess.MEMBERS)
    message = send(make_member(room), room).message
    for node_id in (
        id_of(room),
        id_of(message),
        id_of(message.author),
        encode_id("Room", 10**6),
        encode_id("Message", 2**62),
    ):
        assert Api(make_user()).data("query ($id: ID!) { node(id: $id) { id } }", id=node_id) == {"node": None}


@pytest.mark.parametrize("node_id", ["", "x", "Room:1", encode_id("Guest", 1), "\0"])
def test_an_id_that_is_none_is_refused(node_id: str) -> None:
    extensions = Api().refusal("query ($id: ID!) { node(id: $id) { id } }", id=node_id)
    assert extensions == {"code": "BAD_USER_INPUT", "field": "id"}
