"""Cohorts under the schedules that the hub's own followers go through, with sockets that have room now and then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from unittest.mock import patch

from rooms import feed
from rooms.feed import Entry, Feed
from rooms.hub import Hub
from schema import cohorts
from schema.cohorts import Cohort, Cohorts, Member
from tests.rooms.fakes import FakeLog, run_loop
from tests.rooms.test_schedules import ROOM, SCHEDULES, Follower, failures

PREFIX = b'{"id":"1","payload":'


def shown(entry: Entry) -> bytes:
    return str(entry.sequence).encode()


def never(error: Exception) -> None:
    raise AssertionError("this does not fail") from error


class FakeFlow:
    """A socket's. It has room for ``left`` messages more, and notes what it was given."""

    def __init__(self, left: int = 1_000_000) -> None:
        self.left = left
        self.heard: list[int] = []
        self.writes = 0
        self._calls: dict[Callable[[], None], None] = {}

    @property
    def has_room(self) -> bool:
        return self.left > 0

    def sent(self, size: int, operation_id: str, position: int) -> None:
        self.left -= 1

    def write(self, texts: Sequence[bytes]) -> None:
        self.writes += 1
        for text in texts:
            assert text.startswith(PREFIX)
            self.heard.append(int(text.removeprefix(PREFIX).removesuffix(b"}")))

    def call_with_room(self, call: Callable[[], None]) -> None:
        self._calls[call] = None

    def uncall(self, call: Callable[[], None]) -> None:
        self._calls.pop(call, None)

    async def room(self) -> None:
        while not self.has_room:
            woken = asyncio.Event()
            self.call_with_room(woken.set)
            await woken.wait()

    def make_room(self, number: int) -> None:
        self.left += number
        calls, self._calls = self._calls, {}
        for call in calls:
            call()


class SharedFollower(Follower):
    """A member of the one cohort of its hub; it ends with its task, as a socket's does with the socket."""

    async def _follow(self, hub: Hub, follower: feed.Follower, head: int, chance: random.Random) -> None:
        flow = FakeFlow(chance.choice((0, 1, 5)))
        self.heard = flow.heard
        seat = hub.enter(ROOM, head, follower)
        try:
            await seat.admitted(head)
            cohort = cohorts_of(hub).of(seat.feed, ("all",), shown)
            self._member = member = Member(cohort, flow, "1", PREFIX, self.cursor, never)
            try:
                member.go_on()
                while True:
                    await run_loop(chance.choice((1, 2, 9)))
                    flow.make_room(chance.choice((1, 2, 50)))
            finally:
                self._leave()
        finally:
            seat.leave()

    _member: Member | None = None

    def _end(self, refusal: Exception) -> None:
        self._leave()
        super()._end(refusal)

    def _leave(self) -> None:
        if self._member is not None:
            self._member.leave()
            self._member = None


def cohorts_of(hub: Hub) -> Cohorts:
    found: Cohorts = hub.__dict__.setdefault("cohorts", Cohorts())
    return found


