"""The log as the hub reads it: the database's, from the event loop.

Whoever calls these has checked access when following began; ``DatabaseLog.refusals`` asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from . import selectors
from .exceptions import Refusal
from .feed import Head
from .models import Entry, Member, Message, Room
from .rows import Row, Rows, selected
from .selectors import MEMBERS, MESSAGES, ROOMS, Reader
from .threads import in_reading

FEW = 8  # entries that are read with all that belongs to them; with more, what they have in common is read once

ENTRIES = Rows(Entry, deferred={"created_at"})

SHOWN: tuple[Rows[Any], ...] = (ENTRIES, MESSAGES, MEMBERS)  # what followers see of a log
ENTRIES_AFTER = (
    f"FROM {ENTRIES.table}"
    f" JOIN {MESSAGES.table} ON {MESSAGES.table}.id = {ENTRIES.table}.message_id"
    f" JOIN {MEMBERS.table} ON {MEMBERS.table}.id = {MESSAGES.table}.author_id"
    f" JOIN {ROOMS.table} ON {ROOMS.table}.id = {ENTRIES.table}.room_id"
    f" WHERE {ENTRIES.table}.room_id = %s AND {ENTRIES.table}.sequence > %s ORDER BY {ENTRIES.table}.sequence LIMIT %s"
)


class DatabaseLog:
    """Each call is one query, but for ``refusals``."""

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[Entry]:
        return await in_reading(entries_after, room_id=room_id, sequence=sequence, limit=limit)

    async def refusals(self, room_id: int, readers: Sequence[Reader]) -> Sequence[Refusal | None]:
        return await in_reading(selectors.refusals, room_id=room_id, readers=readers)

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, Head]:
        return await in_reading(heads_of, room_ids=room_ids)


def entries_after(*, room_id: int, sequence: int, limit: int) -> list[Entry]:
    """The next ``limit`` entries of a room's log after ``sequence``, in order, with the messages as they are now."""
    first = min(limit, FEW)
    rows = selected([*SHOWN, ROOMS], ENTRIES_AFTER, [room_id, sequence, first])
    if not rows:
        return []
    (room,) = ROOMS.made([row[-ROOMS.width :] for row in rows[-1:]])
    entries = _entries_in(rows, room)
    if len(rows) == first < limit:
        entries += _entries_on(room, entries[-1].sequence, limit - first)
    return entries


def _entries_on(room: Room, sequence: int, limit: int) -> list[Entry]:
    """What comes next, of a room that is at hand: its access as it is now."""
    rows = selected(SHOWN, ENTRIES_AFTER, [room.pk, sequence, limit], f"{ROOMS.table}.access_version")
    if rows:
        room.access_version = rows[-1][-1]
    return _entries_in(rows, room)


def _entries_in(rows: Sequence[Row], room: Room) -> list[Entry]:
    """What rows of ``SHOWN`` say. Of authors there are few in a long replay."""
    message, author, end = accumulate(each.width for each in SHOWN)  # where what they are begins, and ends
    authors = {row[author]: row[author:end] for row in rows}
    entries = ENTRIES.made([row[:message] for row in rows])
    messages = MESSAGES.made([row[message:author] for row in rows])
    return put_together(room, entries, messages, MEMBERS.made(list(authors.values())))


def put_together(
    room: Room, entries: list[Entry], messages: Sequence[Message], authors: Sequence[Member]
) -> list[Entry]:
    """Have each entry know its message, and that its author and the room."""
    members = {author.pk: author for author in authors}
    for member in members.values():
        member.room = room
    for entry, shown in zip(entries, messages, strict=True):
        shown.room, shown.author = room, members[shown.author_id]
        entry.message = shown
    return entries


def heads_of(*, room_ids: Iterable[int]) -> dict[int, Head]:
    """The heads of the rooms by room id, in one query."""
    found = Room.objects.filter(pk__in=list(room_ids)).values_list("pk", "sequence", "access_version", "epoch")
    return {room_id: Head(*head) for room_id, *head in found}
