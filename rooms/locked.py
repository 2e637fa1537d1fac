"""What is done in more than one place under a room's row lock (``selectors.room_to_change``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from . import broker
from .identity import Viewer
from .models import AuditAction, AuditEntry, Entry, EntryKind, Member, Message, Room
from .rows import Rows, marks

ACTOR_NAME_MAX_LENGTH = 150
ENTRIES = Rows(Entry)


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
    ENTRIES.insert([entry for entries in logs.values() for entry in entries])
    _grow(kind, logs)
    for room, entries in logs.items():
        tell_after_commit(broker.announce, room_id=room.pk, sequence=room.sequence, entries=entries)


def _grow(kind: EntryKind, logs: Mapping[Room, Sequence[Entry]]) -> None:
    now, counted = timezone.now(), int(kind == EntryKind.SENT)
    for room, entries in logs.items():
        room.sequence, room.last_used_at = entries[-1].sequence, now
        room.message_count += len(entries) * counted
    growth = f"CASE id {' '.join(['WHEN %s THEN %s'] * len(logs))} END"
    sizes = [value for room, entries in logs.items() for value in (room.pk, len(entries))]
    statement = (
        f"UPDATE {Room._meta.db_table} SET sequence = sequence + {growth},"  # noqa: S608 - the model's own name
        f" message_count = message_count + %s * {growth}, last_used_at = %s WHERE id IN ({marks(logs)})"
    )
    with connection.cursor() as cursor:
        used_at = connection.ops.adapt_datetimefield_value(now)
        cursor.execute(statement, [*sizes, counted, *sizes, used_at, *(room.pk for room in logs)])


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
