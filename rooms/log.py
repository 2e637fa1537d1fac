"""The log as the hub reads it: the database's, from the event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import selectors
from .exceptions import Refusal
from .feed import Head
from .models import Entry
from .selectors import Reader
from .threads import in_reading


class DatabaseLog:
    """Each call is one query, but for ``refusals``."""

    async def after(self, room_id: int, sequence: int, limit: int) -> Sequence[Entry]:
        return await in_reading(selectors.entries_after, room_id=room_id, sequence=sequence, limit=limit)

    async def refusals(self, room_id: int, readers: Sequence[Reader]) -> Sequence[Refusal | None]:
        return await in_reading(selectors.refusals, room_id=room_id, readers=readers)

    async def heads(self, room_ids: Sequence[int]) -> Mapping[int, Head]:
        return await in_reading(selectors.log_heads, room_ids=room_ids)
