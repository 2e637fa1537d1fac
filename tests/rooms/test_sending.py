"""Sends that share a transaction, against the same sends by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import pytest
from django.db import IntegrityError, OperationalError
from django.test.utils import override_settings
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from config.limits import Limits
from rooms import broker, inputs, moderation, rates, selectors, sending, services
from rooms.exceptions import BadUserInput, NotFound, RateLimited, Refusal, RoomArchived
from rooms.identity import NOBODY, OPERATOR
from rooms.locked import append
from rooms.models import Entry, Member, MemberRole, Message, Room, RoomAccess
from rooms.rates import LocalBuckets, Rates
from rooms.sending import Changed, Send, send_messages
from tests.people import archive, ban, make_guest, make_member, make_room, make_staff, make_user, member_of, mute, send

pytestmark = pytest.mark.django_db

UNFIT = "\x01 is not text, and the database says so too"


def sent_together(room: Room, *sends: Send) -> list[Changed | Exception]:
    return send_messages(room_id=room.pk, sends=sends)


def summary(outcome: Changed | Exception) -> object:
    """The place of a message, or how a refusal is shown."""
    if isinstance(outcome, Refusal):
        return (outcome.message, outcome.extensions)
    return outcome.sequence if isinstance(outcome, Changed) else type(outcome)


def alone(room: Room, one: Send) -> Changed | Exception:
    try:
        return services.send_message(
            viewer=one.viewer, room_id=room.pk, text=one.text, idempotency_key=one.idempotency_key
        )
    except Refusal as refusal:
        return refusal


def texts_in(room: Room) -> list[tuple[int, str | None]]:
    """What the log holds, read as a feed reads it: without a hole."""
    entries = selectors.entries_after(room_id=room.pk, sequence=0, limit=1000)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    found = Room.objects.get(pk=room.pk)
    assert (found.sequence, found.message_count) == (len(entries), Message.objects.filter(room=room).count())
    return [(entry.message.sequence, entry.message.text) for entry in entries]


def test_each_has_the_next_place_in_the_order_in_which_they_came() -> None:
    room = make_room()
    ana, rui = make_guest(room), make_guest(room, "Rui")
    send(rui, room, "before")
    outcomes = sent_together(room, Send(ana, "one"), Send(rui, "two"), Send(ana, "three"))
    assert [summary(outcome) for outcome in outcomes] == [2, 3, 4]
    assert texts_in(room) == [(1, "before"), (2, "one"), (3, "two"), (4, "three")]
    assert [cast("Changed", outcome).message.text for outcome in outcomes] == ["one", "two", "three"]


@pytest.mark.parametrize("access", RoomAccess)
def test_each_is_judged_as_if_it_came_alone(access: RoomAccess) -> None:
    room = make_room(access)
    ana, muted, banned, left = (make_member(room, name=name) for name in ("Ana", "Rui", "Eva", "Leo"))
    send(ana, room, "hi", "known")
    mute(muted, room)
    ban(banned, room)
    services.leave_room(viewer=left, room_id=room.pk)
    sends = [
        *(Send(who, "hello") for who in (NOBODY, make_user(), make_guest(make_room()), make_staff())),
        *(Send(who, "hello") for who in (muted, banned, left)),
        Send(ana, " "),
        Send(ana, "x" * 4001),
        Send(ana, "hello", ""),
        Send(ana, "hi", "known"),
        Send(ana, "something else", "known"),
    ]
    by_themselves = [summary(alone(room, one)) for one in sends]
    together = sent_together(room, Send(ana, "first"), *sends, Send(ana, "last"))
    assert [summary(outcome) for outcome in together] == [2, *by_themselves, 3]
    assert len(set(map(str, by_themselves))) > 5
    assert [text for _, text in texts_in(room)] == ["hi", "first", "last"]


def test_nothing_new_comes_into_an_archived_room_and_retries_are_answered() -> None:
    room = make_room()
    ana = make_guest(room)
    send(ana, room, "hi", "known")
    archive(room)
    first, again = sent_together(room, Send(ana, "hello"), Send(ana, "hi", "known"))
    assert isinstance(first, RoomArchived)
    assert summary(again) == 1


def test_the_same_key_twice_gives_one_message() -> None:
    room = make_room()
    ana, rui = make_guest(room), make_guest(room, "Rui")
    outcomes = sent_together(
        room, Send(ana, "hi", "k"), Send(rui, "hi", "k"), Send(ana, "hi", "k"), Send(ana, "ho", "k"), Send(ana, "hi")
    )
    assert [summary(outcome) for outcome in outcomes[:3]] == [1, 2, 1]
    assert outcomes[0] == outcomes[2]
    assert isinstance(outcomes[3], BadUserInput)
    assert summary(outcomes[4]) == 3
    assert len(texts_in(room)) == 3


def test_in_slow_mode_the_second_of_one_author_is_refused() -> None:
    room = make_room()
    ana, rui, moderator = make_guest(room), make_guest(room, "Rui"), make_member(room, MemberRole.MODERATOR)
    moderation.set_slow_mode(actor=OPERATOR, room_id=room.pk, seconds=60)
    outcomes = sent_together(room, *(Send(who, "hi") for who in (ana, rui, ana, moderator, moderator)))
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [summary(outcome) for outcome in outcomes if isinstance(outcome, Changed)] == [1, 2, 3, 4]
    assert outcomes.index(refusals[0]) == 2
    assert isinstance(refusals[0], RateLimited)
    assert 0 < refusals[0].retry_after <= 60
    assert isinstance(alone(room, Send(rui, "again")), RateLimited), "when they last sent something is stored"


# Who may not know of the room


def test_strangers_in_a_batch_of_members_learn_nothing() -> None:
    room = make_room(RoomAccess.MEMBERS)
    member, stranger = make_member(room), make_user()
    outcomes = sent_together(room, Send(stranger, "hi"), Send(member, "hi"), Send(NOBODY, "hi"))
    assert [type(outcome) for outcome in outcomes] == [NotFound, Changed, NotFound]
    assert summary(outcomes[0]) == summary(alone(make_room(RoomAccess.MEMBERS), Send(stranger, "hi")))


def test_where_nobody_may_know_of_the_room_it_is_not_even_read(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    room = make_room(RoomAccess.MEMBERS)
    make_member(room)
    stranger = make_guest(make_room())
    with django_assert_num_queries(3):  # one between savepoint and release, which finds and locks nothing
        outcomes = sent_together(room, Send(stranger, "hi", "k"), Send(NOBODY, "hi"))
    assert [type(outcome) for outcome in outcomes] == [NotFound, NotFound]


# What the database says


@pytest.fixture
def careless_inputs() -> Iterator[None]:
    """Nothing is found unfit before the database sees it."""
    with patch.object(inputs, "message_text", str):
        yield


@pytest.mark.usefixtures("careless_inputs")
def test_one_that_the_database_refuses_fails_alone() -> None:
    room = make_room()
    ana = make_guest(room)
    outcomes = sent_together(room, Send(ana, "one", "1"), Send(ana, UNFIT, "2"), Send(ana, "three", "3"))
    assert [summary(outcome) for outcome in outcomes] == [1, IntegrityError, 2]
    assert texts_in(room) == [(1, "one"), (2, "three")]
    assert [summary(one) for one in sent_together(room, Send(ana, "three", "3"), Send(ana, UNFIT))] == [
        2,
        IntegrityError,
    ]


@pytest.mark.usefixtures("careless_inputs")
def test_one_alone_that_the_database_refuses_raises() -> None:
    room = make_room()
    with pytest.raises(IntegrityError):
        send(make_guest(room), room, UNFIT)
    assert texts_in(room) == []


def failing_in_turn(*errors: Exception | None) -> AbstractContextManager[object]:
    """Let appending to the log fail with each of ``errors`` in turn, or not for None."""
    turns = iter(errors)

    def fail_or_append(*args: Any) -> None:
        if error := next(turns):
            raise error
        append(*args)

    return patch.object(sending, "append", fail_or_append)


def test_a_failure_that_is_nobody_s_fault_fails_all_and_stores_nothing() -> None:
    room = make_room()
    ana = make_guest(room)
    with failing_in_turn(OperationalError("gone")), pytest.raises(OperationalError):
        sent_together(room, Send(ana, "one"), Send(ana, "two"))
    assert texts_in(room) == []


def test_what_is_stored_is_answered_whatever_happens_to_the_next() -> None:
    room = make_room()
    ana = make_guest(room)
    with failing_in_turn(IntegrityError(), None, OperationalError("gone"), None):
        outcomes = sent_together(room, Send(ana, "one"), Send(ana, "two"), Send(ana, "three"))
    assert [summary(outcome) for outcome in outcomes] == [1, OperationalError, 2]
    assert texts_in(room) == [(1, "one"), (2, "three")]


# Rates


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """Two sends at once, and hardly any after. Yields the names that were asked for together."""
    limited, asked = Rates(None, LocalBuckets()), list[tuple[str, ...]]()

    def take(*names: str, burst: int, per_second: float) -> list[float]:
        asked.append(names)
        return limited.take(names, burst=burst, per_second=per_second)

    monkeypatch.setattr(rates, "take", take)
    with override_settings(LIMITS=replace(Limits(), send_burst=2, sends_per_second=0.001)):
        yield asked


def test_each_member_has_their_rate_and_all_are_asked_for_at_once(two_at_once: list[tuple[str, ...]]) -> None:
    room = make_room()
    ana, rui = make_guest(room), make_guest(room, "Rui")
    outcomes = sent_together(room, *(Send(who, "hi") for who in (ana, rui, ana, NOBODY, ana, rui, rui)))
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Changed",
        "Changed",
        "Changed",
        "Unauthenticated",
        "RateLimited",
        "Changed",
        "RateLimited",
    ]
    assert len(two_at_once) == 1
    assert len(texts_in(room)) == 4


def test_above_the_rate_retries_are_answered_and_nothing_else(two_at_once: list[tuple[str, ...]]) -> None:
    room, hidden = make_room(), make_room(RoomAccess.MEMBERS)
    ana, gone = make_guest(room), make_guest(room, "Rui")
    first = sent_together(room, Send(ana, "hi", "k"), Send(gone, "hi", "k"), Send(ana, "ho"), Send(gone, "ho"))
    services.leave_room(viewer=gone, room_id=room.pk)
    outcomes = sent_together(
        room,
        Send(ana, "hi", "k"),
        Send(ana, "another text", "k"),
        Send(ana, "hi", "another key"),
        Send(ana, "hi"),
        Send(gone, "hi", "k"),
    )
    assert outcomes[0] == first[0]
    assert [type(outcome).__name__ for outcome in outcomes[1:]] == [
        "BadUserInput",
        "RateLimited",
        "RateLimited",
        "Forbidden",
    ]
    assert [type(outcome) for outcome in sent_together(hidden, *[Send(ana, "hi", "k")] * 3)] == [NotFound] * 3
    assert len(texts_in(room)) == 4


# What it costs, and what followers get


@pytest.mark.parametrize("size", [1, 50])
def test_a_batch_costs_the_same_few_queries_whatever_its_size(
    size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    room = make_room()
    people = [make_guest(room, f"guest {number}") for number in range(size)]
    stranger = make_guest(make_room())
    with django_assert_num_queries(7):  # savepoint and release among them: the test is in a transaction
        sent_together(room, *(Send(who, "hi") for who in people))
    with django_assert_num_queries(8):  # and the keys
        sent_together(room, *(Send(who, "hi", "k") for who in people))
    with django_assert_num_queries(5):  # nothing is new
        sent_together(room, *(Send(who, "hi", "k") for who in people))
    with django_assert_num_queries(8):  # and the bans, where somebody is no member
        sent_together(room, *(Send(who, "hi") for who in people), Send(stranger, "hi"))
    moderation.set_slow_mode(actor=OPERATOR, room_id=room.pk, seconds=1)
    with django_assert_num_queries(8):  # and when they last sent something
        sent_together(room, *(Send(who, "hi") for who in people))


Announced = list[dict[str, Any]]


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> Announced:
    found: Announced = []
    monkeypatch.setattr(broker, "announce", lambda **what: found.append(what))
    return found


def fields_of(thing: Entry | Message | Member | Room) -> dict[str, Any]:
    """But for the time of an entry, which nobody is told and no feed reads."""
    names = [field.attname for field in thing._meta.concrete_fields]
    return {name: getattr(thing, name) for name in names if not (isinstance(thing, Entry) and name == "created_at")}


def as_followers_see(entries: Sequence[Any]) -> list[tuple[dict[str, Any], ...]]:
    """All of it, with the positions of the room's end left out: that is as of the reading."""
    found = []
    for entry in entries:
        message, author, room = entry.message, entry.message.author, entry.message.room
        assert author.room is room
        assert type(entry.kind) is str
        assert entry.access_version == room.access_version
        seen = [fields_of(thing) for thing in (entry, message, author, room)]
        found.append((*seen[:-1], {**seen[-1], "sequence": 0, "message_count": 0, "last_used_at": None}))
    return found


