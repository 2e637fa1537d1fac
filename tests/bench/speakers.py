"""Those who send: over a WebSocket or over HTTP, each with its own token, and each checks what it is answered.

Concurrency: one event loop. A speaker sends when it is told to; ``on_answer`` is called for each answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count, cycle
from typing import Protocol, cast
from urllib.parse import urlsplit

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from . import dialects
from .followers import OPEN_SECONDS, Place
from .frames import operation_id_of, pong_to, sequence_in, type_of
from .http1 import answer_in

_number = count(1)


class Hall(Place, Protocol):
    """Where one can also send."""

    @property
    def graphql_url(self) -> str: ...

    def speak_url(self, room: str) -> str: ...


class Answers:
    """What speakers were told: the sequences of what was stored, and what was refused."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.refused: list[str] = []
        self.last = b""
        self.on_answer: Callable[[], None] = lambda: None

    def note(self, answer: bytes) -> None:
        self.last = answer
        sequence = sequence_in(answer)
        if sequence is None:
            self.refused.append(answer[:300].decode(errors="replace"))
        else:
            self.sequences.append(sequence)
        self.on_answer()


class Speaker(Protocol):
    """``answers`` are this speaker's, or shared by several."""

    answers: Answers

    @property
    def unanswered(self) -> int: ...

    def send(self) -> None: ...

    def close(self) -> None: ...


class SocketSpeaker(WSListener):
    """Sends by mutations on one socket, to ``rooms`` in turn; any number may be waiting for their answers."""

    def __init__(self, token: str, rooms: Sequence[str], answers: Answers) -> None:
        self.answers = answers
        self._token = token
        self._home = rooms[0]
        self._rooms = cycle(rooms)
        self._waiting: set[bytes] = set()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: WSTransport

    async def open(self, hall: Hall) -> SocketSpeaker:
        async with asyncio.timeout(OPEN_SECONDS):
            url = hall.speak_url(self._home)
            await ws_connect(lambda: self, url, extra_headers=hall.headers, enable_auto_ping=False)
            await self._ready
        return self

    @property
    def unanswered(self) -> int:
        return len(self._waiting)

    def send(self) -> None:
        name = f"bench-{next(_number)}-speaks"
        self._waiting.add(name.encode())
        message = dialects.subscribe(name, dialects.SEND, dialects.sending(next(self._rooms), name))
        self._transport.send(WSMsgType.TEXT, message)

    def close(self) -> None:
        self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.send(WSMsgType.TEXT, dialects.connection_init(self._token))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        match type_of(payload):
            case "next" | "error":
                self._hear(payload)
            case "ping":
                transport.send(WSMsgType.TEXT, pong_to(payload))
            case "connection_ack":
                self._ready.set_result(None)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self._ready.done():
            self._ready.set_exception(ConnectionError(f"closed: {transport.close_handshake}"))

    def _hear(self, payload: bytes) -> None:
        name = operation_id_of(payload)
        if name not in self._waiting:
            self.answers.refused.append(f"an answer to nothing that was asked: {payload[:200]!r}")
            return
        self._waiting.remove(name)
        self.answers.note(payload)


class RawSpeaker(WSListener):
    """Sends frames that a server hands on as they are. Nothing is answered: what is sent counts as stored."""

    def __init__(self, room: str, answers: Answers) -> None:
        self.answers = answers
        self._room = room
        self._transport: WSTransport
        self._sequence = 0

    async def open(self, hall: Hall) -> RawSpeaker:
        await ws_connect(lambda: self, hall.speak_url(self._room), enable_auto_ping=False)
        return self

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    @property
    def unanswered(self) -> int:
        return 0

    def send(self) -> None:
        self._sequence += 1
        self._transport.send(WSMsgType.TEXT, dialects.raw_frame(self._sequence))
        self.answers.sequences.append(self._sequence)

    def close(self) -> None:
        self._transport.disconnect(graceful=False)


class HttpSpeaker(asyncio.Protocol):
    """Sends by mutations over one connection that is kept, one after the other."""

    def __init__(self, token: str, room: str, answers: Answers) -> None:
        self.answers = answers
        self._token = token
        self._room = room
        self._received = b""
        self.unanswered = 0
        self._address = self._path = ""
        self._transport: asyncio.Transport

    async def open(self, hall: Hall) -> HttpSpeaker:
        url = urlsplit(hall.graphql_url)
        self._address, self._path = url.netloc, url.path
        host, _, port = url.netloc.partition(":")
        await asyncio.get_running_loop().create_connection(lambda: self, host, int(port))
        return self

    def send(self) -> None:
        variables = dialects.sending(self._room, f"bench-{next(_number)}-posts")
        self.ask(dialects.SEND, variables)

    def ask(self, query: str, variables: dict[str, object]) -> None:
        self.unanswered += 1
        self._transport.write(dialects.http_request(self._address, self._path, self._token, query, variables))

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._received += data
        if answer := answer_in(self._received):
            self._received = self._received[answer.size :]
            self.unanswered -= 1
            self.answers.note(answer.body)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._received:
            self.answers.refused.append(f"cut off: {exc!r}")


async def speaker(hall: Hall, token: str, room: str, answers: Answers | None = None) -> Speaker:
    """Somebody who sends over a WebSocket, as one who also follows would."""
    answers = answers or Answers()
    if hall.is_raw:
        return await RawSpeaker(room, answers).open(hall)
    return await SocketSpeaker(token, [room], answers).open(hall)
