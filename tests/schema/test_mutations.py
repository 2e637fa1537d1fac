from __future__ import annotations

import pytest

from rooms.models import Entry, Message, Room, RoomAccess
from schema.cursors import log_cursor
from schema.ids import encode_id
from tests.people import PASSWORD, archive, make_guest, make_room, make_user, send

from .api import Api, id_of

pytestmark = pytest.mark.django_db

JOIN = """
mutation ($input: JoinRoomInput!) {
  joinRoom(input: $input) { token room { slug } member { id displayName role isGuest } }
}
"""
LEAVE = "mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { room { viewerMember { id } } } }"
SEND = """
mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) {
    cursor
    message {
      id sequence changedSequence text idempotencyKey sentAt editedAt deletedAt author { displayName } room { slug }
    }
  }
}
"""
EDIT = """
mutation ($input: EditMessageInput!) {
  editMessage(input: $input) { cursor message { text editedAt changedSequence } }
}
"""
DELETE = "mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { cursor message { text deletedAt } } }"


def join(room: Room, api: Api | None = None, **more: str) -> dict[str, object]:
    joined: dict[str, object] = (api or Api()).data(JOIN, input={"slug": room.slug, "displayName": "Ana", **more})[
        "joinRoom"
    ]
    return joined


def test_a_guest_joins_and_is_known_by_the_token_from_then_on() -> None:
    room = make_room()
    joined = join(room)
    api = Api()
    api.headers["Authorization"] = f"Bearer {joined['token']}"
    assert api.data("{ viewer { displayName isGuest } }") == {"viewer": {"displayName": "Ana", "isGuest": True}}


def test_a_browser_is_known_by_its_session_from_then_on() -> None:
    room, api = make_room(), Api()
    join(room, api)
    assert api.data("{ viewer { displayName isGuest } }") == {"viewer": {"displayName": "Ana", "isGuest": True}}


def test_entering_another_room_keeps_the_identity() -> None:
    api = Api()
    for _ in range(2):
        join(make_room(), api)
    assert len(api.data("{ viewer { members { id } } }")["viewer"]["members"]) == 2


def test_joining_gives_the_session_another_key() -> None:
    api = Api()
    session = api.client.session
    session["before"] = True
    session.save()
    join(make_room(), api)
    assert api.client.session.session_key != session.session_key


def test_who_joins_with_a_token_gets_no_session() -> None:
    api = Api(make_guest(make_room()))
    join(make_room(), api)
    assert not api.client.cookies


def test_an_account_joins_without_a_token() -> None:
    joined = join(make_room(), Api(make_user()))
    assert joined["token"] is None


def test_the_second_field_of_a_mutation_sees_who_joined_in_the_first() -> None:
    room = make_room()
    document = """
      mutation ($join: JoinRoomInput!, $send: SendMessageInput!) {
        joinRoom(input: $join) { member { id } }
        sendMessage(input: $send) { message { author { displayName } } }
      }
    """
    found = Api().data(
        document, join={"slug": room.slug, "displayName": "Ana"}, send={"roomId": id_of(room), "text": "hi"}
    )
    assert found["sendMessage"]["message"]["author"]["displayName"] == "Ana"


def test_a_message_is_sent_with_its_key_and_its_place_in_the_log() -> None:
    room = make_room()
    sent = Api(make_guest(room)).data(SEND, input={"roomId": id_of(room), "text": "olá", "idempotencyKey": "k"})
    message = sent["sendMessage"]["message"]
    assert sent["sendMessage"]["cursor"] == log_cursor(room.pk, 1)
    assert message["sentAt"].endswith("+00:00")
    del message["id"], message["sentAt"]
    assert message == {
        "sequence": 1,
        "changedSequence": 1,
        "text": "olá",
        "idempotencyKey": "k",
        "editedAt": None,
        "deletedAt": None,
        "author": {"displayName": "Ana"},
        "room": {"slug": room.slug},
    }


def test_a_message_is_edited_and_deleted() -> None:
    room = make_room()
    ana = make_guest(room)
    message_id = id_of(send(ana, room).message)
    edited = Api(ana).data(EDIT, input={"messageId": message_id, "text": "olá"})["editMessage"]
    assert (edited["cursor"], edited["message"]["text"], edited["message"]["changedSequence"]) == (
        log_cursor(room.pk, 2),
        "olá",
        2,
    )
    assert edited["message"]["editedAt"]
    deleted = Api(ana).data(DELETE, input={"messageId": message_id})["deleteMessage"]
    assert (deleted["cursor"], deleted["message"]["text"]) == (log_cursor(room.pk, 3), None)
    assert deleted["message"]["deletedAt"]


def test_a_room_is_left() -> None:
    room = make_room()
    assert Api(make_guest(room)).data(LEAVE, input={"roomId": id_of(room)}) == {
        "leaveRoom": {"room": {"viewerMember": None}}
    }


