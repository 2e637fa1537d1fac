"""What clients have confirmed, remembered beyond their sockets, so that one that comes back goes on from there.

A client that reconnects sends its operation again as it was: same viewer, operation id, document, operation name and
variables name the same operation, where the id is a UUID that was made for it alone. Any other id may name another
operation of another device: nothing is remembered under it, and ``after`` decides. The connection that takes an
operation up last is its holder; one that was left half open may go on noting positions, which are never read.

Kept in Django's cache, with a copy in the process for when the cache is away. In the cache ``holder`` names the holder
of an operation and ``position`` what a holder's client has confirmed: two entries, so that an old one never overwrites.
A position counts in the epoch of the log that it was confirmed in.

Concurrency: one event loop. One task writes, everything that is due at once: what is confirmed a little later, with
what others confirm meanwhile, and who holds what, or lets go of it, now. Cache calls run in a thread of their own.
Lifecycle: the writer runs while something is due; ``refresh`` keeps what live sockets hold from running out.
Invariants: a position never falls. Losing the cache loses at most the place of clients that come back meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from uuid import uuid4

from django.core.cache.backends.base import BaseCache

from rooms.batches import Batches
from rooms.epochs import LogPosition
from rooms.identity import Viewer
from rooms.models import FIRST_EPOCH

from .requests import OperationRequest

logger = logging.getLogger(__name__)

TO_COME_BACK_SECONDS = 600  # after the last contact
REFRESH_SECONDS = 240  # at the most have passed since then, when a process dies, and no entry says so
KEPT_SECONDS = TO_COME_BACK_SECONDS + REFRESH_SECONDS
CACHE_TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 1.0
LINGER_SECONDS = 0.1  # a call of the cache costs as much as twenty positions more in it
LOCAL_COPIES = 10_000
RECALLED_AT_ONCE = 200

# RFC 9562, section 4, with or without hyphens: made by chance (version 4), or by the clock and chance (1, 6, 7). A UUID
# of another version is made of a name, and is the same wherever that name is used.
UNIQUE_ID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[1467][0-9a-f]{3}\1[89ab][0-9a-f]{3}\1[0-9a-f]{12}", re.IGNORECASE)

Remembered = tuple[str | None, LogPosition | None]  # the holder, and what its client has confirmed

T = TypeVar("T")


@dataclass(eq=False)
class Progress:
    """How far the client of one subscription has come. ``position`` is that of the entry that is delivered next, in
    ``epoch`` of the log.

    ``name`` gives the operation's name; None where nothing is to be remembered. It is asked for once, and not at all
    for what never begins to follow.
    """

    receipts: Receipts
    name: Callable[[], str | None] | None = None
    position: int | None = None
    epoch: int = FIRST_EPOCH

    @cached_property
    def key(self) -> str | None:
        named, self.name = self.name and self.name(), None
        return named

    @cached_property
    def holder(self) -> str:
        return uuid4().hex

    async def recall(self) -> LogPosition | None:
        """Return what this operation's client confirmed before, or None."""
        return None if self.key is None else await self.receipts.recall(self.key)

    def begin(self, position: int, epoch: int = FIRST_EPOCH) -> None:
        """Become the operation's holder, with everything up to ``position`` confirmed."""
        self.position, self.epoch = position, epoch
        if self.key is not None:
            self.receipts.hold(self.key, self.holder, LogPosition(epoch, position))

    def confirm(self, position: int) -> None:
        if self.key is not None:
            self.receipts.note(self.key, self.holder, LogPosition(self.epoch, position))

    def end(self, *, forget: bool) -> None:
        """Let go of the operation: for good, or to be taken up again within ten minutes."""
        if self.position is not None and self.key is not None:
            self.receipts.release(self.key, self.holder, forget=forget)


