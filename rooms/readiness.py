"""Whether this process can do its work: the database answers, and has the migrations of this code.

Redis is not asked: without it messages are late and not lost, and a check of it would take out all processes at once.

Concurrency: one event loop; the database is asked in a thread of its own, so that neither what is busy there holds the
answer up nor many who ask hold up what is.
Invariants: one check at a time. What is answered was found at most ``FRESH_SECONDS`` ago, and nobody waits longer than
``BOUND_SECONDS`` after a check began.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from .threads import in_probing

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
BOUND_SECONDS = 1.0

NO_DATABASE = "The database does not answer."
LATE = f"The database has not answered within {BOUND_SECONDS:g} s."
UNMIGRATED = "Migrations are not applied: run manage.py migrate."

Check = Callable[[], Awaitable[str | None]]


class Readiness:
    """``check`` returns what is wrong, or None; it may raise. Made and used in one event loop."""

    def __init__(self, check: Check | None = None) -> None:
        self._check = check or in_database
        self._now = asyncio.get_running_loop().time
        self._fault: str | None = None
        self._began = -FRESH_SECONDS
        self._checking: asyncio.Task[None] | None = None

    async def fault(self) -> str | None:
        """What is wrong, in a sentence; None where nothing is."""
        if self._checking is None and self._now() - self._began >= FRESH_SECONDS:
            self._began = self._now()
            self._checking = asyncio.create_task(self._find_out())
        if (checking := self._checking) is None:
            return self._fault
        left = max(0.0, self._began + BOUND_SECONDS - self._now())
        await asyncio.wait([checking], timeout=left)
        return self._fault if checking.done() else self._noted(LATE)

    async def _find_out(self) -> None:
        try:
            self._noted(await self._check())
        except Exception as error:  # noqa: BLE001 - whatever it is, the database is not there
            self._noted(NO_DATABASE, error)
        finally:
            self._checking = None

    def _noted(self, fault: str | None, error: Exception | None = None) -> str | None:
        """Log it where it is another one than before: probes come every few seconds."""
        if fault is not None and fault != self._fault:
            logger.warning("Not ready: %s", fault, exc_info=error)
        self._fault = fault
        return fault


async def in_database() -> str | None:
    return await in_probing(_missing)


def _missing() -> str | None:
    applied = MigrationRecorder(connection).applied_migrations()
    return None if _wanted() <= applied.keys() else UNMIGRATED


@lru_cache(maxsize=1)
def _wanted() -> frozenset[tuple[str, str]]:
    """The last migrations of each app."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())
