"""The log as the hub reads it: the database's, from the event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import selectors
from .models import Entry
from .threads import in_database


class DatabaseLog:
    """Each call is one query."""

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[Entry]:
        return await in_database(selectors.entries_after, room_id=room_id, sequence=sequence, limit=limit)

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, int]:
        return await in_database(selectors.log_heads, room_ids=room_ids)
