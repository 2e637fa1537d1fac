"""Sends of this process, room by room: what arrives while a room is being written to waits, and shares the next
transaction (``docs/adr/0015``).

Only who is a member waits with the others: whether anybody else is refused at once or after a while would tell that
there is such a room, and that people talk there. So whom the process does not know as a member is asked about first,
and the sends of those who are none go by themselves.

Concurrency: one event loop, that which serves; the work is done in the database's threads, a batch of a room at a time.
Lifecycle: a room has batches while anything is sent there; there is nothing to close.
Invariants: the sends of members are stored in the order in which they came here. Who stops waiting harms nobody: what
was begun is stored.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from . import selectors, services
from .batches import Batches
from .identity import Viewer
from .sending import Changed, Send, send_messages
from .threads import in_database

MAX_BATCH = 100
AUTHORS_KNOWN = 20_000


class GroupCommit:
    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rooms: dict[int, Batches[Send, Changed]] = {}
        self._door: Batches[tuple[int, Viewer], bool] = Batches(_are_members, max_size=MAX_BATCH)
        self._authors: OrderedDict[tuple[int, str | None], None] = OrderedDict()

    def attach(self) -> None:
        """Make the running loop the one whose sends go together, and this what ``send_message`` goes through."""
        self._loop = asyncio.get_running_loop()
        _attached[:] = [self]

    def detach(self) -> None:
        _attached.clear()

    @property
    def is_here(self) -> bool:
        """Whether the running loop is the one that serves: tests and commands have others."""
        return self._loop is asyncio.get_running_loop()

    async def send(self, room_id: int, send: Send) -> Changed:
        if not await self._is_author(room_id, send.viewer):
            return await _alone(room_id, send)
        batches = self._rooms.get(room_id)
        if batches is None:
            batches = self._rooms[room_id] = Batches(partial(_in_one, room_id), max_size=MAX_BATCH)
        try:
            return await batches.do(send)
        finally:
            if batches.is_idle and self._rooms.get(room_id) is batches:
                del self._rooms[room_id]

    async def _is_author(self, room_id: int, viewer: Viewer) -> bool:
        """Whether they are, or lately were, a member. What they may do is asked again, under the lock."""
        if viewer.key is None:
            return False
        author = (room_id, viewer.key)
        if author not in self._authors:
            if not await self._door.do((room_id, viewer)):
                return False
            self._authors[author] = None
            if len(self._authors) > AUTHORS_KNOWN:
                self._authors.popitem(last=False)
        self._authors.move_to_end(author)
        return True


async def send_message(*, viewer: Viewer, room_id: int, text: str, idempotency_key: str | None = None) -> Changed:
    """As ``services.send_message``, together with what others send at the same time where this process serves them."""
    send = Send(viewer, text, idempotency_key)
    if _attached and _attached[0].is_here:
        return await _attached[0].send(room_id, send)
    return await _alone(room_id, send)


async def _alone(room_id: int, send: Send) -> Changed:
    return await in_database(
        services.send_message,
        viewer=send.viewer,
        room_id=room_id,
        text=send.text,
        idempotency_key=send.idempotency_key,
    )


async def _in_one(room_id: int, sends: Sequence[Send]) -> Sequence[Changed | Exception]:
    return await in_database(send_messages, room_id=room_id, sends=sends)


async def _are_members(asked: Sequence[tuple[int, Viewer]]) -> Sequence[bool | Exception]:
    return await in_database(selectors.are_members, asked=asked)


_attached: list[GroupCommit] = []  # the process's, once it serves
