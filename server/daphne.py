"""Daphne with an end and with bounds: a server that drains, whose sockets close with the code and the reason that were
meant, and which reads no more from the network than its applications take.

What it is: subclasses of Daphne's server and socket. To an application all is as under Daphne, and a WebSocket scope
has five extensions: ``salas.drain``; ``salas.backpressure``, which says that a client can send no more while the
application doesn't read; ``salas.frames``, to put texts on the wire at once, to know how much of them waits for the
network, and to take messages when they come; ``salas.pings``, to send pings of RFC 6455 and hear the pongs; and ASGI's
``websocket.http.response``, to answer a handshake with other than 403. The scope of a request says in ``salas.drain``
whether a drain has begun.
Concurrency: the reactor's event loop, which runs in the main thread; ``drain`` may be called from a signal handler.
Lifecycle: ``run`` returns when a drain is over.
Invariants: every TCP connection is in ``_transports`` while it is open. A socket whose application has ended is closed.
What waits for a socket's application is no more than the limits say, and one message.
Dependencies: what Daphne keeps in ``connections``, and Twisted's and autobahn's own classes below it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from autobahn.util import encode_truncate
from autobahn.websocket.protocol import WebSocketProtocol as Rfc6455
from daphne import ws_protocol
from daphne.server import Server as DaphneServer
from daphne.server import reactor, twisted_loop
from twisted.internet import tcp

from . import words
from .drain import EXTENSION, REASON, SERVICE_RESTART, Notice, Timetable, drain
from .frames import plain_in, text_header
from .garbage import Garbage
from .inbox import Event, Inbox
from .limits import Limits
from .requests import Factory, Idle, Request

TRY_AGAIN = 1013  # clients come back; after 1011, which Daphne sends, they never do
UNAVAILABLE = 503
CLOSE_SECONDS = 2.0  # a peer has this long to answer a close, and to take what was sent before it
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5
BACKLOG_AT_ONCE = 10_000

# Frames of any kind, such as pings, which no application sees, are cheap: the limit is for who sends nothing else.
FRAMES_PER_SECOND = 1_000
PONGS_PER_SECOND = 10


def keep_steady_time() -> None:
    """Let the reactor's timers go by a clock that nobody sets. To be called before anything is scheduled.

    Twisted's own is the wall clock: set back by an hour, all of them would wait for that hour, cleaning up included.
    """
    reactor.seconds = time.monotonic


class Server(DaphneServer):  # type: ignore[misc]  # Daphne has no types
    """Serves ``application`` on ``listener``, which listens already. ``options`` are those of Daphne's server."""

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        *,
        timetable: Timetable,
        limits: Limits,
        on_ready: Callable[[], None],
        on_drain: Callable[[int], None],
        **options: Any,
    ) -> None:
        super().__init__(
            application,
            endpoints=[listener],
            signal_handlers=False,
            verbosity=0,
            websocket_connect_timeout=limits.handshake_seconds or float("inf"),
            websocket_handshake_timeout=limits.handshake_seconds,
            websocket_max_message_size=limits.body_bytes,
            websocket_max_frame_size=limits.body_bytes,
            **options,
        )
        self.limits = limits
        self.endpoints: list[str] = []  # Daphne wants one, and would open it itself
        self.ready_callable = self._listen  # called when the factories are made, before the reactor runs
        self.is_draining = False
        self.cancelled = 0  # applications that would not end
        self._listener = listener
        self._timetable = timetable
        self._on_ready = on_ready
        self._on_drain = on_drain
        self._transports: set[tcp.Server] = set()
        self.idle = Idle(limits, lambda: len(self._transports))
        self._garbage = Garbage(twisted_loop.time, twisted_loop.call_later)
        self._draining: asyncio.Task[None] | None = None

    def drain(self) -> None:
        """Begin to end; ``run`` returns when it is done."""
        twisted_loop.call_soon_threadsafe(self._drain)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] != "websocket":
            began = {EXTENSION: {"has_begun": self.is_draining}}
            return super().create_application(protocol, scope | {"extensions": began})
        notice, offer = self._timetable.offer()
        extensions = {
            EXTENSION: offer,
            "salas.backpressure": {},
            "salas.frames": {
                "write": protocol.write_texts,
                "unsent": protocol.unsent_bytes,
                "listen": protocol.listen,
            },
            "salas.pings": {"send": protocol.sendPing, "listen": protocol.listen_to_pongs},
            "websocket.http.response": {},
        }
        protocol.inbox = Inbox(self.limits.socket_inbound_frames, self.limits.body_bytes, protocol.read_on)
        application = self.application(
            scope={"asgi": {"version": "3.0"}, **scope, "extensions": extensions},
            receive=protocol.inbox.get,
            send=partial(self.handle_reply, protocol),
        )
        running = asyncio.ensure_future(application)
        running.add_done_callback(protocol.application_ended)
        self.connections[protocol]["application_instance"] = running
        protocol.notice, protocol.drain_delay_seconds = notice, offer["delay_seconds"]
        if self.is_draining:  # an upgrade on a connection that was open before
            protocol.begin_drain()
        return protocol.inbox

    def kill_all_applications(self) -> None:
        """Daphne's own way to end, which tells nobody. Here all has ended before the reactor stops."""

    # What the drain asks for

    def stop_accepting(self) -> None:
        self.is_draining = True
        self._port.numberAccepts = BACKLOG_AT_ONCE
        self._port.doRead()  # who waits in the backlog was promised a connection
        self._port.stopListening()
        for each in self._open_protocols():
            each.begin_drain()

    def is_busy(self) -> bool:
        return any(
            "disconnected" not in details or _is_running(details.get("application_instance"))
            for details in self.connections.values()
        )

    def is_connected(self) -> bool:
        return bool(self._transports)

    def close_connections(self) -> None:
        busy = {each.channel.transport for each in self._open_protocols() if isinstance(each, Request)}
        sockets = [each for each in self._open_protocols() if isinstance(each, Socket)]
        for each in sockets:
            each.close_for_restart()
        for transport in self._transports.difference(busy, (each.transport for each in sockets)):
            transport.loseConnection()  # type: ignore[no-untyped-call]

    def cut_connections(self) -> None:
        for transport in list(self._transports):
            transport.abortConnection()  # type: ignore[no-untyped-call]

    # Its own beginning and end

    def _listen(self) -> None:
        # Which origins may come the application decides, and says why not.
        self.ws_factory.setProtocolOptions(failByDrop=False, closeHandshakeTimeout=CLOSE_SECONDS, allowNullOrigin=True)
        self.ws_factory.protocol = socket_class_for(self.ws_factory)
        self._port = reactor.adoptStreamPort(self._listener.fileno(), self._listener.family, Factory(self))
        self._port.transport = self._connection
        self._listener.close()  # the port has a copy
        reactor.callWhenRunning(self._start)

    def _start(self) -> None:
        self._garbage.begin()
        self._on_ready()

    def _connection(self, *args: Any) -> tcp.Server:
        return Connection(self._transports, self._count_lost, *args)

    def _count_lost(self) -> None:
        self._garbage.connection_lost(len(self._transports))

    def _drain(self) -> None:
        if self._draining is None:
            self._garbage.end()
            self._on_drain(sum(isinstance(each, Socket) for each in self._open_protocols()))
            self._draining = asyncio.create_task(self._end())

    async def _end(self) -> None:
        try:
            await drain(self, self._timetable, now=twisted_loop.time)
            await self._cancel_the_rest()
        finally:
            reactor.stop()

    async def _cancel_the_rest(self) -> None:
        applications = [details.get("application_instance") for details in self.connections.values()]
        self.cancelled = sum(map(_is_running, applications))
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=self._timetable.exit - self._timetable.end)

    def _open_protocols(self) -> list[Request | Socket]:
        return [each for each, details in self.connections.items() if "disconnected" not in details]


