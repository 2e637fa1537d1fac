"""What is done in more than one place under a room's row lock (``selectors.room_to_change``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Case, F, IntegerField, When
from django.utils import timezone

from . import broker
from .identity import Viewer
from .models import AuditAction, AuditEntry, Entry, EntryKind, Member, Message, Room

ACTOR_NAME_MAX_LENGTH = 150


def count_members(room: Room, change: int) -> None:
    Room.objects.filter(pk=room.pk).update(member_count=F("member_count") + change)
    room.member_count += change


def end_membership(room: Room, member: Member) -> None:
    """What they were told and what they wrote stays; a running mute too, for when they come back."""
    member.left_at = timezone.now()
    member.save(update_fields=["left_at"])
    count_members(room, -1)
    revoke(room, member.viewer_key)


def append(kind: EntryKind, messages: Sequence[Message]) -> None:
    """Append an entry for each change of a message, whose ``changed_sequence`` is the next of its room, and tell of it
    once it is committed. Followers in this process get the entries as they are here.

    The messages may be of several rooms, all of them locked; it takes two statements however many they are.
    """
    logs: dict[Room, list[Entry]] = {}
    for message in messages:
        entry = Entry(room=message.room, sequence=message.changed_sequence, kind=kind.value, message=message)
        logs.setdefault(message.room, []).append(entry)
    Entry.objects.bulk_create([entry for entries in logs.values() for entry in entries])
    _grow(kind, logs)
    for room, entries in logs.items():
        tell_after_commit(broker.announce, room_id=room.pk, sequence=room.sequence, entries=entries)


def _grow(kind: EntryKind, logs: Mapping[Room, Sequence[Entry]]) -> None:
    """The rooms that grow by as many entries are one case of the statement: there are few cases, and most often one."""
    now, sizes = timezone.now(), dict[int, list[int]]()
    for room, entries in logs.items():
        sizes.setdefault(len(entries), []).append(room.pk)
        room.sequence, room.last_used_at = entries[-1].sequence, now
        room.message_count += len(entries) if kind == EntryKind.SENT else 0
    cases = [When(pk__in=pks, then=size) for size, pks in sizes.items()]
    growth: Any = Case(*cases, output_field=IntegerField()) if len(sizes) > 1 else min(sizes)
    said = {"message_count": F("message_count") + growth} if kind == EntryKind.SENT else {}
    rooms = Room.objects.filter(pk__in=[room.pk for room in logs])
    rooms.update(sequence=F("sequence") + growth, last_used_at=now, **said)


def revoke(room: Room, viewer_key: str | None = None) -> None:
    """Have it checked anew who may follow the room: that viewer, or everybody.

    To be called by whatever may take the right to read from somebody. The version is for whoever misses what is
    announced: they see that it has grown.
    """
    room.access_version += 1
    room.save(update_fields=["access_version"])
    tell_after_commit(broker.announce_access, room_id=room.pk, version=room.access_version, viewer_key=viewer_key)


def tell_after_commit(announce: Callable[..., None], **what: object) -> None:
    """Announce ``what`` once it is stored; an announcement that fails is logged and fails nothing.

    By a function of its own, because Django logs its name: a partial has none, and the logging itself would fail.
    """

    def tell() -> None:
        announce(**what)

    transaction.on_commit(tell, robust=True)


def record(
    actor: Viewer,
    room: Room,
    action: AuditAction,
    *,
    member: Member | None = None,
    message: Message | None = None,
    detail: str = "",
) -> None:
    """Write into the audit log what ``actor`` does by their office, in the transaction that does it."""
    AuditEntry.objects.create(
        room=room,
        action=action,
        actor_user=actor.user,
        actor_guest=actor.guest,
        actor_name=(actor.display_name or "")[:ACTOR_NAME_MAX_LENGTH],
        member=member,
        message=message,
        detail=detail,
    )