ROOM, MESSAGE = "the room", "the message"


@pytest.mark.parametrize(
    ("document", "given", "extensions"),
    [
        (JOIN, {"slug": "nowhere", "displayName": "x"}, {"code": "NOT_FOUND"}),
        (JOIN, {"slug": "password", "displayName": "x"}, {"code": "WRONG_PASSWORD"}),
        (JOIN, {"slug": "password", "displayName": "x", "password": "wrong"}, {"code": "WRONG_PASSWORD"}),
        (JOIN, {"slug": "members", "displayName": "x", "password": PASSWORD}, {"code": "NOT_FOUND"}),
        (JOIN, {"slug": "archived", "displayName": "x"}, {"code": "ROOM_ARCHIVED"}),
        (JOIN, {"slug": "open", "displayName": ""}, {"code": "BAD_USER_INPUT", "field": "displayName"}),
        (JOIN, {"slug": "open", "displayName": "x" * 41}, {"code": "BAD_USER_INPUT", "field": "displayName"}),
        (SEND, {"roomId": ROOM, "text": " "}, {"code": "BAD_USER_INPUT", "field": "text"}),
        (SEND, {"roomId": ROOM, "text": "x" * 4001}, {"code": "BAD_USER_INPUT", "field": "text"}),
        (SEND, {"roomId": ROOM, "text": "a\0"}, {"code": "BAD_USER_INPUT", "field": "text"}),
        (SEND, {"roomId": ROOM, "text": "\ud800"}, {"code": "BAD_USER_INPUT", "field": "text"}),
        (
            SEND,
            {"roomId": ROOM, "text": "x", "idempotencyKey": ""},
            {"code": "BAD_USER_INPUT", "field": "idempotencyKey"},
        ),
        (
            SEND,
            {"roomId": ROOM, "text": "x", "idempotencyKey": "k"},
            {"code": "BAD_USER_INPUT", "field": "idempotencyKey"},
        ),
        (SEND, {"roomId": "1", "text": "x"}, {"code": "BAD_USER_INPUT", "field": "roomId"}),
        (SEND, {"roomId": MESSAGE, "text": "x"}, {"code": "BAD_USER_INPUT", "field": "roomId"}),
        (SEND, {"roomId": encode_id("Room", 10**9), "text": "x"}, {"code": "NOT_FOUND"}),
        (LEAVE, {"roomId": encode_id("Room", 10**9)}, {"code": "NOT_FOUND"}),
        (LEAVE, {"roomId": MESSAGE}, {"code": "BAD_USER_INPUT", "field": "roomId"}),
        (EDIT, {"messageId": ROOM, "text": "x"}, {"code": "BAD_USER_INPUT", "field": "messageId"}),
        (EDIT, {"messageId": MESSAGE, "text": ""}, {"code": "BAD_USER_INPUT", "field": "text"}),
        (EDIT, {"messageId": encode_id("Message", 10**9), "text": "x"}, {"code": "NOT_FOUND"}),
        (DELETE, {"messageId": ROOM}, {"code": "BAD_USER_INPUT", "field": "messageId"}),
        (DELETE, {"messageId": encode_id("Message", 10**9)}, {"code": "NOT_FOUND"}),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_stored(
    document: str, given: dict[str, str], extensions: dict[str, str]
) -> None:
    make_room(RoomAccess.PASSWORD, slug="password")
    make_room(RoomAccess.MEMBERS, slug="members")
    archive(make_room(slug="archived"))
    room = make_room(slug="open")
    ana = make_guest(room)
    message = send(ana, room, key="k").message
    ids = {ROOM: id_of(room), MESSAGE: id_of(message)}
    assert (
        Api(ana).refusal(document, input={name: ids.get(value, value) for name, value in given.items()}) == extensions
    )
    assert (Entry.objects.count(), Message.objects.get().text) == (1, "hello")


def test_nobody_is_asked_who_they_are() -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    assert Api().refusal(SEND, input={"roomId": id_of(room), "text": "x"}) == {"code": "UNAUTHENTICATED"}
    assert Api().refusal(EDIT, input={"messageId": id_of(message), "text": "x"}) == {"code": "UNAUTHENTICATED"}
    assert Api().refusal(DELETE, input={"messageId": id_of(message)}) == {"code": "UNAUTHENTICATED"}


def test_strangers_are_turned_away() -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    stranger = Api(make_guest(make_room(), "Rui"))
    assert stranger.refusal(SEND, input={"roomId": id_of(room), "text": "x"}) == {"code": "FORBIDDEN"}
    assert stranger.refusal(EDIT, input={"messageId": id_of(message), "text": "x"}) == {"code": "FORBIDDEN"}
    assert stranger.refusal(DELETE, input={"messageId": id_of(message)}) == {"code": "FORBIDDEN"}
