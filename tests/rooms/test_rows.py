"""Rows by SQL of our own, against the ORM's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils import timezone

from rooms.models import Ban, Entry, EntryKind, Guest, Member, Message, Room
from rooms.rows import Rows, marks
from tests.people import archive, ban, make_guest, make_member, make_room, mute, send

pytestmark = pytest.mark.django_db


def values_of(instance: Model) -> dict[str, object]:
    return {field.attname: getattr(instance, field.attname) for field in instance._meta.concrete_fields}


def message(room: Room, author: Member, sequence: int, key: str | None = None) -> Message:
    now = timezone.now()
    return Message(
        room=room,
        author=author,
        sequence=sequence,
        changed_sequence=sequence + 1,
        text="é 100 %s",
        idempotency_key=key,
        sent_at=now - timedelta(days=1),
        edited_at=now,
    )


@pytest.mark.parametrize("model", [Room, Member, Message, Entry, Ban, Guest])
def test_what_is_read_is_what_the_orm_reads(model: type[Model]) -> None:
    """Times, nothing where nothing is, and instances that are known to be stored."""
    room = make_room()
    ana, rui = make_guest(room), make_member(room)
    send(ana, room, "hi", "key")
    send(rui, room, "100 %s")
    mute(rui, room)
    ban(make_member(room), room)
    archive(room)
    found, wanted = Rows(model).where("1 = %s ORDER BY 1", [1]), list(model._default_manager.order_by("pk"))
    assert wanted
    assert [values_of(each) for each in found] == [values_of(each) for each in wanted]
    assert [(each._state.adding, each._state.db) for each in found] == [(False, "default")] * len(wanted)


def test_values_are_never_sql() -> None:
    room = make_room()
    assert Rows(Room).where(f"slug IN ({marks('ab')})", [room.slug, "' OR ''='"]) == [room]


def test_what_is_inserted_is_what_the_orm_would_have() -> None:
    room = make_room()
    make_guest(room)
    author = Member.objects.get(room=room)
    ours = [message(room, author, sequence) for sequence in (3, 1, 2)]
    Rows(Message).insert(ours)
    assert [each.sequence for each in Message.objects.order_by("pk")] == [3, 1, 2]
    for each in ours:
        assert values_of(Message.objects.get(pk=each.pk)) == values_of(each)
        assert (each._state.adding, each._state.db) == (False, "default")
    Rows(Entry).insert([Entry(room=room, sequence=1, kind=EntryKind.SENT.value, message=ours[1])])
    assert Entry.objects.get().message == ours[1]


def test_what_the_database_refuses_is_raised_and_nothing_is_stored() -> None:
    room = make_room()
    make_guest(room)
    author = Member.objects.get(room=room)
    with pytest.raises(IntegrityError), transaction.atomic():
        Rows(Message).insert([message(room, author, 1, "same"), message(room, author, 2, "same")])
    assert not Message.objects.exists()
