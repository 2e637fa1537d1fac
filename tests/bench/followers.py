"""Those who follow: a thousand sockets of one process, each of which checks what it hears.

Concurrency: one event loop; the callbacks of picows run on it and do not wait.
Lifecycle: ``joined`` opens the sockets, a number at a time, and closes them at its end.
Invariants: every follower has an operation id of its own and looks for it in every event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from time import perf_counter
from typing import Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from . import dialects
from .frames import SEQUENCE, Hearing, pong_to, sequence_at, type_of

OPEN_SECONDS = 30.0
PATIENCE_SECONDS = 10.0
AT_ONCE = 64

_number = count(1)


class Place(Protocol):
    """Where a room can be followed."""

    @property
    def is_raw(self) -> bool: ...

    @property
    def headers(self) -> dict[str, str]: ...

    def follow_url(self, room: str) -> str: ...


class Stalled(Exception):
    """Nothing was heard for too long."""


class Crowd:
    """All who follow one room. ``heard`` counts what they hear together."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.followers: list[Follower] = []
        self.heard = 0
        self.mark = -1
        self.misheard = 0
        self.closed = 0
        self.faults: list[str] = []
        self._reached = asyncio.Event()

    async def reach(self, mark: int) -> None:
        """Wait until ``mark`` events have been heard. Raises Stalled where nothing more comes."""
        while self.heard < mark:
            before = self.heard
            self.mark = mark
            self._reached.clear()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._reached.wait()
            except TimeoutError:
                if self.heard == before:
                    raise Stalled(f"room {self.room}: {self.heard} of {mark} heard; {self.faults[:3]}") from None

    def passed_mark(self) -> None:
        self.mark = -1
        self._reached.set()

    @property
    def have_all_begun(self) -> bool:
        return all(follower.hearing.next for follower in self.followers)

    def have_all_heard(self, last: int) -> bool:
        return all(follower.hearing.next > last for follower in self.followers)

    def lost(self, last: int) -> int:
        return sum(follower.hearing.lost(last) for follower in self.followers)

    @property
    def repeated(self) -> int:
        return sum(follower.hearing.repeated for follower in self.followers)

    @property
    def reordered(self) -> int:
        return sum(follower.hearing.reordered for follower in self.followers)


class Follower(WSListener):
    """One subscription on a socket of its own."""

    def __init__(self, crowd: Crowd, place: Place, token: str, after: str | None = None) -> None:
        self.hearing = Hearing()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd = crowd
        self._is_raw = place.is_raw
        self._token = token
        self._after = after
        self._operation_id = "bench-raw" if place.is_raw else f"bench-{next(_number)}-follows"
        self._expected_id = f'"{self._operation_id}"'.encode()
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._is_raw:
            self.ready.set_result(None)
        else:
            transport.send(WSMsgType.TEXT, dialects.connection_init(self._token))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        at = payload.find(SEQUENCE)
        if at < 0:
            self._hear_protocol(transport, payload)
            return
        self.hear(sequence_at(payload, at))
        crowd = self._crowd
        if self._expected_id not in payload:
            crowd.misheard += 1
        crowd.heard += 1
        if crowd.heard == crowd.mark:
            crowd.passed_mark()

    def hear(self, sequence: int) -> None:
        self.hearing.hear(sequence)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._crowd.closed += 1
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"closed: {transport.close_handshake}"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _hear_protocol(self, transport: WSTransport, payload: bytes) -> None:
        match type_of(payload):
            case "connection_ack":
                transport.send(WSMsgType.TEXT, dialects.follow(self._operation_id, self._crowd.room, self._after))
                transport.send(WSMsgType.TEXT, b'{"type":"ping"}')
            case "pong" if not self.ready.done():
                self.ready.set_result(None)
            case "ping":
                transport.send(WSMsgType.TEXT, pong_to(payload))
            case "pong" | "complete" | "":
                pass
            case _:
                self._crowd.faults.append(payload[:200].decode(errors="replace"))


class TimedFollower(Follower):
    """Notes how long each entry took to come. ``sent_at`` has the times at which they were sent, by sequence."""

    def __init__(self, crowd: Crowd, place: Place, token: str, sent_at: dict[int, float], took: list[float]) -> None:
        super().__init__(crowd, place, token)
        self._sent_at = sent_at
        self._took = took

    def hear(self, sequence: int) -> None:
        if sent_at := self._sent_at.get(sequence):
            self._took.append(perf_counter() - sent_at)
        self.hearing.hear(sequence)


@asynccontextmanager
async def joined(
    place: Place, crowds: Iterable[tuple[Crowd, list[str]]], make: Callable[[Crowd, str], Follower] | None = None
) -> AsyncIterator[None]:
    """Within, every crowd has a follower for each of its tokens, subscribed as far as the server lets one know."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def join(crowd: Crowd, token: str) -> None:
        follower = make(crowd, token) if make else Follower(crowd, place, token)
        async with turn:
            await open_socket(follower, place, crowd.room)
        crowd.followers.append(follower)

    crowds = list(crowds)
    try:
        async with asyncio.TaskGroup() as group:
            for crowd, tokens in crowds:
                for token in tokens:
                    group.create_task(join(crowd, token))
        yield
    finally:
        for crowd, _ in crowds:
            for follower in crowd.followers:
                follower.close()


async def open_socket(follower: Follower, place: Place, room: str) -> None:
    """Return once the server has answered a ping that was sent behind the subscription."""
    async with asyncio.timeout(OPEN_SECONDS):
        await ws_connect(lambda: follower, place.follow_url(room), extra_headers=place.headers, enable_auto_ping=False)
        await follower.ready
