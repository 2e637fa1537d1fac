"""Where subscriptions begin, looked up for many at a time: after a restart thousands come at once.

Concurrency: one event loop.
Invariants: what is answered was read after it was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from rooms import selectors
from rooms.batches import Batches
from rooms.exceptions import Refusal
from rooms.selectors import Asked, Following
from rooms.threads import in_database

AT_ONCE = 200


class Beginnings:
    """Those of a process."""

    def __init__(self) -> None:
        self._batches: Batches[Asked, Following] = Batches(_followings, max_size=AT_ONCE)

    async def following(self, asked: Asked) -> Following:
        """As ``selectors.room_to_follow``."""
        return await self._batches.do(asked)


async def _followings(asked: Sequence[Asked]) -> Sequence[Following | Refusal]:
    return await in_database(selectors.rooms_to_follow, asked=asked)
