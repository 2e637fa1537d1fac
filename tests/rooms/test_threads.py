"""What waits in the database, and what does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from unittest.mock import patch

from rooms import log
from rooms.log import DatabaseLog
from rooms.threads import POOL_SIZE, in_database


async def test_feeds_do_not_wait_for_whoever_waits_for_a_lock() -> None:
    held = threading.Event()
    waiting = [asyncio.create_task(in_database(held.wait)) for _ in range(2 * POOL_SIZE)]
    try:
        with patch.object(log, "heads_of", lambda *, room_ids: dict.fromkeys(room_ids)):
            assert await asyncio.wait_for(DatabaseLog().heads([1]), 10) == {1: None}
    finally:
        held.set()
        assert all(await asyncio.gather(*waiting))
