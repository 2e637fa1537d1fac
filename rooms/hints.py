"""What processes say to each other over the channel layer, and in which groups. Channels wants a ``type``.

Dependencies: the standard library, and what a feed knows of an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .feed import Entry

ACCESS_GROUP = "salas.access"
GREETINGS_GROUP = "salas.greetings"
ENTRIES_CARRIED = 8  # at most, with one hint


def group_of(room_id: int) -> str:
    return f"salas.room.{room_id}"


@dataclass(frozen=True)
class AccessChange:
    """What has changed: ``room_id``'s access, which has reached ``version``, or, if it is None, ``viewer_key``'s own.

    ``viewer_key`` is ``Viewer.key``; None where a change of a room may concern anyone.
    """

    room_id: int | None = None
    version: int = 0
    viewer_key: str | None = None


@dataclass(frozen=True)
class Growth:
    """That a room's log has grown to ``sequence``, and by what: the last of it, in order, as far as it is at hand."""

    sequence: int
    entries: Sequence[Entry] = ()

    def with_later(self, other: Growth) -> Growth:
        """Both in one, without entries where they are too many to carry. What is told late says nothing new."""
        if other.sequence <= self.sequence:
            return self
        if not self.entries or not other.entries or other.entries[0].sequence != self.sequence + 1:
            return other
        together = [*self.entries, *other.entries]
        return Growth(other.sequence, together if len(together) <= ENTRIES_CARRIED else ())


def hint_message(room_id: int, sequence: int) -> dict[str, Any]:
    """A hint; ``entries``, where they go along, are sealed, and ``from`` is then the broker that sends it."""
    return {"type": "hint", "room_id": room_id, "sequence": sequence}


def access_message(change: AccessChange) -> dict[str, Any]:
    return {"type": "access", **asdict(change)}


def greeting_message(name: str) -> dict[str, Any]:
    """That the broker of that name listens."""
    return {"type": "greeting", "from": name}
