"""Cursors: opaque texts for a place in a list. Each place has exactly one spelling.

The one for (room, sequence) pages through history, resumes a subscription and comes back from a mutation.
"""

from __future__ import annotations

import re

from rooms.exceptions import CursorInvalid
from rooms.models import Room

from .ids import MAX_KEY, opaque, plain_of

MAX_SEQUENCE = 2**31 - 1

_LOG = re.compile(r"log:([1-9][0-9]{0,18}):(0|[1-9][0-9]{0,9})")
_ROOMS = re.compile(r"rooms:([1-9][0-9]{0,18}):([^\0]+)", re.DOTALL)


def log_cursor(room_id: int, sequence: int) -> str:
    return opaque(f"log:{room_id}:{sequence}")


def sequence_in(cursor: str, room_id: int) -> int:
    """Return the sequence. Raises CursorInvalid for anything that is not a cursor of this room's log."""
    match = _LOG.fullmatch(plain_of(cursor) or "")
    if match is None or int(match[2]) > MAX_SEQUENCE:
        raise CursorInvalid
    if int(match[1]) != room_id:
        raise CursorInvalid("This is a cursor of another room.")
    return int(match[2])


def rooms_cursor(room: Room) -> str:
    return opaque(f"rooms:{room.pk}:{room.name}")


def room_key_in(cursor: str) -> tuple[str, int]:
    """Return (name, id). Raises CursorInvalid for anything that is not a cursor of the list of rooms."""
    match = _ROOMS.fullmatch(plain_of(cursor) or "")
    if match is None or int(match[1]) > MAX_KEY:
        raise CursorInvalid
    return match[2], int(match[1])
