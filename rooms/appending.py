"""What makes rooms' logs grow, under their row locks (``selectors.room_to_change``).

Messages may be of several rooms, all of them locked. The ``changed_sequence`` of each is the next position of its
room's log. It is told of once it is committed; followers in this process get the entries as they are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from . import broker
from .locked import tell_after_commit
from .models import Entry, EntryKind, Message, Room
from .rows import Rows, marks
from .selectors import MESSAGES, ROOMS

ENTRIES = Rows(Entry)

USE_NOTED_AFTER = timedelta(seconds=10)
"""``last_used_at`` is no more exact than that: it is indexed, and where no index changes PostgreSQL updates a row in
its place (a heap-only tuple) and clears away what it was before. A busy room's row changes a hundred times a second."""

Logs = Mapping[Room, Sequence[Entry]]
USED_AT = "CASE WHEN room.last_used_at > %s THEN room.last_used_at ELSE %s END"

ALL_AT_ONCE = f"""
WITH said AS ({{insertion}}, {MESSAGES.table}.room_id, {MESSAGES.table}.sequence),
logged AS (
    INSERT INTO {ENTRIES.table} (room_id, sequence, kind, message_id, created_at)
    SELECT room_id, sequence, %s, id, %s FROM said
),
growth AS (SELECT room_id, count(*) AS size FROM said GROUP BY room_id),
grown AS (
    UPDATE {ROOMS.table} AS room
    SET sequence = room.sequence + size, message_count = message_count + size, last_used_at = {USED_AT}
    FROM growth WHERE room.id = room_id
)
SELECT room_id, sequence, id FROM said
"""  # noqa: S608 - the models' own names


def append(kind: EntryKind, messages: Sequence[Message]) -> None:
    """Append an entry for each message, which is stored and has changed."""
    now = timezone.now()
    logs = _logs(kind, messages, now)
    _insert_entries(logs, now, are_new=False)
    _tell(logs)


def append_new(messages: Sequence[Message]) -> None:
    """Store new messages and their entries."""
    now = timezone.now()
    if connection.vendor == "postgresql":
        _insert_all(messages, now)
        logs = _logs(EntryKind.SENT, messages, now)
    else:  # which can't insert what another part of the statement has inserted
        MESSAGES.insert(messages)
        logs = _logs(EntryKind.SENT, messages, now)
        _insert_entries(logs, now, are_new=True)
    for room, entries in logs.items():
        room.message_count += len(entries)
    _tell(logs)


def _logs(kind: EntryKind, messages: Sequence[Message], now: datetime) -> Logs:
    """The entries by room; the rooms are what they are with these."""
    logs: dict[Room, list[Entry]] = {}
    for message in messages:
        room = message.room
        room.sequence = message.changed_sequence
        entry = Entry(room=room, sequence=room.sequence, kind=kind.value, message=message, created_at=now)
        logs.setdefault(room, []).append(entry)
    return logs


def _insert_all(messages: Sequence[Message], now: datetime) -> None:
    insertion, values = MESSAGES.insertion(messages)
    with connection.cursor() as cursor:
        cursor.execute(ALL_AT_ONCE.format(insertion=insertion), [*values, EntryKind.SENT.value, now, *_used_at(now)])
        keys = {(room_id, sequence): key for room_id, sequence, key in cursor.fetchall()}
    MESSAGES.are_stored(messages, [keys[message.room_id, message.sequence] for message in messages])


def _insert_entries(logs: Logs, now: datetime, *, are_new: bool) -> None:
    ENTRIES.insert([entry for entries in logs.values() for entry in entries])
    growth = f"CASE id {' '.join(['WHEN %s THEN %s'] * len(logs))} END"
    sizes = [value for room, entries in logs.items() for value in (room.pk, len(entries))]
    statement = (
        f"UPDATE {ROOMS.table} AS room SET sequence = sequence + {growth},"  # noqa: S608 - the model's own name
        f" message_count = message_count + %s * {growth}, last_used_at = {USED_AT} WHERE id IN ({marks(logs)})"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*sizes, int(are_new), *sizes, *_used_at(now), *(room.pk for room in logs)])


def _used_at(now: datetime) -> list[Any]:
    """The values of ``USED_AT``."""
    return [connection.ops.adapt_datetimefield_value(time) for time in (now - USE_NOTED_AFTER, now)]


def _tell(logs: Logs) -> None:
    for room, entries in logs.items():
        tell_after_commit(broker.announce, room_id=room.pk, sequence=room.sequence, entries=entries)
