"""Cursors and coming back after a backup was restored: what clients hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.core.cache.backends.locmem import LocMemCache

from rooms.epochs import begin_epoch, current_epoch
from rooms.identity import Viewer
from rooms.log import DatabaseLog
from rooms.models import FIRST_EPOCH, Entry, Message, Room
from rooms.threads import in_database
from schema.closing import TRY_AGAIN
from schema.cursors import log_cursor
from schema.receipts import Receipts
from tests.people import make_guest, make_room, send

from .api import Api, id_of
from .sockets import ENOUGH_SECONDS, Socket, opened

MESSAGES = """
    query ($slug: String!, $after: String, $before: String) {
      room(slug: $slug) {
        cursor
        messages(after: $after, before: $before) { edges { cursor node { text } } pageInfo { endCursor } }
      }
    }
"""
SHARED = "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { sequence cursor } }"
OWN = """
    subscription ($roomId: ID!, $after: String) {
      messages(roomId: $roomId, after: $after) { sequence cursor message { room { viewerMember { id } } } }
    }
"""


@dataclass
class Restored:
    """A room whose log had three entries and has one: of what a backup had kept it went on."""

    room: Room
    ana: Viewer

    def say(self) -> None:
        send(self.ana, self.room)


@pytest.fixture
def restored(transactional_db: None) -> Restored:
    room = make_room()
    found = Restored(room, make_guest(room))
    for _ in range(3):
        found.say()
    restore(room, sequence=1)
    return found


def restore(room: Room, sequence: int) -> None:
    """Set the room back to what it was when its log had that many entries, and say so."""
    Entry.objects.filter(room=room, sequence__gt=sequence).delete()
    Message.objects.filter(room=room, sequence__gt=sequence).delete()
    Room.objects.filter(pk=room.pk).update(sequence=sequence, message_count=sequence)
    begin_epoch()


@pytest.fixture
async def receipts() -> AsyncIterator[Receipts]:
    found = Receipts(LocMemCache(uuid4().hex, {}))
    yield found
    await found.close()


@pytest.mark.parametrize("sequence", [0, 1, 3])
@pytest.mark.parametrize("argument", ["after", "before"])
def test_a_page_after_a_cursor_of_before_is_refused(restored: Restored, argument: str, sequence: int) -> None:
    old = log_cursor(restored.room.pk, sequence)
    refusal = Api(restored.ana).refusal(MESSAGES, slug=restored.room.slug, **{argument: old})
    assert refusal == {"code": "CURSOR_INVALID"}


def test_every_cursor_of_the_room_is_of_the_new_epoch(restored: Restored) -> None:
    api, key, epoch = Api(restored.ana), restored.room.pk, current_epoch()
    document = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { cursor message { id } } }"
    sent = api.data(document, input={"roomId": id_of(restored.room), "text": "again"})["sendMessage"]
    for name, document in (
        ("editMessage", 'mutation ($id: ID!) { editMessage(input: {messageId: $id, text: "x"}) { cursor } }'),
        ("deleteMessage", "mutation ($id: ID!) { deleteMessage(input: {messageId: $id}) { cursor } }"),
    ):
        sent[name] = api.data(document, id=sent["message"]["id"])[name]["cursor"]
    assert sent["cursor"] == log_cursor(key, 2, epoch)
    assert (sent["editMessage"], sent["deleteMessage"]) == (log_cursor(key, 3, epoch), log_cursor(key, 4, epoch))
    room = api.data(MESSAGES, slug=restored.room.slug, after=log_cursor(key, 1, epoch))["room"]
    assert room["cursor"] == log_cursor(key, 4, epoch)
    assert [edge["cursor"] for edge in room["messages"]["edges"]] == [log_cursor(key, 2, epoch)]


async def begun(socket: Socket, restored: Restored, document: str, after: str, operation_id: str = "1") -> None:
    await socket.init({"authorization": f"Bearer {restored.ana.token}"})
    await socket.subscribe(operation_id, document, roomId=id_of(restored.room), after=after)


async def following(socket: Socket) -> None:
    async with asyncio.timeout(ENOUGH_SECONDS):
        while not socket.hub._rooms:  # noqa: ASYNC110 - the start needs a thread
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("document", [SHARED, OWN], ids=["shared", "its own"])
async def test_a_subscription_after_a_cursor_of_before_is_refused(restored: Restored, document: str) -> None:
    """It was beyond the end of the log, and is not any more: without an epoch it would go on with other messages."""
    for _ in range(4):
        await in_database(restored.say)
    async with opened(DatabaseLog()) as socket:
        await begun(socket, restored, document, log_cursor(restored.room.pk, 3))
        error = await socket.receive()
    assert (error["type"], error["payload"][0]["extensions"]) == ("error", {"code": "CURSOR_INVALID"})
    assert "Read the room again" in error["payload"][0]["message"]


@pytest.mark.parametrize("document", [SHARED, OWN], ids=["shared", "its own"])
async def test_events_carry_the_epoch(restored: Restored, document: str) -> None:
    key, epoch = restored.room.pk, await in_database(current_epoch)
    async with opened(DatabaseLog()) as socket:
        await begun(socket, restored, document, log_cursor(key, 0, epoch))
        event = (await socket.receive())["payload"]["data"]["messages"]
    assert (event["sequence"], event["cursor"]) == (1, log_cursor(key, 1, epoch))


@pytest.mark.parametrize("document", [SHARED, OWN], ids=["shared", "its own"])
async def test_live_followers_are_sent_away_to_come_back(
    restored: Restored, document: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Their feed has read further than the log that was restored has come, so they would hear nothing more."""
    key, epoch = restored.room.pk, await in_database(current_epoch)
    async with opened(DatabaseLog()) as socket:
        await begun(socket, restored, document, log_cursor(key, 0, epoch))
        assert (await socket.receive())["type"] == "next"
        await in_database(begin_epoch)
        await socket.hub._look()
        assert await socket.closed() == TRY_AGAIN
    assert "a backup was restored" in caplog.text


async def test_what_was_confirmed_before_is_not_gone_on_from(restored: Restored, receipts: Receipts) -> None:
    """The operation comes back as it was, without ``after``: it begins now, as where nothing is remembered."""
    made_id = str(uuid4())
    key, epoch = restored.room.pk, await in_database(current_epoch)
    for _ in range(2):
        await in_database(restored.say)
    document = "subscription ($roomId: ID!) { messages(roomId: $roomId) { sequence cursor } }"
    async with opened(DatabaseLog(), receipts=receipts, leave_code=1006) as socket:
        await socket.init({"authorization": f"Bearer {restored.ana.token}"})
        await socket.subscribe(made_id, document, roomId=id_of(restored.room))
        await following(socket)
        await in_database(restored.say)
        socket.hub.hint(key, 4)
        assert (await socket.receive())["payload"]["data"]["messages"]["cursor"] == log_cursor(key, 4, epoch)
    await in_database(restore, restored.room, 1)
    for _ in range(7):
        await in_database(restored.say)
    async with opened(DatabaseLog(), receipts=receipts) as socket:
        await socket.init({"authorization": f"Bearer {restored.ana.token}"})
        await socket.subscribe(made_id, document, roomId=id_of(restored.room))
        await following(socket)
        await in_database(restored.say)
        socket.hub.hint(key, 9)
        event = (await socket.receive())["payload"]["data"]["messages"]
    assert (event["sequence"], event["cursor"]) == (9, log_cursor(key, 9, await in_database(current_epoch)))
    assert epoch != FIRST_EPOCH
