"""Any course of sending, retrying, editing, deleting, leaving and coming back, on the real services and a database.

Hypothesis chooses what happens next, the hints among it: lost, doubled, late, out of order, and made up. Whatever the
course: the log has no hole, a retry makes no second message, every follower gets what comes after its cursor once and
in order, and history as it was read plus what followed is history read fresh. The last tests break the code and expect
the machine to notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

import pytest
from django.db import connections
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from rooms import inputs, selectors, services
from rooms.exceptions import BadUserInput
from rooms.feed import Entry, Feed, Head
from rooms.hub import Hub
from rooms.identity import Viewer
from rooms.log import entries_after, heads_of
from rooms.models import EntryKind, Message
from rooms.paging import Span
from rooms.sealing import Seal
from rooms.sending import Changed, Send, send_messages
from rooms.tail import Tail
from tests.people import make_guest, make_room

from .fakes import FakeBroker, FakeClock, anyone, run_loop

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)

STEPS_TO_SETTLE = 40
ROUNDS_TO_SETTLE = 20
QUICK = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,  # the same courses every time: a failure is the code's, not the day's
    database=None,
    suppress_health_check=list(HealthCheck),
)
UNTIL_NOTICED = settings(QUICK, max_examples=300, phases=[Phase.generate], print_blob=False)

places = st.integers(min_value=0, max_value=2**16)  # taken modulo what there is


class Event(NamedTuple):
    """An entry as a follower got it, with the message as it was then."""

    sequence: int
    kind: str
    message_id: int
    changed_sequence: int
    text: str | None


History = dict[int, tuple[int, str | None]]  # message id: sequence of its latest change, text


@dataclass
class Said:
    """A message as its author knows it."""

    author: Viewer
    key: str
    text: str
    message_id: int
    sequence: int
    is_edited: bool = False
    is_deleted: bool = False


class SteppedLog:
    """The database's log. The loop stands still while it is read, so that the same course is the same each time."""

    def __init__(self) -> None:
        self.failures = 0
        self._thread = ThreadPoolExecutor(1)  # since Django opens a connection for each task, and one for a thread

    def close(self) -> None:
        self._thread.submit(connections.close_all).result()
        self._thread.shutdown()

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[Entry]:
        await run_loop(1)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        read = partial(entries_after, room_id=room_id, sequence=sequence, limit=limit)
        found = self._thread.submit(read).result()
        await run_loop(1)
        return found

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, Head]:
        found = self._thread.submit(partial(heads_of, room_ids=room_ids)).result()
        await run_loop(1)
        return found

    async def refusals(self, room_id: int, readers: Sequence[object]) -> Sequence[None]:
        return [None for _ in readers]


@dataclass
class Follower:
    """Somebody who follows from ``start`` and may be cut off and come back."""

    start: int
    events: list[Event] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> int:
        return self.events[-1].sequence if self.events else self.start

    @property
    def is_away(self) -> bool:
        return self.task is None or self.task.done()

    async def follow(self, hub: Hub, room_id: int, head: int) -> None:
        async with aclosing(hub.follow(room_id, self.cursor, head, anyone())) as entries:
            async for entry in entries:
                message = entry.message
                self.events.append(
                    Event(entry.sequence, entry.kind, entry.message_id, message.changed_sequence, message.text)
                )


def drawn(waiting: list[T], which: int, fate: str) -> T:
    """One of those that wait, which waits no longer unless it is to come twice."""
    found = waiting[-1 if fate == "deliver the newest" else which % len(waiting)]
    if fate != "double":
        waiting.remove(found)
    return found