def socket_class_for(factory: Any) -> type[Socket]:
    """A class whose sockets have the factory's options in common, where autobahn would copy them into each."""
    values = {name: getattr(factory, name) for name in Socket.CONFIG_ATTRS}
    options = {name: staticmethod(value) if callable(value) else value for name, value in values.items()}
    return type("Socket", (Socket,), {**options, "CONFIG_ATTRS": []})


def _is_running(application: asyncio.Future[Any] | None) -> bool:
    return application is not None and not application.done()


class Connection(tcp.Server):
    """A TCP connection, in ``registry`` while it is open, whichever protocol it carries."""

    _writes_soon = False

    def __init__(self, registry: set[tcp.Server], on_lost: Callable[[], None], *args: Any) -> None:
        super().__init__(*args)
        self._registry = registry
        self._on_lost = on_lost
        registry.add(self)

    def startReading(self) -> None:  # noqa: N802
        """As the reactor does, but that it also names the connection in the context of a log that nobody keeps."""
        if self not in reactor._readers:
            twisted_loop.add_reader(self.fileno(), reactor._readOrWrite, self, True)
            reactor._readers[self] = self.fileno()

    def startWriting(self) -> None:  # noqa: N802
        """Write what there is once this turn is over: mostly the kernel takes all of it, and need not tell when."""
        if not self._writes_soon:
            self._writes_soon = True
            twisted_loop.call_soon(self._write)

    def _write(self) -> None:
        self._writes_soon = False
        if self.connected:
            reactor._readOrWrite(self, False)
        if self.connected and (self.dataBuffer or self._tempDataBuffer):
            super().startWriting()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self._registry.discard(self)
        super().connectionLost(reason)
        self._on_lost()