def test_followers_get_the_entries_as_if_they_had_been_read(
    announced: Announced,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    room = make_room()
    ana, moderator = make_guest(room), make_member(room, MemberRole.MODERATOR)
    changes: Sequence[Callable[[], object]] = (
        lambda: sent_together(room, Send(ana, "one", "k"), Send(moderator, "two"), Send(NOBODY, "x")),
        lambda: services.edit_message(viewer=ana, message_id=Message.objects.get(text="one").pk, text="1"),
        lambda: services.delete_message(viewer=moderator, message_id=Message.objects.get(text="1").pk),
    )
    head = 0
    for change in changes:
        announced.clear()
        with django_capture_on_commit_callbacks(execute=True):
            change()
        (told,) = announced
        read = selectors.entries_after(room_id=room.pk, sequence=head, limit=10)
        with django_assert_num_queries(0):
            assert as_followers_see(told["entries"]) == as_followers_see(read)
        head = read[-1].sequence
        assert (told["room_id"], told["sequence"]) == (room.pk, head)


def test_where_nothing_is_stored_nothing_is_told(
    announced: Announced, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    room = make_room()
    ana = make_guest(room)
    send(ana, room, "hi", "k")
    with django_capture_on_commit_callbacks(execute=True):
        sent_together(room, Send(ana, "hi", "k"), Send(NOBODY, "hi"), Send(ana, ""))
    assert announced == []
    assert member_of(ana, room).last_sent_at is None
