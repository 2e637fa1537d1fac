"""Who clients are, looked up for many at a time: who asks meanwhile goes with others in the next turn.

Concurrency: one event loop.
Invariants: what is answered was read after it was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from rooms.batches import Batches
from rooms.identity import NOBODY, Viewer
from rooms.provider import keys_ready
from rooms.threads import in_database

from .context import Credentials, authenticate_all

AT_ONCE = 200


class Identities:
    """Those of a process."""

    def __init__(self) -> None:
        self._batches: Batches[Credentials, Viewer] = Batches(_viewers_of, max_size=AT_ONCE)

    async def viewer_of(self, shown: Credentials) -> Viewer:
        """As ``authenticate_all``."""
        if shown.session_key is None and shown.authorization is None:
            return NOBODY
        await keys_ready([shown.authorization or ""])  # which may take long: nobody else waits for it
        return await self._batches.do(shown)


async def _viewers_of(shown: Sequence[Credentials]) -> Sequence[Viewer]:
    return await in_database(authenticate_all, shown)
