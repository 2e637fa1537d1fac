"""Cursors: opaque texts for a place in a list. Each place has exactly one spelling.

The one for (room, epoch, sequence) pages through history, resumes a subscription and comes back from a mutation. A
cursor without an epoch is one of the first: servers from before there were epochs made such, and understand them.
"""

from __future__ import annotations

import re

from rooms.epochs import LARGEST_EPOCH, LogPosition, require_epoch
from rooms.exceptions import CursorInvalid
from rooms.models import FIRST_EPOCH, Member, Room

from .ids import MAX_KEY, opaque, plain_of

MAX_SEQUENCE = 2**31 - 1

_LOG = re.compile(r"log:([1-9][0-9]{0,18})(?::e([1-9][0-9]{0,12}))?:(0|[1-9][0-9]{0,9})")
_ROOMS = re.compile(r"rooms:([1-9][0-9]{0,18}):([^\0]+)", re.DOTALL)
_MEMBERSHIPS = re.compile(r"memberships:([1-9][0-9]{0,18}):([^\0]+)", re.DOTALL)


def log_cursor(room_id: int, sequence: int, epoch: int = FIRST_EPOCH) -> str:
    return opaque(f"log:{room_id}:{sequence}" if epoch == FIRST_EPOCH else f"log:{room_id}:e{epoch}:{sequence}")


def position_in(cursor: str, room_id: int) -> LogPosition:
    """Return the position. Raises CursorInvalid for anything that is not a cursor of this room's log."""
    match = _LOG.fullmatch(plain_of(cursor) or "")
    if match is None or int(match[3]) > MAX_SEQUENCE or int(match[2] or FIRST_EPOCH) > LARGEST_EPOCH:
        raise CursorInvalid
    if int(match[1]) != room_id:
        raise CursorInvalid("This is a cursor of another room.")
    return LogPosition(int(match[2] or FIRST_EPOCH), int(match[3]))


def sequence_in(cursor: str, room_id: int, epoch: int = FIRST_EPOCH) -> int:
    """Return the sequence. As ``position_in``; raises CursorInvalid for a cursor of another epoch too."""
    position = position_in(cursor, room_id)
    require_epoch(epoch, position.epoch)
    return position.sequence


def rooms_cursor(room: Room) -> str:
    return opaque(f"rooms:{room.pk}:{room.name}")


def room_key_in(cursor: str) -> tuple[str, int]:
    """Return (name, id). Raises CursorInvalid for anything that is not a cursor of the list of rooms."""
    return _named_key(_ROOMS, cursor)


def memberships_cursor(member: Member) -> str:
    return opaque(f"memberships:{member.pk}:{member.room.name}")


def membership_key_in(cursor: str) -> tuple[str, int]:
    """Return (room name, id). Raises CursorInvalid for anything that is not a cursor of a viewer's memberships."""
    return _named_key(_MEMBERSHIPS, cursor)


def _named_key(pattern: re.Pattern[str], cursor: str) -> tuple[str, int]:
    match = pattern.fullmatch(plain_of(cursor) or "")
    if match is None or int(match[1]) > MAX_KEY:
        raise CursorInvalid
    return match[2], int(match[1])
