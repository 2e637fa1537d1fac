"""Sends of this process: what arrives while others are being stored waits, and shares the next transaction
(``docs/adr/0015``), whatever rooms it is for.

That transaction waits for no room. What is for one that somebody else holds just now waits for that room alone, with
what comes for it meanwhile.

Only who is a member waits with the others: whether anybody else is refused at once or after a while would tell that
there is such a room, and that people talk there. So whom the process does not know as a member is asked about first,
and the sends of those who are none go by themselves.

Concurrency: one event loop, that which serves; the work is done in the database's threads, a batch at a time and one
more for each room that is held.
Lifecycle: what is kept of a room that was held is forgotten at the next batch after it has been waited for; there is
nothing to close.
Invariants: the sends of members to a room are stored in the order in which they came here: while any wait for the room,
the next go behind them. Who stops waiting harms nobody: what was begun is stored.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from . import selectors, services
from .batches import Batches
from .identity import Viewer
from .sending import Addressed, Changed, Send, send_messages, send_where_free
from .threads import enter_lane, in_database

MAX_BATCH = 100
LINGER_SECONDS = 0.003  # about what a batch takes
AUTHORS_KNOWN = 20_000

ToCome = asyncio.Future[Changed]


class GroupCommit:
    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batches: Batches[Addressed, Changed | ToCome] = Batches(
            self._store, max_size=MAX_BATCH, linger_seconds=LINGER_SECONDS
        )
        self._held: dict[int, Batches[Send, Changed]] = {}  # rooms that somebody else holds, or lately held
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
        answer = await self._batches.do((room_id, send))
        return await answer if isinstance(answer, asyncio.Future) else answer

    async def _store(self, sends: Sequence[Addressed]) -> Sequence[Changed | Exception | ToCome]:
        self._held = {room_id: batches for room_id, batches in self._held.items() if not batches.is_idle}
        behind = [self._wait_for(*each) if each[0] in self._held else None for each in sends]
        free = [each for each, answer in zip(sends, behind, strict=True) if answer is None]
        outcomes = iter(zip(free, await _where_free(free), strict=True))
        return [answer if answer is not None else self._answer(*next(outcomes)) for answer in behind]

    def _answer(self, addressed: Addressed, outcome: Changed | Exception | Send) -> Changed | Exception | ToCome:
        return self._wait_for(addressed[0], outcome) if isinstance(outcome, Send) else outcome

    def _wait_for(self, room_id: int, send: Send) -> ToCome:
        if room_id not in self._held:
            self._held[room_id] = Batches(partial(_in_room, room_id), max_size=MAX_BATCH)
        answer = self._held[room_id].put(send)
        answer.add_done_callback(_heed)
        return answer

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


async def _where_free(sends: Sequence[Addressed]) -> Sequence[Changed | Exception | Send]:
    """What it raises is for these sends: others of the batch wait for their rooms."""
    try:
        return await in_database(send_where_free, sends=sends) if sends else []
    except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
        return [error] * len(sends)


def _heed(answer: ToCome) -> None:
    """Who asked may be gone, and asyncio complains of errors that nobody looks at."""
    if not answer.cancelled():
        answer.exception()


async def _in_room(room_id: int, sends: Sequence[Send]) -> Sequence[Changed | Exception]:
    enter_lane(f"room {room_id}")  # it waits for a lock, for which the process's own work must not wait
    return await in_database(send_messages, room_id=room_id, sends=sends)


async def _are_members(asked: Sequence[tuple[int, Viewer]]) -> Sequence[bool | Exception]:
    return await in_database(selectors.are_members, asked=asked)


_attached: list[GroupCommit] = []  # the process's, once it serves