class Machine(RuleBasedStateMachine):
    """One room. ``log`` is kind and message of each entry that it should hold; ``histories[n]`` how it was at ``n``."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.room = make_room()
        self.people = [make_guest(self.room, "Ana"), make_guest(self.room, "Rui")]
        self.said: list[Said] = []
        self.log: list[tuple[str, int]] = []
        self.histories: list[History] = [{}]
        self.hints: list[int] = []
        self.offers: list[Sequence[Entry]] = []
        self.carried: list[bytes] = []
        self.seal = Seal(["a key"])
        self.followers: list[Follower] = []
        self.stored = SteppedLog()
        self.broker = FakeBroker()
        self.clock = FakeClock()
        self.hub = Hub(self.stored, self.broker, tail_capacity=4, sleep=self.clock.sleep)
        self._patches = [
            patch("rooms.broker.announce", self._announce),
            patch.multiple("rooms.feed", PAGE_SIZE=3, RETRY_SECONDS=0),
        ]
        for each in self._patches:
            each.start()

    def _announce(self, *, room_id: int, sequence: int, entries: Sequence[Any]) -> None:
        assert (room_id, sequence) == (self.room.pk, len(self.log) + len(entries))
        assert [entry.sequence for entry in entries] == list(range(len(self.log) + 1, sequence + 1))
        self.hints.append(sequence)
        self.offers.append(entries)
        if (sealed := self.seal.sealed(entries)) is not None:
            self.carried.append(sealed)

    # What people do

    @rule(person=places, text=st.sampled_from(["olá", "tudo bem?"]))
    def send(self, person: int, text: str) -> None:
        author, key = self.people[person % len(self.people)], f"key {len(self.said)}"
        sent = services.send_message(viewer=author, room_id=self.room.pk, text=text, idempotency_key=key)
        self.said.append(Said(author, key, text, sent.message.pk, sent.sequence))
        self._logged(EntryKind.SENT, sent)

    @rule(people=st.lists(places, min_size=2, max_size=3), text=st.sampled_from(["olá", "tudo bem?"]))
    def send_together(self, people: list[int], text: str) -> None:
        """In one transaction, in which the first of them asks twice."""
        authors = [self.people[person % len(self.people)] for person in people]
        keys = [f"key {len(self.said) + place}" for place in range(len(people))]
        sends = [Send(author, text, key) for author, key in zip(authors, keys, strict=True)]
        outcomes = send_messages(room_id=self.room.pk, sends=[*sends, sends[0]])
        sent = [outcome for outcome in outcomes if isinstance(outcome, Changed)]
        assert sent.pop() == sent[0]
        for send, key, one in zip(sends, keys, sent, strict=True):
            self.said.append(Said(send.viewer, key, text, one.message.pk, one.sequence))
        self._logged_together(sent)

    @precondition(lambda self: self.said)
    @rule(which=places)
    def retry(self, which: int) -> None:
        said = self.said[which % len(self.said)]
        again = self._say_again(said, said.text)
        assert (again.message.pk, again.sequence) == (said.message_id, said.sequence)

    @precondition(lambda self: any(not said.is_edited and not said.is_deleted for said in self.said))
    @rule(which=places)
    def retry_with_another_text(self, which: int) -> None:
        as_sent = [said for said in self.said if not said.is_edited and not said.is_deleted]
        with pytest.raises(BadUserInput):
            self._say_again(as_sent[which % len(as_sent)], "something else")

    @precondition(lambda self: any(not said.is_deleted for said in self.said))
    @rule(which=places)
    def edit(self, which: int) -> None:
        there = [said for said in self.said if not said.is_deleted]
        said = there[which % len(there)]
        text = f"edit {len(self.log)}"
        changed = services.edit_message(viewer=said.author, message_id=said.message_id, text=text)
        said.is_edited = True
        self._logged(EntryKind.EDITED, changed)

    @precondition(lambda self: self.said)
    @rule(which=places)
    def delete(self, which: int) -> None:
        said = self.said[which % len(self.said)]
        was_deleted, said.is_deleted = said.is_deleted, True
        changed = services.delete_message(viewer=said.author, message_id=said.message_id)
        if not was_deleted:
            self._logged(EntryKind.DELETED, changed)

    # Who follows

    @rule(place=places)
    def follow(self, place: int) -> None:
        self.followers.append(follower := Follower(place % (len(self.log) + 1)))
        self._resume(follower)

    @precondition(lambda self: self.followers)
    @rule(which=places)
    def cut(self, which: int) -> None:
        task = self.followers[which % len(self.followers)].task
        assert task
        task.cancel()
        self._run(2)

    @precondition(lambda self: any(follower.is_away for follower in self.followers))
    @rule(which=places)
    def resume(self, which: int) -> None:
        away = [follower for follower in self.followers if follower.is_away]
        self._resume(away[which % len(away)])

    # What happens to hints, reads and time

    @precondition(lambda self: self.hints)
    @rule(which=places, fate=st.sampled_from(["deliver", "lose", "double"]))
    def hint(self, which: int, fate: str) -> None:
        sequence = drawn(self.hints, which, fate)
        if fate != "lose":
            self.broker.deliver(self.room.pk, sequence)

    @precondition(lambda self: self.offers)
    @rule(which=places, fate=st.sampled_from(["deliver", "deliver the newest", "lose", "double"]))
    def offer(self, which: int, fate: str) -> None:
        entries = drawn(self.offers, which, fate)
        if fate != "lose":
            self._in_loop(partial(self.hub.offer, self.room.pk, entries))

    @precondition(lambda self: self.carried)
    @rule(which=places, fate=st.sampled_from(["deliver", "deliver the newest", "lose", "double"]))
    def carry(self, which: int, fate: str) -> None:
        """What went along with a hint, and says of a message what was so then."""
        sealed = drawn(self.carried, which, fate)
        if fate != "lose" and (entries := self.seal.opened(self.room.pk, sealed)):
            self._in_loop(partial(self.hub.offer, self.room.pk, entries))

    @rule(sequence=st.one_of(st.none(), st.integers(min_value=0, max_value=100)))
    def hint_made_up(self, sequence: int | None) -> None:
        self.broker.deliver(self.room.pk, sequence)

    @rule()
    def poll(self) -> None:
        self.clock.tick()

    @rule()
    def fail_a_read(self) -> None:
        self.stored.failures = 1

    @rule(steps=st.integers(min_value=1, max_value=12))
    def go_on(self, steps: int) -> None:
        self._run(steps)

    # What holds

    @invariant()
    def everyone_hears_the_log_once_and_in_order(self) -> None:
        for follower in self.followers:
            self._require_part_of_log(follower)

    @rule()
    def settle(self) -> None:
        """The poll passes, and who follows has everything; then the others come back, and so have they; and who is new.

        In this order: whoever comes has read the end of the log, and makes the feed look.
        """
        self.stored.failures = 0
        away = [follower for follower in self.followers if follower.is_away]
        self._catch_up([follower for follower in self.followers if not follower.is_away])
        for follower in away:
            self._resume(follower)
        self._catch_up(away)
        self._require_nothing_deleted_is_shown()

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.runner.run(self._close())
            self.runner.close()
            self.stored.close()
            for each in self._patches:
                each.stop()

    async def _close(self) -> None:
        tasks = [follower.task for follower in self.followers if follower.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.hub.close()

    def _catch_up(self, followers: Sequence[Follower]) -> None:
        for _ in range(ROUNDS_TO_SETTLE):
            self.clock.tick()
            self._run(STEPS_TO_SETTLE)
            if all(follower.cursor == len(self.log) for follower in followers):
                break
        for follower in followers:
            assert follower.cursor == len(self.log), f"stays at {follower.cursor} of {len(self.log)}"
            self._require_part_of_log(follower)
            assert self._merged(follower) == self._history()

    def _require_nothing_deleted_is_shown(self) -> None:
        """Not to somebody who comes when the deletion has been heard."""
        self.followers.append(late := Follower(0))
        self._resume(late)
        self._catch_up([late])
        deleted = {said.message_id for said in self.said if said.is_deleted}
        assert {event.text for event in late.events if event.message_id in deleted} <= {None}

    def _require_part_of_log(self, follower: Follower) -> None:
        for sequence, event in enumerate(follower.events, follower.start + 1):
            assert event[:3] == (sequence, *self.log[sequence - 1])
            assert sequence <= event.changed_sequence <= len(self.log)
            assert self.histories[event.changed_sequence][event.message_id] == event[3:]

    def _merged(self, follower: Follower) -> History:
        """History as it was where the follower began, and what it heard since; the newer of two copies counts."""
        merged = dict(self.histories[follower.start])
        for event in follower.events:
            if event.changed_sequence >= merged.get(event.message_id, (0, None))[0]:
                merged[event.message_id] = event.changed_sequence, event.text
        return merged

    def _history(self) -> History:
        """Read fresh, as a client would page through it."""
        found = selectors.messages_slice(viewer=self.people[0], room=self._fresh_room(), span=Span(size=1000))
        return {message.pk: (message.changed_sequence, message.text) for message in found.items}

    def _fresh_room(self) -> Any:
        self.room.refresh_from_db()
        return self.room

    def _logged(self, kind: EntryKind, changed: Changed) -> None:
        """Take note of a change; it has the next sequence, and the log in the database has no hole."""
        self.log.append((kind, changed.message.pk))
        assert changed.sequence == len(self.log)
        entries = entries_after(room_id=self.room.pk, sequence=0, limit=1000)
        assert [entry.sequence for entry in entries] == list(range(1, len(self.log) + 1))
        self.histories.append(self._history())
        assert len(self.histories[-1]) == self.room.message_count == len(self.said)

    def _logged_together(self, sent: Sequence[Changed]) -> None:
        for one in sent[:-1]:
            self.log.append((EntryKind.SENT, one.message.pk))
            self.histories.append(self.histories[-1] | {one.message.pk: (one.sequence, one.message.text)})
        self._logged(EntryKind.SENT, sent[-1])

    def _say_again(self, said: Said, text: str) -> Changed:
        return services.send_message(viewer=said.author, room_id=self.room.pk, text=text, idempotency_key=said.key)

    def _resume(self, follower: Follower) -> None:
        async def begin() -> None:
            follower.task = asyncio.create_task(follower.follow(self.hub, self.room.pk, len(self.log)))
            follower.task.add_done_callback(lambda task: task.cancelled() or task.exception())

        self.runner.run(begin())

    def _in_loop(self, do: Callable[[], None]) -> None:
        async def call() -> None:
            do()

        self.runner.run(call())

    def _run(self, steps: int) -> None:
        self.runner.run(run_loop(steps))


def test_the_promise_holds_in_every_course(caplog: pytest.LogCaptureFixture) -> None:
    run_state_machine_as_test(Machine, settings=QUICK)
    assert Message.objects.exists()
    assert "ValueError" not in caplog.text, "nothing but the database failed"


def require_noticed() -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Machine, settings=UNTIL_NOTICED)


def test_the_machine_notices_a_hub_without_its_poll() -> None:
    async def never(hub: Hub) -> None:
        return

    with patch.object(Hub, "_look", never):
        require_noticed()


def test_the_machine_notices_a_key_that_is_not_looked_up() -> None:
    with patch.object(inputs, "idempotency_key", lambda key: None):
        require_noticed()


def test_the_machine_notices_a_hole_served_from_the_tail() -> None:
    def nearest(tail: Tail[Entry], cursor: int) -> Entry | None:
        return next((entry for entry in tail.items() if entry.sequence > cursor), None)

    with patch.object(Tail, "after", nearest):
        require_noticed()


def what_is_deleted_from_the_tail() -> None:
    """One course: somebody follows, a message is heard and then deleted, and somebody else comes."""
    machine = Machine()
    try:
        machine.follow(0)
        machine.settle()
        machine.send(0, "olá")
        machine.settle()
        machine.delete(0)
    finally:
        machine.teardown()  # which settles, and looks at what is shown


def test_the_promise_holds_for_what_is_deleted_from_the_tail() -> None:
    what_is_deleted_from_the_tail()
    assert Message.objects.get().text is None


def test_the_machine_notices_a_replay_that_shows_what_was_deleted() -> None:
    """Which chance alone would find too seldom."""
    with patch.object(Feed, "_refresh_earlier", lambda feed, entry: None), pytest.raises(AssertionError):
        what_is_deleted_from_the_tail()
