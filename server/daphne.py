"""Daphne with an end: a server that drains, and whose sockets close with the code and the reason that were meant.

What it is: subclasses of Daphne's server, factory, request and socket. To an application all is as under Daphne, and a
WebSocket scope has the extension ``salas.drain`` besides.
Concurrency: the reactor's event loop, which runs in the main thread; ``drain`` may be called from a signal handler.
Lifecycle: ``run`` returns when a drain is over.
Invariants: every TCP connection is in ``_transports`` while it is open. A socket whose application has ended is closed.
Dependencies: what Daphne keeps in ``connections``, and Twisted's and autobahn's own classes below it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

from autobahn.util import encode_truncate
from autobahn.websocket.protocol import WebSocketProtocol as Rfc6455
from daphne import http_protocol, ws_protocol
from daphne.server import Server as DaphneServer
from daphne.server import reactor, twisted_loop
from twisted.internet import tcp

from .drain import EXTENSION, REASON, SERVICE_RESTART, Notice, Timetable, drain

TRY_AGAIN = 1013  # clients come back; after 1011, which Daphne sends, they never do
UNAVAILABLE = 503
CLOSE_SECONDS = 2.0  # a peer has this long to answer a close, and to take what was sent before it
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5
BACKLOG_AT_ONCE = 10_000


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
        on_ready: Callable[[], None],
        on_drain: Callable[[int], None],
        **options: Any,
    ) -> None:
        super().__init__(application, endpoints=[listener], signal_handlers=False, verbosity=0, **options)
        self.endpoints: list[str] = []  # Daphne wants one, and would open it itself
        self.ready_callable = self._listen  # called when the factories are made, before the reactor runs
        self.is_draining = False
        self.cancelled = 0  # applications that would not end
        self._listener = listener
        self._timetable = timetable
        self._on_ready = on_ready
        self._on_drain = on_drain
        self._transports: set[tcp.Server] = set()
        self._draining: asyncio.Task[None] | None = None

    def drain(self) -> None:
        """Begin to end; ``run`` returns when it is done."""
        twisted_loop.call_soon_threadsafe(self._drain)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] != "websocket":
            return super().create_application(protocol, scope)
        notice, offer = self._timetable.offer()
        queue = super().create_application(protocol, scope | {"extensions": {EXTENSION: offer}})
        if queue is not None:
            self.connections[protocol]["application_instance"].add_done_callback(protocol.application_ended)
        protocol.notice, protocol.drain_delay_seconds = notice, offer["delay_seconds"]
        if self.is_draining:  # an upgrade on a connection that was open before
            protocol.begin_drain()
        return queue

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
        self.ws_factory.protocol = Socket
        self.ws_factory.setProtocolOptions(failByDrop=False, closeHandshakeTimeout=CLOSE_SECONDS)
        self._port = reactor.adoptStreamPort(self._listener.fileno(), self._listener.family, Factory(self))
        self._port.transport = self._connection
        self._listener.close()  # the port has a copy
        reactor.callWhenRunning(self._on_ready)

    def _connection(self, *args: Any) -> tcp.Server:
        return Connection(self._transports, *args)

    def _drain(self) -> None:
        if self._draining is None:
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


def _is_running(application: asyncio.Future[Any] | None) -> bool:
    return application is not None and not application.done()


class Connection(tcp.Server):
    """A TCP connection, in ``registry`` while it is open, whichever protocol it carries."""

    def __init__(self, registry: set[tcp.Server], *args: Any) -> None:
        super().__init__(*args)
        self._registry = registry
        registry.add(self)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self._registry.discard(self)
        super().connectionLost(reason)


class Request(http_protocol.WebRequest):  # type: ignore[misc]
    """A request, which during a drain is the last of its connection."""

    def begin_drain(self) -> None:
        if self.channel is not None:
            self.channel.persistent = False

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """Say as plain text what Daphne has a page for: no application puts its headers on that."""
        headers = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff")]
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": f"{status} {status_text.decode()}: {body}".encode()})

    def handle_reply(self, message: dict[str, Any]) -> None:
        if self.server.is_draining and message.get("type") == "http.response.start" and self.channel is not None:
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        super().handle_reply(message)


class Factory(http_protocol.HTTPFactory):  # type: ignore[misc]
    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = Request
        return protocol


class Socket(ws_protocol.WebSocketProtocol):  # type: ignore[misc]
    """A WebSocket. ``notice`` and ``drain_delay_seconds`` are what its application was offered."""

    notice: Notice
    drain_delay_seconds: float
    _closed_for_restart = False

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
        if self.state == self.STATE_CONNECTING:
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

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803
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
