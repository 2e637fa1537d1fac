"""Sends that share a transaction, against the same sends by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from unittest.mock import patch

import pytest
from django.db import IntegrityError, OperationalError
from django.test.utils import override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from config.limits import Limits
from rooms import broker, inputs, moderation, rates, selectors, sending, services
from rooms.appending import USE_NOTED_AFTER, append_new
from rooms.exceptions import BadUserInput, NotFound, RateLimited, Refusal, RoomArchived
from rooms.identity import NOBODY, OPERATOR
from rooms.log import entries_after
from rooms.models import Entry, Member, MemberRole, Message, Room, RoomAccess
from rooms.rates import LocalBuckets, Rates
from rooms.sending import Addressed, Changed, Send, send_messages, send_where_free
from tests.people import (
    archive,
    ban,
    make_guest,
    make_member,
    make_room,
    make_staff,
    make_user,
    member_of,
    mute,
    queries_to_store,
    send,
)

pytestmark = pytest.mark.django_db

UNFIT = "\x01 is not text, and the database says so too"


Announced = list[dict[str, Any]]


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> Announced:
    found: Announced = []
    monkeypatch.setattr(broker, "announce", lambda **what: found.append(what))
    return found


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
    entries = entries_after(room_id=room.pk, sequence=0, limit=1000)
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


# To many rooms


def to_each(rooms: Sequence[Room], *sends: Send) -> list[Addressed]:
    return [(room.pk, send) for send in sends for room in rooms]


def test_each_room_has_an_order_of_its_own() -> None:
    rooms = [make_room() for _ in range(3)]
    ana = make_guest(rooms[0])
    for room in rooms[1:]:
        services.join_room(viewer=ana, slug=room.slug, display_name="Ana")
    send(ana, rooms[1], "before")
    sends = [*to_each(rooms, Send(ana, "one")), *to_each(rooms[1:], Send(ana, "two")), *to_each(rooms, Send(ana, "3"))]
    outcomes = send_where_free(sends=sends)
    assert [summary(cast("Changed", outcome)) for outcome in outcomes] == [1, 2, 1, 3, 2, 2, 4, 3]
    assert [text for _, text in texts_in(rooms[0])] == ["one", "3"]
    assert [text for _, text in texts_in(rooms[1])] == ["before", "one", "two", "3"]
    assert [text for _, text in texts_in(rooms[2])] == ["one", "two", "3"]


def test_each_is_judged_in_its_own_room() -> None:
    """What somebody is in one room is nothing to the others that are written to with it."""
    rooms = [make_room(access) for access in RoomAccess]
    people = [make_member(room, name=f"Member {place}") for place, room in enumerate(rooms)]
    mute(people[0], rooms[0])
    leaver, banned = make_member(rooms[1]), make_member(rooms[2])
    services.leave_room(viewer=leaver, room_id=rooms[1].pk)
    ban(banned, rooms[2])
    everybody = [*people, leaver, banned, make_staff(), NOBODY]
    by_themselves = [summary(alone(room, Send(who, "hi"))) for who in everybody for room in rooms]
    sends = [(room.pk, Send(who, "hi")) for who in everybody for room in rooms]
    together = [summary(cast("Changed", outcome)) for outcome in send_where_free(sends=sends)]
    assert by_themselves.count(1) == 2
    assert together == [2 if each == 1 else each for each in by_themselves]


def test_where_nobody_who_asks_may_know_of_a_room_it_is_left_alone(announced: Announced) -> None:
    """It is not locked, though others of the batch are inside: they ask for nothing there."""
    open_room, hidden = make_room(), make_room(RoomAccess.MEMBERS)
    member, stranger = make_member(hidden), make_guest(open_room)
    services.join_room(viewer=member, slug=open_room.slug, display_name="Ana")
    asked = [(open_room.pk, member), (hidden.pk, stranger)]
    assert set(selectors.rooms_to_change_for_any(asked=asked, skip_locked=True)) == {open_room.pk}
    outcomes = send_where_free(sends=[(room_id, Send(viewer, "hi", "k")) for room_id, viewer in asked])
    assert summary(cast("Changed", outcomes[0])) == 1
    assert outcomes[1] == Send(stranger, "hi", "k", is_counted=True)
    assert [summary(one) for one in sent_together(hidden, outcomes[1])] == [summary(NotFound())]


def test_slow_mode_and_archive_are_a_room_s_own() -> None:
    slow, archived, plain = rooms = [make_room() for _ in range(3)]
    ana = make_guest(slow)
    for room in rooms[1:]:
        services.join_room(viewer=ana, slug=room.slug, display_name="Ana")
    moderation.set_slow_mode(actor=OPERATOR, room_id=slow.pk, seconds=60)
    archive(archived)
    outcomes = send_where_free(sends=to_each(rooms, Send(ana, "one"), Send(ana, "two")))
    assert [type(outcome) for outcome in outcomes] == [
        Changed,
        RoomArchived,
        Changed,
        RateLimited,
        RoomArchived,
        Changed,
    ]
    assert member_of(ana, slow).last_sent_at is not None
    assert member_of(ana, plain).last_sent_at is None


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


@pytest.mark.usefixtures("careless_inputs")
def test_one_that_the_database_refuses_fails_alone_in_its_room_too() -> None:
    rooms = [make_room() for _ in range(3)]
    people = [make_guest(room) for room in rooms]
    sends = [(room.pk, Send(who, "one")) for room, who in zip(rooms, people, strict=True)]
    sends.insert(1, (rooms[0].pk, Send(people[0], UNFIT)))
    sends.append((rooms[0].pk, Send(people[0], "two")))
    outcomes = send_where_free(sends=sends)
    assert [summary(cast("Changed", outcome)) for outcome in outcomes] == [1, IntegrityError, 1, 1, 2]
    assert [text for _, text in texts_in(rooms[0])] == ["one", "two"]
    assert [text for _, text in texts_in(rooms[2])] == ["one"]


@pytest.mark.usefixtures("careless_inputs")
def test_none_overtakes_one_that_finds_the_room_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    room, other = make_room(), make_room()
    ana, rui = make_guest(room), make_guest(other)
    is_free = iter([True, True, True, True, True, False, True])  # all, each room, and then each send to the first
    find = selectors.rooms_to_change_for_any
    monkeypatch.setattr(
        sending, "rooms_to_change_for_any", lambda **given: find(**given) if next(is_free) else dict[int, Room]()
    )
    sends = [(room.pk, Send(ana, text)) for text in ("one", UNFIT, "two", "three")]
    outcomes = send_where_free(sends=[(other.pk, Send(rui, "hi")), *sends])
    assert [summary(cast("Changed", outcome)) for outcome in outcomes[:3]] == [1, 1, IntegrityError]
    assert outcomes[3:] == [Send(ana, text, is_counted=True) for text in ("two", "three")]
    assert list(is_free) == [True]
    assert texts_in(room) == [(1, "one")]


def failing_in_turn(*errors: Exception | None) -> AbstractContextManager[object]:
    """Let appending to the log fail with each of ``errors`` in turn, or not for None."""
    turns = iter(errors)

    def fail_or_append(*args: Any) -> None:
        if error := next(turns):
            raise error
        append_new(*args)

    return patch.object(sending, "append_new", fail_or_append)


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
    """Two sends at once, and hardly any after. Yields the names of sends that were asked for together."""
    limited, asked = Rates(None, LocalBuckets()), list[tuple[str, ...]]()

    def take(*names: str, burst: int, per_second: float) -> list[float]:
        if any(name.startswith("send ") for name in names):  # and not of the joins before
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


def test_a_member_has_a_rate_in_each_room_and_what_is_counted_takes_nothing(two_at_once: list[tuple[str, ...]]) -> None:
    rooms = [make_room(), make_room()]
    ana = make_guest(rooms[0])
    services.join_room(viewer=ana, slug=rooms[1].slug, display_name="Ana")
    outcomes = send_where_free(sends=to_each(rooms, *[Send(ana, "hi")] * 3))
    assert [type(outcome) for outcome in outcomes] == [Changed] * 4 + [RateLimited] * 2
    assert len(two_at_once) == 1
    assert [summary(one) for one in sent_together(rooms[0], *[Send(ana, "hi", is_counted=True)] * 2)] == [3, 4]


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


def test_when_a_room_was_used_is_noted_every_few_seconds_and_not_more_often() -> None:
    room, now = make_room(), timezone.now()
    ana = make_guest(room)

    def used_at_after_a_send() -> datetime:
        send(ana, room)
        used_at = Room.objects.get(pk=room.pk).last_used_at
        assert used_at is not None
        return used_at

    first = used_at_after_a_send()
    assert now <= first <= timezone.now()
    assert used_at_after_a_send() == first
    Room.objects.filter(pk=room.pk).update(last_used_at=now - USE_NOTED_AFTER)
    assert used_at_after_a_send() > first


# What it costs, and what followers get


@pytest.mark.parametrize("size", [1, 50])
def test_a_batch_costs_the_same_few_queries_whatever_its_size(
    size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    room = make_room()
    people = [make_guest(room, f"guest {number}") for number in range(size)]
    stranger = make_guest(make_room())
    with django_assert_num_queries(4 + queries_to_store()):  # with savepoint and release: the test is in a transaction
        sent_together(room, *(Send(who, "hi") for who in people))
    with django_assert_num_queries(5 + queries_to_store()):  # and the keys
        sent_together(room, *(Send(who, "hi", "k") for who in people))
    with django_assert_num_queries(5):  # nothing is new
        sent_together(room, *(Send(who, "hi", "k") for who in people))
    with django_assert_num_queries(5 + queries_to_store()):  # and the bans, where somebody is no member
        sent_together(room, *(Send(who, "hi") for who in people), Send(stranger, "hi"))
    moderation.set_slow_mode(actor=OPERATOR, room_id=room.pk, seconds=1)
    with django_assert_num_queries(5 + queries_to_store()):  # and when they last sent something
        sent_together(room, *(Send(who, "hi") for who in people))


@pytest.mark.parametrize("size", [1, 30])
def test_a_batch_costs_the_same_few_queries_for_however_many_rooms(
    size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    rooms = [make_room() for _ in range(size)]
    members = [(room.pk, make_guest(room)) for room in rooms]
    stranger = make_guest(make_room())
    with django_assert_num_queries(5 + queries_to_store()):  # with keys; as many as for one room
        send_where_free(sends=[(room_id, Send(member, "hi", "k")) for room_id, member in members])
    turns = [(room_id, member) for number, (room_id, member) in enumerate(members) for _ in range(1 + number % 3)]
    strangers = to_each(rooms, Send(stranger, "hi"))
    with django_assert_num_queries(5 + queries_to_store()):  # with bans, and rooms that do not grow alike
        send_where_free(sends=[*((room_id, Send(member, "hi")) for room_id, member in turns), *strangers])
    assert [len(texts_in(room)) for room in rooms] == [2 + number % 3 for number in range(size)]


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
        read = entries_after(room_id=room.pk, sequence=head, limit=10)
        with django_assert_num_queries(0):
            assert as_followers_see(told["entries"]) == as_followers_see(read)
        head = read[-1].sequence
        assert (told["room_id"], told["sequence"]) == (room.pk, head)


def test_followers_of_each_room_get_its_entries(
    announced: Announced, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    rooms = [make_room() for _ in range(3)]
    people = [make_guest(room) for room in rooms]
    silent = rooms.pop()
    sends = [(room.pk, Send(people[place], "hi")) for place, room in enumerate(rooms)]
    sends += [(rooms[0].pk, Send(people[0], "ho")), (silent.pk, Send(NOBODY, "hi"))]
    with django_capture_on_commit_callbacks(execute=True):
        send_where_free(sends=sends)
    assert [(told["room_id"], told["sequence"]) for told in announced] == [(rooms[0].pk, 2), (rooms[1].pk, 1)]
    for told in announced:
        read = entries_after(room_id=told["room_id"], sequence=0, limit=10)
        assert as_followers_see(told["entries"]) == as_followers_see(read)


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
