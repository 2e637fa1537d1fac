from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from rooms import group_commit, sending
from rooms.exceptions import BadUserInput, Forbidden, Unauthenticated
from rooms.group_commit import GroupCommit, send_message
from rooms.identity import NOBODY, OPERATOR, Viewer
from rooms.models import Message, Room, RoomAccess
from rooms.selectors import room_to_change
from rooms.sending import Changed, Send
from rooms.threads import in_database
from tests.people import make_guest, make_room

from .fakes import run_loop

ROOM, OTHER_ROOM = 1, 2
ANA, RUI, STRANGER = (Viewer(user=User(pk=pk)) for pk in (1, 2, 3))


class Database:
    """Takes the place of the database's threads. What is in ``held`` waits; rooms in ``locked`` somebody else has; of
    strangers there is one.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.held: set[str] = set()
        self.locked: set[int] = set()
        self.fails: Exception | None = None
        self._released = asyncio.Event()

    async def __call__(self, function: Any, **given: Any) -> Any:
        name: str = function.__name__
        about, answers = getattr(self, f"_{name}")(**given)
        self.asked.append((name, about))
        while name in self.held:
            await self._released.wait()
        if self.fails and name == "send_where_free":
            raise self.fails
        return answers

    def _are_members(self, asked: Any) -> tuple[Any, Any]:
        return [viewer for _, viewer in asked], [viewer is not STRANGER for _, viewer in asked]

    def _send_where_free(self, sends: Any) -> tuple[Any, Any]:
        answers = [replace(send, is_counted=True) if room in self.locked else send.text for room, send in sends]
        return [send.text for _, send in sends], answers

    def _send_messages(self, room_id: int, sends: Any) -> tuple[Any, Any]:
        return [(send.text, send.is_counted) for send in sends], [f"{send.text} in {room_id}" for send in sends]

    def _send_message(self, text: str, **given: Any) -> tuple[Any, Any]:
        return text, text

    def of(self, name: str) -> list[Any]:
        return [about for asked, about in self.asked if asked == name]

    def release(self) -> None:
        self.held.clear()
        self._released.set()


@pytest.fixture
async def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    found = Database()
    monkeypatch.setattr(group_commit, "in_database", found)
    return found


@pytest.fixture
async def commits() -> AsyncIterator[GroupCommit]:
    """What a serving process has."""
    found = GroupCommit()
    found.attach()
    yield found
    found.detach()


def say(text: str, viewer: Viewer = ANA, room_id: int = ROOM) -> asyncio.Task[Any]:
    return asyncio.create_task(send_message(viewer=viewer, room_id=room_id, text=text))


@pytest.mark.usefixtures("commits")
async def test_what_is_sent_while_others_are_stored_goes_together_whatever_the_room(database: Database) -> None:
    database.held = {"send_where_free"}
    first = say("one")
    await run_loop(9)
    rest = [say("two", RUI), say("there", room_id=OTHER_ROOM), say("three", RUI)]
    await run_loop(9)
    database.release()
    assert await asyncio.gather(first, *rest) == ["one", "two", "there", "three"]
    assert [sorted(together) for together in database.of("send_where_free")] == [["one"], ["there", "three", "two"]]
    assert database.of("send_messages") == []


# A room that somebody else holds


async def held_room(database: Database) -> asyncio.Task[Any]:
    """Somebody waits for ROOM, which then is free again."""
    database.locked, database.held = {ROOM}, {"send_messages"}
    waiting = say("here")
    await run_loop(9)
    database.locked = set()
    return waiting


@pytest.mark.usefixtures("commits")
async def test_a_room_that_is_held_delays_no_other(database: Database) -> None:
    waiting = await held_room(database)
    assert [await say("there", room_id=OTHER_ROOM) for _ in range(3)] == ["there"] * 3
    assert not waiting.done()
    database.release()
    assert await waiting == "here in 1"


@pytest.mark.usefixtures("commits")
async def test_what_comes_while_others_wait_for_their_room_goes_behind_them(database: Database) -> None:
    waiting = await held_room(database)
    behind = [say("two"), say("there", room_id=OTHER_ROOM), say("three")]
    await run_loop(9)
    database.release()
    assert await asyncio.gather(waiting, *behind) == ["here in 1", "two in 1", "there", "three in 1"]
    assert database.of("send_messages") == [[("here", True)], [("two", False), ("three", False)]]
    assert await say("free again") == "free again"


@pytest.mark.usefixtures("commits")
async def test_what_fails_for_others_does_not_fail_those_who_wait_for_their_room(database: Database) -> None:
    waiting = await held_room(database)
    await say("there", room_id=OTHER_ROOM)
    database.fails = OSError("gone")
    behind, other = say("two"), say("there", room_id=OTHER_ROOM)
    await run_loop(9)
    database.release()
    assert (await waiting, await behind) == ("here in 1", "two in 1")
    with pytest.raises(OSError, match="gone"):
        await other


@pytest.mark.usefixtures("commits")
async def test_who_is_gone_before_their_room_refuses_them_is_not_missed(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_send_messages", lambda room_id, sends: ("gone", [Forbidden("no") for _ in sends]))
    database.locked, database.held = {ROOM}, {"send_where_free"}
    impatient = say("here")
    await run_loop(9)
    impatient.cancel()
    database.release()
    await say("there", room_id=OTHER_ROOM)
    assert impatient.cancelled()
    del impatient
    gc.collect()
    await run_loop(9)
    assert database.of("send_messages") == ["gone"]
    assert caplog.text == ""


@pytest.mark.usefixtures("commits")
@pytest.mark.parametrize("stranger", [STRANGER, NOBODY])
async def test_who_is_no_member_does_not_wait_for_those_who_are(database: Database, stranger: Viewer) -> None:
    database.held = {"send_where_free"}
    waiting = [say("one"), say("two")]
    await run_loop(9)
    assert await say("hello?", stranger) == "hello?"
    assert database.asked[-1] == ("send_message", "hello?")
    database.release()
    assert await asyncio.gather(*waiting) == ["one", "two"]


@pytest.mark.usefixtures("commits")
async def test_a_member_is_asked_about_once_and_a_stranger_each_time(database: Database) -> None:
    for viewer in (ANA, STRANGER, NOBODY) * 3:
        await say("hi", viewer)
    assert [about for name, about in database.asked if name == "are_members"] == [[ANA], *[[STRANGER]] * 3]


async def test_only_so_many_authors_are_remembered(
    commits: GroupCommit, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "AUTHORS_KNOWN", 2)
    for room_id in (1, 2, 1, 3, 1):
        await say("hi", room_id=room_id)
    assert list(commits._authors) == [(3, ANA.key), (1, ANA.key)]


async def test_a_room_that_was_held_is_forgotten(commits: GroupCommit, database: Database) -> None:
    waiting = await held_room(database)
    await say("there", room_id=OTHER_ROOM)
    assert set(commits._held) == {ROOM}
    database.release()
    await waiting
    await say("there", room_id=OTHER_ROOM)
    assert commits._held == {}


async def test_on_another_loop_nobody_waits_for_the_one_that_serves(commits: GroupCommit, database: Database) -> None:
    with ThreadPoolExecutor() as pool:
        elsewhere = partial(asyncio.run, send_message(viewer=ANA, room_id=ROOM, text="hi"))
        await asyncio.get_running_loop().run_in_executor(pool, elsewhere)
    assert database.asked == [("send_message", "hi")]
    assert commits._batches.is_idle


async def test_where_nothing_serves_a_send_goes_by_itself(database: Database) -> None:
    await say("hi")
    assert database.asked == [("send_message", "hi")]


# On the database


def stored_in(room: Room) -> set[tuple[int, str | None, str]]:
    messages = Message.objects.filter(room=room).select_related("author")
    return {(message.sequence, message.text, message.author.viewer_key) for message in messages}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sends went together each time."""
    sizes: list[int] = []

    def send_where_free(*, sends: Any) -> Any:
        sizes.append(len(sends))
        return sending.send_where_free(sends=sends)

    monkeypatch.setattr(group_commit, "send_where_free", send_where_free)
    return sizes


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("commits")
async def test_a_burst_is_stored_in_a_few_transactions_each_answered_with_its_own_message(batches: list[int]) -> None:
    room = await in_database(make_room, RoomAccess.PASSWORD)
    people = [await in_database(make_guest, room, f"guest {number}") for number in range(5)]
    stranger = await in_database(make_guest, await in_database(make_room))
    texts = [f"message {number}" for number in range(40)]
    sends = [say(text, people[number % 5], room.pk) for number, text in enumerate(texts)]
    odd = [say("", people[0], room.pk), say("hi", stranger, room.pk), say("hi", NOBODY, room.pk)]
    sent = await asyncio.gather(*sends)
    refused = await asyncio.gather(*odd, return_exceptions=True)
    assert [type(each) for each in refused] == [BadUserInput, Forbidden, Unauthenticated]
    assert [one.message.text for one in sent] == texts
    assert sorted(one.sequence for one in sent) == list(range(1, 41))
    assert await in_database(stored_in, room) == {
        (one.sequence, one.message.text, people[number % 5].key) for number, one in enumerate(sent)
    }
    assert sum(batches) == 41
    assert len(batches) < 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("commits")
