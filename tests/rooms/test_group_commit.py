from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User

from rooms import group_commit, sending
from rooms.exceptions import BadUserInput, Forbidden, Unauthenticated
from rooms.group_commit import GroupCommit, send_message
from rooms.identity import NOBODY, Viewer
from rooms.models import Message, Room, RoomAccess
from rooms.sending import Changed
from rooms.threads import in_database
from tests.people import make_guest, make_room

from .fakes import run_loop

ROOM, OTHER_ROOM = 1, 2
ANA, RUI, STRANGER = (Viewer(user=User(pk=pk)) for pk in (1, 2, 3))


class Database:
    """Takes the place of the database's threads: what is in ``held`` waits, and of strangers there is one."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.held: set[str] = set()
        self._released = asyncio.Event()

    async def __call__(self, function: Any, **given: Any) -> Any:
        name: str = function.__name__
        answers: list[Any] | str
        if name == "are_members":
            about: Any = [viewer for _, viewer in given["asked"]]
            answers = [viewer is not STRANGER for viewer in about]
        elif name == "send_messages":
            about = answers = [send.text for send in given["sends"]]
        else:
            about = answers = given["text"]
        self.asked.append((name, about))
        while name in self.held:
            await self._released.wait()
        return answers

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
async def test_what_is_sent_while_a_room_is_written_to_goes_together(database: Database) -> None:
    database.held = {"send_messages"}
    first = say("one")
    await run_loop(9)
    rest = [say("two", RUI), say("three")]
    await run_loop(9)
    database.release()
    assert await asyncio.gather(first, *rest) == ["one", "two", "three"]
    assert [about for name, about in database.asked if name == "send_messages"] == [["one"], ["three", "two"]]


@pytest.mark.usefixtures("commits")
async def test_rooms_do_not_wait_for_each_other(database: Database) -> None:
    database.held = {"send_messages"}
    tasks = [say("here"), say("there", room_id=OTHER_ROOM)]
    await run_loop(9)
    assert [about for name, about in database.asked if name == "send_messages"] == [["here"], ["there"]]
    database.release()
    assert await asyncio.gather(*tasks) == ["here", "there"]


@pytest.mark.usefixtures("commits")
@pytest.mark.parametrize("stranger", [STRANGER, NOBODY])
async def test_who_is_no_member_does_not_wait_for_those_who_are(database: Database, stranger: Viewer) -> None:
    database.held = {"send_messages"}
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


async def test_nothing_is_kept_of_a_room_where_nothing_is_sent(commits: GroupCommit, database: Database) -> None:
    database.held = {"send_messages"}
    tasks = [say("one"), say("two", room_id=OTHER_ROOM)]
    await run_loop(9)
    tasks.append(say("three"))
    await run_loop(9)
    assert set(commits._rooms) == {ROOM, OTHER_ROOM}
    database.release()
    await asyncio.gather(*tasks)
    assert commits._rooms == {}


async def test_on_another_loop_nobody_waits_for_the_one_that_serves(commits: GroupCommit, database: Database) -> None:
    with ThreadPoolExecutor() as pool:
        elsewhere = partial(asyncio.run, send_message(viewer=ANA, room_id=ROOM, text="hi"))
        await asyncio.get_running_loop().run_in_executor(pool, elsewhere)
    assert database.asked == [("send_message", "hi")]
    assert commits._rooms == {}


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

    def send_messages(*, room_id: int, sends: Any) -> Any:
        sizes.append(len(sends))
        return sending.send_messages(room_id=room_id, sends=sends)

    monkeypatch.setattr(group_commit, "send_messages", send_messages)
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

    def send_messages(**given: Any) -> list[Changed | Exception]:
        loop.call_soon_threadsafe(begun.set)
        return sending.send_messages(**given)

    monkeypatch.setattr(group_commit, "send_messages", send_messages)
    impatient = say("hi", ana, room.pk)
    await begun.wait()
    impatient.cancel()
    assert (await say("ho", ana, room.pk)).sequence == 2
    assert impatient.cancelled()
    assert await in_database(stored_in, room) == {(1, "hi", ana.key), (2, "ho", ana.key)}
