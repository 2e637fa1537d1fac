"""What goes along with a hint: the same as reading would give, for nobody else, and not for long."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.db.models import Model

from rooms import sealing, services
from rooms.hints import ENTRIES_CARRIED
from rooms.log import entries_after
from rooms.models import Entry, Room, RoomAccess
from rooms.sealing import BYTES_CARRIED, FRESH_SECONDS, Seal
from tests.people import ban, make_guest, make_room, mute, send

pytestmark = pytest.mark.django_db

KEY, OTHER_KEY = "a key " * 10, "another key " * 5
NOT_CARRIED = {"password", "created_at"}  # a room's, and an entry's, which followers don't see


def told_of(change: Callable[[], object], capture: Any) -> list[Entry]:
    """The entries that a change has at hand when it is committed."""
    told: list[Entry] = []
    with patch("rooms.broker.announce", lambda *, entries, **_: told.extend(entries)), capture(execute=True):
        change()
    return told


@pytest.fixture
def room() -> Room:
    return make_room(RoomAccess.PASSWORD)


@pytest.fixture
def written(room: Room, django_capture_on_commit_callbacks: Any) -> list[Entry]:
    """A message sent, edited and deleted, by who was muted meanwhile: the entries as they are at hand each time."""
    ana = make_guest(room)
    told = told_of(lambda: send(ana, room, 'olá "mundo" \u2028 \U0001f600', "key"), django_capture_on_commit_callbacks)
    told += told_of(
        lambda: services.edit_message(viewer=ana, message_id=told[0].message_id, text="adeus"),
        django_capture_on_commit_callbacks,
    )
    mute(ana, room)
    told += told_of(
        lambda: services.delete_message(viewer=ana, message_id=told[0].message_id), django_capture_on_commit_callbacks
    )
    return told


def as_read(instance: Model) -> dict[str, object]:
    return {name: value for name, value in vars(instance).items() if name not in {"_state", *NOT_CARRIED}}


def shown_by(entry: Entry) -> list[dict[str, object]]:
    return [as_read(entry), as_read(entry.message), as_read(entry.message.author), as_read(entry.message.room)]


def test_what_is_carried_is_what_reading_gives_just_then(written: list[Entry], room: Room) -> None:
    seal = Seal([KEY])
    carried = seal.opened(room.pk, seal.sealed(written[-1:]) or b"")
    read = entries_after(room_id=room.pk, sequence=2, limit=10)
    assert [entry.sequence for entry in carried] == [3]
    assert [shown_by(entry) for entry in carried] == [shown_by(entry) for entry in read]
    (entry,) = carried
    assert entry.access_version == read[0].access_version
    assert entry.message.author.room is entry.message.room
    assert not entry._state.adding


def test_each_kind_of_change_is_carried_with_the_message_as_it_was_then(written: list[Entry], room: Room) -> None:
    seal = Seal([KEY])
    found = [seal.opened(room.pk, seal.sealed([entry]) or b"")[0] for entry in written]
    assert [(entry.sequence, entry.kind, entry.message.text, entry.is_first_of_message) for entry in found] == [
        (1, "SENT", 'olá "mundo" \u2028 \U0001f600', True),
        (2, "EDITED", "adeus", False),
        (3, "DELETED", None, False),
    ]
    assert found[0].message.sent_at == written[0].message.sent_at


def test_entries_that_go_together_have_the_access_as_it_was_last(
    room: Room, django_capture_on_commit_callbacks: Any
) -> None:
    """Else who was shut out between two of them would hear the second."""
    ana, rui = make_guest(room), make_guest(room, "Rui")
    told = told_of(lambda: send(ana, room), django_capture_on_commit_callbacks)
    ban(rui, room)
    told += told_of(lambda: send(ana, room), django_capture_on_commit_callbacks)
    before, after = (entry.access_version for entry in told)
    assert before < after
    carried = Seal([KEY]).opened(room.pk, Seal([KEY]).sealed(told) or b"")
    assert [(entry.sequence, entry.access_version) for entry in carried] == [(1, after), (2, after)]


def test_the_hash_of_a_password_is_not_carried(written: list[Entry], room: Room) -> None:
    room.refresh_from_db()
    assert room.password
    with patch.object(MultiFernet, "encrypt", lambda fernet, text: text):
        sealed = Seal([KEY]).sealed(written)
    assert sealed
    assert b"adeus" in sealed
    assert room.password.encode() not in sealed


def test_what_is_carried_cannot_be_read_on_the_way(written: list[Entry]) -> None:
    sealed = Seal([KEY]).sealed(written)
    assert sealed
    assert b"adeus" not in sealed
    assert sealed != Seal([KEY]).sealed(written)


def is_refused(seal: Seal, room: Room, sealed: bytes | None) -> bool:
    assert sealed
    return list(seal.opened(room.pk, sealed)) == []


def test_what_is_made_up_or_changed_is_not_taken(
    written: list[Entry], room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    seal = Seal([KEY])
    sealed = seal.sealed(written)
    assert sealed
    assert is_refused(seal, room, Seal([OTHER_KEY]).sealed(written))
    assert is_refused(seal, room, Fernet(Fernet.generate_key()).encrypt(b"[]"))
    assert is_refused(seal, room, b"nonsense")
    data = bytearray(urlsafe_b64decode(sealed))
    for at in (0, 5, 20, len(data) // 2, len(data) - 1):  # version, time, vector, text, signature
        data[at] ^= 1
        assert is_refused(seal, room, urlsafe_b64encode(data))
        data[at] ^= 1
    assert not is_refused(seal, room, urlsafe_b64encode(data))
    assert [record.levelname for record in caplog.records] == ["WARNING"], "it is said once"


def test_what_was_sealed_for_one_room_is_not_taken_for_another(written: list[Entry]) -> None:
    assert is_refused(Seal([KEY]), make_room(), Seal([KEY]).sealed(written))


@pytest.mark.parametrize("sign", [1, -1])
def test_what_comes_late_is_not_taken(
    written: list[Entry], room: Room, sign: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Or comes, by the sender's clock, too early."""
    seal, now = Seal([KEY]), time.time()
    with patch("time.time", lambda: now):
        sealed = seal.sealed(written)
    with patch("time.time", lambda: now + sign * (FRESH_SECONDS - 0.1)):
        assert not is_refused(seal, room, sealed)
    assert not caplog.records
    with patch("time.time", lambda: now + sign * (FRESH_SECONDS + 0.1)):
        assert is_refused(seal, room, sealed)
        assert is_refused(seal, room, sealed)
    assert len(caplog.records) == 1, "it is said once"