async def test_who_leaves_meanwhile_has_sent_what_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await in_database(make_room)
    ana = await in_database(make_guest, room)
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def send_where_free(**given: Any) -> list[Changed | Exception | Send]:
        loop.call_soon_threadsafe(begun.set)
        return sending.send_where_free(**given)

    monkeypatch.setattr(group_commit, "send_where_free", send_where_free)
    impatient = say("hi", ana, room.pk)
    await begun.wait()
    impatient.cancel()
    assert (await say("ho", ana, room.pk)).sequence == 2
    assert impatient.cancelled()
    assert await in_database(stored_in, room) == {(1, "hi", ana.key), (2, "ho", ana.key)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("commits")
async def test_a_burst_to_many_rooms_is_stored_in_a_few_transactions(batches: list[int]) -> None:
    rooms = [await in_database(make_room) for _ in range(8)]
    people = [await in_database(make_guest, room) for room in rooms]
    sent = await asyncio.gather(
        *(say(f"message {number}", people[number % 8], rooms[number % 8].pk) for number in range(40))
    )
    assert [one.sequence for one in sent] == [1 + number // 8 for number in range(40)]
    assert [one.message.text for one in sent] == [f"message {number}" for number in range(40)]
    for place, room in enumerate(rooms):
        stored = {(1 + turn, f"message {place + 8 * turn}", people[place].key) for turn in range(5)}
        assert await in_database(stored_in, room) == stored
    assert sum(batches) == 40
    assert len(batches) < 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("commits")
async def test_a_room_locked_by_another_connection_waits_alone_and_keeps_its_order() -> None:
    held, other = [await in_database(make_room) for _ in range(2)]
    ana, rui = await in_database(make_guest, held), await in_database(make_guest, other)
    async with locked_elsewhere(held):
        waiting = [say(text, ana, held.pk) for text in ("one", "two")]
        if connection.features.has_select_for_update:  # where there is one writer at all, everybody waits for it
            assert [(await say("hi", rui, other.pk)).sequence for _ in range(3)] == [1, 2, 3]
        waiting.append(say("three", ana, held.pk))
        await run_loop(9)
        assert not any(task.done() for task in waiting)
    sent = await asyncio.gather(*waiting)
    assert [(one.sequence, one.message.text) for one in sent] == [(1, "one"), (2, "two"), (3, "three")]


@asynccontextmanager
async def locked_elsewhere(room: Room) -> AsyncIterator[None]:
    """In a transaction of its own, on a connection of its own."""
    loop, locked, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            room_to_change(viewer=OPERATOR, room_id=room.pk)
            loop.call_soon_threadsafe(locked.set)
            release.wait()

    holding = asyncio.create_task(in_database(hold))
    await locked.wait()
    try:
        yield
    finally:
        release.set()
        await holding
