"""What a follower hears from a real server, embedded and scaled out."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.db import transaction
from websockets.exceptions import InvalidStatus

from rooms import services
from rooms.identity import OPERATOR
from rooms.models import Room, RoomAccess
from schema.cursors import log_cursor
from tests.people import PASSWORD, make_guest, make_room, send
from tests.services.salas import Salas

from .client import FOLLOW, Client, room_id

EDIT = "mutation ($input: EditMessageInput!) { editMessage(input: $input) { cursor } }"
DELETE = "mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { cursor } }"


def room_with_history(count: int) -> Room:
    room = make_room()
    rui = make_guest(room, "Rui")
    with transaction.atomic():
        for number in range(1, count + 1):
            send(rui, room, str(number))
    return room


async def test_a_message_is_heard_by_everyone_who_follows(server: Salas) -> None:
    room = await server.acall(make_room)
    async with Client(server) as nobody, Client(server) as someone:
        ana = await someone.join(room)
        async with nobody.follow(room) as one, ana.follow(room) as other:
            sent = await ana.send(room, "olá")
            for subscription in (one, other):
                event = await subscription.event()
                assert event == {
                    "sequence": 1,
                    "cursor": sent["cursor"],
                    "kind": "SENT",
                    "message": {"id": sent["message"]["id"], "text": "olá", "author": {"displayName": "Ana"}},
                }


async def test_edits_and_deletions_are_heard(server: Salas) -> None:
    room = await server.acall(make_room)
    async with Client(server) as someone:
        ana = await someone.join(room)
        async with ana.follow(room) as subscription:
            message_id = (await ana.send(room, "one"))["message"]["id"]
            assert (await subscription.event())["message"]["text"] == "one"
            await ana.data(EDIT, input={"messageId": message_id, "text": "two"})
            assert (await subscription.event())["kind"] == "EDITED"
            await ana.data(DELETE, input={"messageId": message_id})
            event = await subscription.event()
            assert (event["kind"], event["sequence"], event["message"]["text"]) == ("DELETED", 3, None)


async def test_following_goes_on_after_a_cursor(server: Salas) -> None:
    room = await server.acall(make_room)
    async with Client(server) as someone:
        ana = await someone.join(room)
        cursors = [(await ana.send(room, str(number)))["cursor"] for number in range(1, 6)]
        async with ana.follow(room, after=cursors[1]) as subscription:
            assert await subscription.texts(3) == ["3", "4", "5"]
            await ana.send(room, "6")
            assert await subscription.texts(1) == ["6"]


async def test_a_long_replay_and_what_is_sent_meanwhile_come_once_and_in_order(server: Salas) -> None:
    room = await server.acall(room_with_history, 300)
    async with Client(server) as someone:
        ana = await someone.join(room)
        async with ana.follow(room, after=log_cursor(room.pk, 0)) as subscription:
            sending = asyncio.gather(*(ana.send(room, "more") for _ in range(50)))
            events = await subscription.events(350)
            await sending
        assert [event["sequence"] for event in events] == list(range(1, 351))


async def test_a_replay_does_not_show_what_was_deleted(server: Salas) -> None:
    room = await server.acall(make_room)
    async with Client(server) as someone:
        ana = await someone.join(room)
        message_id = (await ana.send(room, "secret"))["message"]["id"]
        await ana.data(DELETE, input={"messageId": message_id})
        async with ana.follow(room, after=log_cursor(room.pk, 0)) as subscription:
            assert await subscription.texts(2) == [None, None]


async def test_senders_at_the_same_time_get_places_without_a_hole(server: Salas) -> None:
    room = await server.acall(make_room)
    async with Client(server) as someone:
        ana = await someone.join(room)
        async with ana.follow(room) as subscription:
            sent = await asyncio.gather(*(ana.send(room, str(number)) for number in range(40)))
            assert sorted(payload["message"]["sequence"] for payload in sent) == list(range(1, 41))
            events = await subscription.events(40)
        assert [event["sequence"] for event in events] == list(range(1, 41))


async def test_the_same_key_at_the_same_time_makes_one_message(server: Salas) -> None:
    room = await server.acall(make_room)
    async with Client(server) as someone:
        ana = await someone.join(room)
        sent = await asyncio.gather(*(ana.send(room, "once", key="k") for _ in range(20)))
        assert {payload["message"]["sequence"] for payload in sent} == {1}
        async with ana.follow(room, after=log_cursor(room.pk, 0)) as subscription:
            await ana.send(room, "twice")
            assert await subscription.texts(2) == ["once", "twice"]


async def test_rooms_are_followed_apart(server: Salas) -> None:
    one, other = await server.acall(make_room), await server.acall(make_room)
    async with Client(server) as someone:
        ana = await (await someone.join(one)).join(other)
        async with ana.follow(one) as of_one, ana.follow(other) as of_other:
            for room, text in ((one, "a"), (other, "b"), (one, "c"), (other, "d")):
                await ana.send(room, text)
            assert await of_one.texts(2) == ["a", "c"]
            assert await of_other.texts(2) == ["b", "d"]


async def test_who_may_not_read_does_not_follow(server: Salas) -> None:
    room = await server.acall(make_room, RoomAccess.PASSWORD)
    hidden = await server.acall(make_room, RoomAccess.MEMBERS)
    archived = await server.acall(make_room)
    await server.acall(services.archive_room, actor=OPERATOR, room_id=archived.pk)
    async with Client(server) as nobody:
        for each, after, code in (
            (room, None, "UNAUTHENTICATED"),
            (hidden, None, "NOT_FOUND"),
            (archived, None, "ROOM_ARCHIVED"),
            (archived, log_cursor(room.pk, 0), "CURSOR_INVALID"),
        ):
            async with nobody.subscribe(FOLLOW, roomId=room_id(each), after=after) as subscription:
                error = await subscription.message()
                assert (error["type"], error["payload"][0]["extensions"]["code"]) == ("error", code)
        ana = await nobody.join(room, password=PASSWORD)
        async with ana.follow(room) as subscription:
            await ana.send(room, "in")
            assert await subscription.texts(1) == ["in"]


async def test_a_cursor_beyond_the_end_is_refused(server: Salas) -> None:
    room = await server.acall(make_room)
    async with (
        Client(server) as nobody,
        nobody.subscribe(FOLLOW, roomId=room_id(room), after=log_cursor(room.pk, 1)) as subscription,
    ):
        assert (await subscription.message())["payload"][0]["extensions"]["code"] == "CURSOR_AHEAD"


async def test_queries_and_mutations_go_over_the_socket_too(server: Salas) -> None:
    room = await server.acall(make_room)
    document = """
      mutation ($join: JoinRoomInput!, $send: SendMessageInput!) {
        joinRoom(input: $join) { token }
        sendMessage(input: $send) { message { text } }
      }
    """
    given = {"join": {"slug": room.slug, "displayName": "Ana"}, "send": {"roomId": room_id(room), "text": "hi"}}
    async with Client(server) as nobody, nobody.subscribe(document, **given) as operation:
        data = (await operation.message())["payload"]["data"]
        assert data["sendMessage"]["message"]["text"] == "hi"
        assert data["joinRoom"]["token"]
        assert (await operation.message())["type"] == "complete"


@pytest.mark.parametrize(("origin", "name"), [("own", "Ana"), ("none", None)])
async def test_a_browser_s_session_counts_on_a_socket_of_its_own_site(server: Salas, origin: str, name: str) -> None:
    room = await server.acall(make_room)
    async with Client(server) as browser:
        await browser.join(room)
        headers = {"Origin": server.url} if origin == "own" else {}
        async with Client(server) as page, page.socket(Cookie=browser.session_cookie, **headers) as socket:
            payload = {"query": "{ viewer { displayName } }"}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            assert json.loads(await socket.recv())["payload"]["data"] == {"viewer": {"displayName": name}}


async def test_a_page_of_another_site_gets_no_socket(server: Salas) -> None:
    async with Client(server) as page:
        with pytest.raises(InvalidStatus, match="403"):
            async with page.socket(Origin="https://evil.example"):
                pass