class Receipts:
    """The process's memory. ``cache`` may be shared with other processes."""

    def __init__(self, cache: BaseCache) -> None:
        self._cache = cache
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="receipts")
        self._copies: OrderedDict[str, tuple[str, LogPosition, float]] = OrderedDict()
        self._held: dict[str, tuple[str, LogPosition]] = {}
        self._recalls: Batches[str, Remembered] = Batches(self._remembered, max_size=RECALLED_AT_ONCE)
        self._due: dict[str, Any] = {}
        self._lingering: asyncio.TimerHandle | None = None
        self._write_again = False
        self._writing: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._away_until = 0.0

    async def recall(self, key: str) -> LogPosition | None:
        """Return what was confirmed last, as far as it is known here."""
        if (held := self._held.get(key)) is not None:
            return held[1]
        copied_holder, copied = self._copied(key)
        holder, position = await self._recalls.do(key)
        if holder is None:
            return copied
        if holder != copied_holder or copied is None:
            return position
        return copied if position is None else max(position, copied)  # a holder stays within one epoch

    def hold(self, key: str, holder: str, position: LogPosition) -> None:
        self._held[key] = (holder, position)
        self._copy(key, holder, position)
        self._due |= {_holder_of(key): holder, _position_of(holder): position}
        self._write_soon()
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())

    def note(self, key: str, holder: str, position: LogPosition) -> None:
        if self._holds(key, holder):
            self._held[key] = (holder, position)
            self._copy(key, holder, position)
        self._due[_position_of(holder)] = position
        if self._lingering is None and not self._write_again:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._write_soon)

    def release(self, key: str, holder: str, *, forget: bool) -> None:
        if not self._holds(key, holder):
            return
        _, position = self._held.pop(key)
        if forget:
            self._copies.pop(key, None)
        self._due[_position_of(holder)] = None if forget else position
        self._write_soon()

    async def close(self) -> None:
        """End what runs; what is due is lost."""
        self._linger_no_more()
        tasks = [task for task in (self._writing, self._refreshing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False)

    # In the process

    def _holds(self, key: str, holder: str) -> bool:
        return key in self._held and self._held[key][0] == holder

    def _copy(self, key: str, holder: str, position: LogPosition) -> None:
        self._copies[key] = (holder, position, time.monotonic() + KEPT_SECONDS)
        self._copies.move_to_end(key)
        if len(self._copies) > LOCAL_COPIES:
            self._copies.popitem(last=False)

    def _copied(self, key: str) -> Remembered:
        holder, position, until = self._copies.get(key, (None, None, 0.0))
        return (holder, position) if time.monotonic() < until else (None, None)

    # In the cache

    async def _remembered(self, keys: Sequence[str]) -> Sequence[Remembered]:
        found = await self._call(self._remembered_now, keys)
        return [(None, None)] * len(keys) if found is None else found

    def _remembered_now(self, keys: Sequence[str]) -> list[Remembered]:
        holders = self._cache.get_many([_holder_of(key) for key in keys])
        positions = self._cache.get_many([_position_of(holder) for holder in holders.values()])
        found = [holders.get(_holder_of(key)) for key in keys]
        return [(holder, None if holder is None else _loaded(positions.get(_position_of(holder)))) for holder in found]

    def _linger_no_more(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _write_soon(self) -> None:
        self._linger_no_more()
        self._write_again = True
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._write_again:
            self._write_again = False
            due, self._due = self._due, {}
            if not await self._call(self._write_now, due):
                self._due = due | self._due  # what came meanwhile is newer
                await asyncio.sleep(RETRY_SECONDS)
                self._write_again = True

    def _write_now(self, due: dict[str, Any]) -> bool:
        self._cache.set_many({name: _stored(value) for name, value in due.items() if value is not None}, KEPT_SECONDS)
        self._cache.delete_many([name for name, value in due.items() if value is None])
        return True

    async def _refresh(self) -> None:
        while self._held:
            await asyncio.sleep(REFRESH_SECONDS)
            for key, (holder, position) in self._held.items():
                self._due.setdefault(_position_of(holder), position)
                self._copy(key, holder, position)
            self._write_soon()
            await self._call(self._touch, list(self._held))

    def _touch(self, keys: list[str]) -> None:
        """Keep who holds what, without saying again that it is we: somebody else may have taken it up."""
        for key in keys:
            self._cache.touch(_holder_of(key), KEPT_SECONDS)

    async def _call(self, function: Callable[..., T], *args: Any) -> T | None:
        """Call the cache; None while it is away, which nobody waits for again and again."""
        if time.monotonic() < self._away_until:
            return None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_SECONDS):
                found = await loop.run_in_executor(self._thread, function, *args)
        except Exception as error:  # noqa: BLE001 - whatever the cache's library raises
            if not self._away_until:
                logger.warning("The cache is away (%r): who comes back to another process goes on from `after`", error)
            self._away_until = time.monotonic() + RETRY_SECONDS
            return None
        if self._away_until:
            logger.warning("The cache is back")
        self._away_until = 0.0
        return found


def _holder_of(key: str) -> str:
    return f"salas.holder.{key}"


def _position_of(holder: str) -> str:
    return f"salas.position.{holder}"


def _stored(value: str | LogPosition) -> Any:
    """A holder as it is; a position of the first epoch as its sequence, as it was kept before there were epochs."""
    if isinstance(value, str):
        return value
    return value.sequence if value.epoch == FIRST_EPOCH else tuple(value)


def _loaded(stored: Any) -> LogPosition | None:
    if stored is None:
        return None
    return LogPosition(FIRST_EPOCH, stored) if isinstance(stored, int) else LogPosition(*stored)


def operation_key(viewer: Viewer, operation_id: str, request: OperationRequest) -> str | None:
    """Return the same for an operation that is sent again; None for one that may be another's.

    Those are the operations without a viewer, and those whose id is not unique: the protocol wants ids to be unique on
    one connection only, and clients count 1, 2, 3.
    """
    if viewer.key is None or UNIQUE_ID.fullmatch(operation_id) is None:
        return None
    named = [viewer.key, operation_id, request.query, request.document_id, request.operation_name, request.variables]
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