class Socket(ws_protocol.WebSocketProtocol):  # type: ignore[misc]
    """A WebSocket. ``notice`` and ``drain_delay_seconds`` are what its application was offered."""

    data: bytes  # autobahn's: received, and not taken apart yet
    inbox: Inbox
    notice: Notice
    drain_delay_seconds: float
    _closed_for_restart = False
    _denial: Event | None = None
    _take: Callable[[bytes], bool] | None = None
    _take_pong: Callable[[bytes], None] | None = None
    _frames = 0  # in the second that ends at _second_ends
    _pongs = 0
    _second_ends = 0.0
    _waits = False  # the transport is paused

    # What comes in

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._dataReceived(data)  # what autobahn's own does besides is colouring a line of a log that nobody keeps
        if self._has_enough and not self._waits:
            self._waits = True
            self.transport.pauseProducing()

    def processData(self) -> bool:  # noqa: N802
        """Take the next frame out of what was received; what there is no room for stays, and the network waits."""
        if self._has_enough:
            return False
        if self.current_frame is None and not self.inside_message and self.state == self.STATE_OPEN:
            plain = plain_in(self.data)
            if plain is not None:
                self.data = plain.rest
                self._count_frame()
                self.onMessage(plain.payload, False)
                return bool(self.data)
        return bool(super().processData())

    def read_on(self) -> None:
        """Take what was left, if there is room for it, and only then more from the network."""
        if self._waits and not self._has_enough:
            self.consumeData()
            if not self._has_enough:
                self._waits = False
                self.transport.resumeProducing()

    @property
    def _has_enough(self) -> bool:
        return self._frames >= FRAMES_PER_SECOND or (self.state == self.STATE_OPEN and self.inbox.is_full)

    def onFrameBegin(self) -> None:  # noqa: N802
        self._count_frame()
        super().onFrameBegin()

    def _count_frame(self) -> None:
        now = twisted_loop.time()
        if now >= self._second_ends:
            self._second_ends, self._frames, self._pongs = now + 1, 0, 0
        self._frames += 1
        if self._frames == FRAMES_PER_SECOND:
            twisted_loop.call_at(self._second_ends, self._begin_second)

    def _begin_second(self) -> None:
        self._frames = 0
        self.read_on()

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        """Answer, but not each of many: the latest would do (RFC 6455, section 5.5.3), and they may never be read."""
        self._pongs += 1
        if self._pongs <= PONGS_PER_SECOND:
            super().onPing(payload)

    def onPong(self, payload: bytes) -> None:  # noqa: N802
        """Those to Daphne's own pings come by here too; their payloads are none that an application sends."""
        if self._take_pong is not None and self.state == self.STATE_OPEN:
            self._take_pong(payload)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        if self.state == self.STATE_OPEN and not (self._take is not None and self._take(payload)):
            super().onMessage(payload, isBinary)

    def listen(self, take: Callable[[bytes], bool]) -> None:
        """Offer each message, text or binary, to ``take`` when it comes; what it takes goes no further.

        It must not raise.
        """
        self._take = take

    def listen_to_pongs(self, take: Callable[[bytes], None]) -> None:
        """Give the payload of each pong of RFC 6455 to ``take``, which must not raise."""
        self._take_pong = take

    # What goes out

    def write_texts(self, texts: Sequence[bytes]) -> None:
        """Send messages, each a text in UTF-8, at once: the ASGI extension ``salas.frames``.

        What the kernel does not take is left to Twisted, with what comes after it. Nothing is sent on a closed socket.
        """
        if self.state != self.STATE_OPEN:
            return
        frames = b"".join([part for text in texts for part in (text_header(len(text)), text)])
        transport = self.transport
        if transport.dataBuffer or transport._tempDataBuffer:
            transport.write(frames)
            return
        try:
            taken = transport.socket.send(frames)
        except OSError:  # full, or gone: Twisted finds out which
            taken = 0
        if taken < len(frames):
            transport.write(frames[taken:])

    def unsent_bytes(self) -> int:
        """How much waits for the kernel to take it. Nothing does on a socket that is closed."""
        if self.state != self.STATE_OPEN:
            return 0
        transport = self.transport
        return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)

    # What is refused below the application

    def onConnect(self, request: Any) -> Any:  # noqa: N802
        """Refuse what Daphne would fail at: it takes every subprotocol for ASCII."""
        if not request.headers.get("sec-websocket-protocol", "").isascii():
            raise ws_protocol.ConnectionDeny(HTTPStatus.BAD_REQUEST.value, words.HANDSHAKE)
        return super().onConnect(request)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:  # noqa: N802, N803
        """Say it in our words: ``reason`` is autobahn's, or of an exception."""
        self.wasNotCleanReason = reason
        self._answer_handshake(HTTPStatus(code), list(responseHeaders or ()), words.handshake_refused(code).encode())

    def _fail_connection(self, code: int = 1001, reason: str = "") -> None:
        super()._fail_connection(code, words.close_reason(code, self.maxMessagePayloadSize))

    def _answer_handshake(self, status: HTTPStatus, headers: list[tuple[str, str]], body: bytes) -> None:
        names = {name.lower() for name, _ in headers}
        headers += [] if "content-type" in names else [("content-type", "text/plain; charset=utf-8")]
        headers += [("content-length", str(len(body))), ("connection", "close")]
        self.sendHttpErrorResponse(status.value, status.phrase, headers)
        self.sendData(body)
        self.dropConnection()

    # Its end

    def begin_drain(self) -> None:
        self.notice.set()
        twisted_loop.call_later(self.drain_delay_seconds, self._close_unless_heeded)

    def close_for_restart(self) -> None:
        """Close with 1012, which the application will see too; a handshake ends in 503."""
        if self.state == self.STATE_OPEN:
            self._closed_for_restart = True
            self.serverClose(SERVICE_RESTART, REASON)
        elif self.state == self.STATE_CONNECTING and hasattr(self, "handshake_deferred"):
            self.handshake_deferred.errback(ws_protocol.ConnectionDeny(UNAVAILABLE, REASON))
            del self.handshake_deferred

    def application_ended(self, _application: object) -> None:
        """Leave no socket open that nobody will ever answer on."""
        if self.state == self.STATE_OPEN:
            self.serverClose(TRY_AGAIN, "Internal error: come back")

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Do what the application says; it need not know yet that the socket is closed."""
        if self.state == self.STATE_CONNECTING and message["type"].startswith("websocket.http.response"):
            self._deny(message)
        elif self.state == self.STATE_CONNECTING:
            super().handle_reply(message)
        elif message.get("type") == "websocket.close":
            self.serverClose(message.get("code"), message.get("reason"))
        elif self.state == self.STATE_OPEN:
            super().handle_reply(message)

    def serverClose(self, code: int | None = None, reason: str | None = None) -> None:  # noqa: N802
        """Close as the application says. Raises ValueError for a code that may not be sent (RFC 6455, section 7.4).

        ``sendClose``, which Daphne calls, knows only 1000 and those from 3000 on.
        """
        code = 1000 if code is None else code
        if code not in Rfc6455.CLOSE_STATUS_CODES_ALLOWED and not 3000 <= code <= 4999:
            raise ValueError(f"{code} is no code to close a WebSocket with")
        self.sendCloseFrame(code=code, reasonUtf8=encode_truncate(reason or "", MAX_REASON_BYTES))
        self.read_on()  # the peer's close may be behind what nobody takes any more

    def _deny(self, message: Event) -> None:
        """Answer the handshake as the application says (ASGI's extension ``websocket.http.response``)."""
        if message["type"] == "websocket.http.response.start":
            self._denial = message
        elif self._denial is not None and hasattr(self, "handshake_deferred"):
            del self.handshake_deferred
            status, body = HTTPStatus(self._denial["status"]), message.get("body", b"")
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._denial["headers"]]
            self.server.protocol_disconnected(self)
            self._answer_handshake(status, headers, body)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803
        if hasattr(self, "server"):  # else its handshake was none, and Daphne has not heard of it
            super().onClose(wasClean, SERVICE_RESTART if self._closed_for_restart else code, reason)

    def dropConnection(self, abort: bool = False) -> None:  # noqa: N802
        """Do not wait for ever for a peer that says goodbye and then takes nothing more."""
        super().dropConnection(abort)
        if not abort:
            twisted_loop.call_later(CLOSE_SECONDS, self._abort)

    def _abort(self) -> None:
        self.transport.abortConnection()  # does nothing where the connection is gone

    def _close_unless_heeded(self) -> None:
        if not self.notice.is_heeded:
            self.close_for_restart()