async def test_every_member_gets_each_entry_once_and_in_order() -> None:
    with patch.object(cohorts, "AT_ONCE", 2):
        assert await failures(range(SCHEDULES // 2), SharedFollower) == {}


async def test_schedules_notice_a_member_that_is_not_called_again() -> None:
    def forgotten(cohort: Cohort, member: Member) -> None:
        """It does not wait for what is new."""

    with patch.object(Cohort, "wait", forgotten):
        assert await failures(range(60), SharedFollower)


async def test_schedules_notice_a_hole_between_replay_and_tail() -> None:
    def nearest(cohort: Cohort, cursor: int) -> bytes | None:
        return next((shown(entry) for entry in cohort.feed.tail.items() if entry.sequence > cursor), None)

    with patch.object(Cohort, "text_after", nearest):
        assert await failures(range(60), SharedFollower)


# One by one


@asynccontextmanager
async def feeding(log: FakeLog, capacity: int = 8) -> AsyncIterator[Feed]:
    feed = Feed(ROOM, log, log.head, 0, capacity=capacity)
    task = asyncio.create_task(feed.run())
    yield feed
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def grown(feed: Feed, log: FakeLog, number: int = 1) -> None:
    for _ in range(number):
        log.append()
    feed.hint(log.head)
    await run_loop(12)


async def test_an_entry_is_made_text_once_for_all() -> None:
    log = FakeLog()
    made: list[int] = []

    def show(entry: Entry) -> bytes:
        made.append(entry.sequence)
        return shown(entry)

    async with feeding(log) as here:
        cohort = Cohort(here, show, lambda: None)
        flows = [FakeFlow() for _ in range(5)]
        for flow in flows:
            Member(cohort, flow, "1", PREFIX, 0, never).go_on()
        await grown(here, log, 3)
        assert [flow.heard for flow in flows] == [[1, 2, 3]] * 5
        assert made == [1, 2, 3]
        assert [flow.writes for flow in flows] == [1] * 5, "a burst is one write"


async def test_who_reads_late_sees_a_message_as_it_is_now() -> None:
    log = FakeLog()
    log.append(message="hello")
    async with feeding(log) as here:
        cohort = Cohort(here, lambda entry: f'"{entry.message}"'.encode(), lambda: None)
        await grown(here, log)
        early, late = FakeTexts(), FakeTexts()
        Member(cohort, early, "1", b"", 1, never).go_on()
        log.append(message_id=2, message="deleted")
        here.hint(log.head)
        await run_loop(12)
        Member(cohort, late, "1", b"", 1, never).go_on()
    assert early.texts == ['"None"', '"deleted"']
    assert late.texts == ['"deleted"', '"deleted"']


class FakeTexts(FakeFlow):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def write(self, texts: Sequence[bytes]) -> None:
        self.texts += [text.decode().removesuffix("}") for text in texts]


async def test_who_has_no_room_is_sent_no_more_until_there_is_some() -> None:
    log, flow = FakeLog(), FakeFlow(left=2)
    async with feeding(log) as here:
        Member(Cohort(here, shown, lambda: None), flow, "1", PREFIX, 0, never).go_on()
        await grown(here, log, 5)
        assert flow.heard == [1, 2]
        flow.make_room(1)
        assert flow.heard == [1, 2, 3]
        flow.make_room(9)
        assert flow.heard == [1, 2, 3, 4, 5]


async def test_who_has_left_hears_nothing_not_even_what_was_about_to_be_said() -> None:
    log, flows = FakeLog(), [FakeFlow(), FakeFlow()]
    async with feeding(log) as here:
        cohort = Cohort(here, shown, lambda: None)
        members = [Member(cohort, flow, "1", PREFIX, 0, never) for flow in flows]
        for member in members:
            member.go_on()
        with patch.object(cohorts, "AT_ONCE", 1):
            log.append()
            here.hint(1)
            while not flows[0].heard:  # noqa: ASYNC110 - turn by turn
                await asyncio.sleep(0)
            members[1].leave()
            await run_loop(12)
    assert [flow.heard for flow in flows] == [[1], []]


async def test_a_replay_that_fails_says_so_once() -> None:
    log = FakeLog()
    failed: list[Exception] = []
    async with feeding(log, capacity=1) as here:
        await grown(here, log, 3)
        log.failures = 1
        Member(Cohort(here, shown, lambda: None), FakeFlow(), "1", PREFIX, 0, failed.append).go_on()
        await run_loop(12)
    assert [str(error) for error in failed] == ["the database is away"]


async def test_what_cannot_be_shown_ends_its_members_and_no_others() -> None:
    log, flow = FakeLog(), FakeFlow()
    failed: list[Exception] = []

    def broken(entry: Entry) -> bytes:
        raise ZeroDivisionError

    async with feeding(log) as here:
        Member(Cohort(here, broken, lambda: None), FakeFlow(), "1", PREFIX, 0, failed.append).go_on()
        Member(Cohort(here, shown, lambda: None), flow, "1", PREFIX, 0, never).go_on()
        await grown(here, log)
    assert (len(failed), flow.heard) == (1, [1])


class FullFlow(FakeFlow):
    def write(self, texts: Sequence[bytes]) -> None:
        raise ZeroDivisionError


async def test_who_cannot_be_written_to_ends_and_no_other_misses_anything() -> None:
    log, flows = FakeLog(), [FakeFlow(), FullFlow(), FakeFlow()]
    failed: list[Exception] = []
    async with feeding(log) as here:
        cohort = Cohort(here, shown, lambda: None)
        members = [Member(cohort, flow, "1", PREFIX, 0, failed.append) for flow in flows]
        for member in members:
            member.go_on()
        await grown(here, log, 2)
    assert (len(failed), flows[0].heard, flows[2].heard) == (1, [1, 2], [1, 2])


async def test_a_replay_reads_again_what_may_have_changed_while_it_waited_for_room() -> None:
    log, flow = FakeLog(), FakeTexts()
    for number in range(3):
        log.append(message=f"text {number}")
    async with feeding(log, capacity=1) as here:
        cohort = Cohort(here, lambda entry: f'"{entry.message}"'.encode(), lambda: None)
        await grown(here, log)
        flow.left = 1
        Member(cohort, flow, "1", b"", 0, never).go_on()
        await run_loop(12)
        assert flow.texts == ['"text 0"']
        log.append(message_id=2, message="deleted")
        here.hint(log.head)
        await run_loop(12)
        flow.make_room(9)
        await run_loop(12)
    assert flow.texts == ['"text 0"', '"deleted"', '"text 2"', '"None"', '"deleted"']


async def test_identical_ones_are_one_cohort_until_the_last_has_left() -> None:
    log, found = FakeLog(), Cohorts()
    async with feeding(log) as here, feeding(log) as other:
        one = found.of(here, ("a",), shown)
        assert found.of(here, ("a",), shown) is one
        assert found.of(here, ("b",), shown) is not one
        assert found.of(other, ("a",), shown) is not one
        members = [Member(one, FakeFlow(), "1", PREFIX, 0, never) for _ in range(2)]
        members[0].leave()
        assert found.of(here, ("a",), shown) is one
        members[1].leave()
        assert found.of(here, ("a",), shown) is not one
