"""The open sockets of this process whose client is somebody: each ends soon after its client no longer is who it was.

Of that one hears by ``recheck``, when a token or a session ends or an account changes; by the socket's own timer, when
its credentials run out; and by a sweep over all sockets, in case something was lost. Each looks in the database again.
Staff who are permitted something else than before are not who they were: what they follow was begun with those rights.

Concurrency: one event loop. One task looks, at ``BATCH`` sockets at a time, those that were asked about before those of
the sweep; another one sweeps.
Lifecycle: both run while any socket is here.
Invariants: a socket is looked at after whatever was announced once it had begun to find out who its client is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from datetime import datetime
from itertools import islice
from typing import Protocol

from rooms.identity import Viewer, rights_of
from rooms.provider import keys_ready
from rooms.threads import in_database

from .context import Credentials, authenticate_all

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
RETRY_SECONDS = 1.0
BATCH = 200


class Present(Protocol):
    """A socket whose client is somebody."""

    @property
    def viewer_key(self) -> str | None: ...

    @property
    def rights(self) -> frozenset[str] | None:
        """What it was permitted when it connected; None while that is being found out."""
        ...

    @property
    def credentials(self) -> Credentials: ...

    def stay_until(self, ends_at: datetime | None) -> None:
        """Ask to be looked at again then; None: no need."""
        ...

    def forbid(self) -> None:
        """End: the client is not who it was."""
        ...


class OpenSockets:
    """``sleep`` waits between two sweeps; tests hand in their own."""

    def __init__(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._by_key: dict[str, set[Present]] = {}
        self._asked: dict[Present, None] = {}
        self._swept: dict[Present, None] = {}
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.rechecks = 0  # who finds this changed while finding out who somebody is looks again

    def enter(self, key: str, socket: Present) -> None:
        self._by_key.setdefault(key, set()).add(socket)
        if not self._tasks:
            self._tasks = [asyncio.create_task(work, context=Context()) for work in (self._look(), self._sweep())]

    def leave(self, key: str, socket: Present) -> None:
        self._by_key[key].discard(socket)
        if not self._by_key[key]:
            del self._by_key[key]
        self._asked.pop(socket, None)
        self._swept.pop(socket, None)
        if not self._by_key:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    def recheck(self, viewer_key: str) -> None:
        """Look at the viewer's sockets soon."""
        self.rechecks += 1
        self._asked |= dict.fromkeys(self._by_key.get(viewer_key, ()))
        self._wanted.set()

    async def _sweep(self) -> None:
        while True:
            await self._sleep(SWEEP_SECONDS)
            self._swept |= dict.fromkeys(socket for sockets in self._by_key.values() for socket in sockets)
            self._wanted.set()

    async def _look(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while batch := self._next():
                await self._look_at(batch)

    def _next(self) -> list[Present]:
        due = self._asked or self._swept
        batch = list(islice(due, BATCH))
        for socket in batch:
            self._asked.pop(socket, None)
            self._swept.pop(socket, None)
        return batch

    async def _look_at(self, sockets: Sequence[Present]) -> None:
        shown = [socket.credentials for socket in sockets]
        try:
            await keys_ready([each.authorization or "" for each in shown])
            found = await in_database(_viewers_with_rights, shown)
        except Exception:
            logger.exception("Who is behind the open sockets could not be read; trying again")
            self._asked |= dict.fromkeys(socket for socket in sockets if self._is_here(socket))
            await asyncio.sleep(RETRY_SECONDS)
            return
        for socket, (viewer, rights) in zip(sockets, found, strict=True):
            if self._is_here(socket):
                _judge(socket, viewer, rights)

    def _is_here(self, socket: Present) -> bool:
        return socket.viewer_key is not None and socket in self._by_key.get(socket.viewer_key, ())


def _viewers_with_rights(shown: Sequence[Credentials]) -> list[tuple[Viewer, frozenset[str]]]:
    return [(viewer, rights_of(viewer)) for viewer in authenticate_all(shown)]


def _judge(socket: Present, viewer: Viewer, rights: frozenset[str]) -> None:
    if viewer.key == socket.viewer_key and socket.rights in (None, rights):
        socket.stay_until(viewer.ends_at)
    else:
        socket.forbid()