def test_a_key_may_be_changed_while_others_still_have_the_old_one(written: list[Entry], room: Room) -> None:
    old, both = Seal([KEY]), Seal([OTHER_KEY, KEY])
    assert not is_refused(both, room, old.sealed(written))
    assert is_refused(old, room, both.sealed(written)), "the new one seals"


def test_what_a_process_with_other_columns_has_sealed_is_not_taken(
    written: list[Entry], room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    with patch.object(sealing, "FORMAT", "another"):
        sealed = Seal([KEY]).sealed(written)
    assert is_refused(Seal([KEY]), room, sealed)
    assert not caplog.records, "a deploy is no reason to warn"


def of_many(written: Sequence[Entry], number: int, text: str) -> list[Entry]:
    written[0].message.text = text
    return [written[0]] * number


def test_what_is_many_or_large_is_not_carried(written: list[Entry]) -> None:
    seal = Seal([KEY])
    assert seal.sealed(of_many(written, ENTRIES_CARRIED, "olá"))
    assert seal.sealed(of_many(written, ENTRIES_CARRIED + 1, "olá")) is None
    assert seal.sealed(of_many(written, 1, "x" * (BYTES_CARRIED - 2_000)))
    assert seal.sealed(of_many(written, 1, "é" * (BYTES_CARRIED // 2))) is None
