"""The database keeps the invariants by itself, whatever the code does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from rooms.models import Entry, EntryKind, Guest, Member, Message, Room, RoomAccess
from tests.people import make_guest, make_room, send

pytestmark = pytest.mark.django_db


def refused(change: Callable[[], object]) -> None:
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        change()


def test_a_password_room_has_a_password() -> None:
    refused(lambda: Room.objects.create(slug="x", name="x", access=RoomAccess.PASSWORD))


@pytest.mark.parametrize("values", [{"name": ""}, {"slug": ""}, {"access": "SECRET"}])
def test_a_room_has_a_name_a_slug_and_a_known_access(values: dict[str, str]) -> None:
    refused(lambda: Room.objects.create(**{"slug": "x", "name": "x", **values}))


def test_a_slug_is_taken_once() -> None:
    room = make_room()
    refused(lambda: Room.objects.create(slug=room.slug, name="another"))


def test_a_room_has_no_more_messages_than_entries() -> None:
    room = make_room()
    refused(lambda: Room.objects.filter(pk=room.pk).update(message_count=1))


def test_a_member_is_a_user_or_a_guest() -> None:
    room = make_room()
    refused(lambda: Member.objects.create(room=room, display_name="nobody"))


def test_a_guest_is_in_a_room_once() -> None:
    room = make_room()
    guest = make_guest(room).guest
    refused(lambda: Member.objects.create(room=room, guest=guest, display_name="again"))


@pytest.mark.parametrize("values", [{"display_name": ""}, {"role": "KING"}])
def test_a_member_has_a_name_and_a_known_role(values: dict[str, str]) -> None:
    room, guest = make_room(), Guest.objects.create(display_name="x")
    refused(lambda: Member.objects.create(**{"room": room, "guest": guest, "display_name": "x", **values}))


@pytest.mark.parametrize(
    "values",
    [
        {"text": ""},
        {"text": None},
        {"text": "kept", "deleted_at": timezone.now()},
        {"text": "x" * 4001},
        {"sequence": 0},
        {"changed_sequence": 0},
    ],
)
def test_a_message_has_text_until_it_is_deleted_and_a_place_in_the_log(values: dict[str, object]) -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    refused(lambda: Message.objects.filter(pk=message.pk).update(**values))


def test_a_place_in_the_log_is_taken_once() -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    refused(
        lambda: Entry(room=room, sequence=message.sequence, kind=EntryKind.EDITED, message=message).save(
            force_insert=True
        )
    )


def test_a_key_is_used_once_by_an_author() -> None:
    room = make_room()
    guest = make_guest(room)
    send(guest, room, key="k")
    other = send(guest, room, key="other").message
    refused(lambda: Message.objects.filter(pk=other.pk).update(idempotency_key="k"))
