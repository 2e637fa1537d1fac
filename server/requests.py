"""HTTP connections that say what they have to say in time, and no more than is taken.

What it is: Twisted's channel with a deadline for each request's headers and one for its body, and Daphne's request
which keeps no more of a body than it may. Who is late, sends too much, or what is no HTTP is told so, in JSON, and no
application hears of it.
A connection on which nothing is asked just now is idle. Where no more connections may be open, the one that has been
idle for longest gives way to a new one; where none is idle the new one is told to come back.
Concurrency: the reactor's event loop.
Invariants: while something is expected of the peer there is a deadline. What was refused reaches no application.
Dependencies: the calls by which Twisted's ``HTTPChannel`` goes through a request.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from daphne import http_protocol
from daphne.server import twisted_loop
from twisted.internet.protocol import connectionDone
from twisted.web import http

from .limits import Limits
from .words import request_refused

logger = logging.getLogger(__name__)

ROOT_PATH = b"daphne-root-path"  # where Daphne believes any client that says where the application is served
RETRY_AFTER_SECONDS = 10
TURNED_AWAY_AT_ONCE = 16
LINGER_SECONDS = 2.0  # in which a peer that is still sending can read why that is in vain, and as many to take the end


class Idle:
    """The connections that are idle, and whether there may be another. ``count`` is of all that are open."""

    def __init__(self, limits: Limits, count: Callable[[], int]) -> None:
        self._limits = limits
        self._count = count
        self._channels: dict[Channel, None] = {}  # by how long, the longest first
        self._has_warned = False

    def add(self, channel: Channel) -> None:
        self._channels[channel] = None

    def discard(self, channel: Channel) -> None:
        self._channels.pop(channel, None)

    @property
    def is_crowded(self) -> bool:
        """Whether what may be WebSockets, or as many other connections, is open: no connection is kept for later."""
        return self._limits.connections > 0 and self._limits.sockets_with_room <= self._count()

    @property
    def is_beyond(self) -> bool:
        """Whether even those that are told to come back are too many."""
        return 0 < self._limits.connections <= self._count() - TURNED_AWAY_AT_ONCE

    def make_room(self) -> bool:
        """Return whether a connection that has just been opened may stay; the longest idle one gives way to it."""
        if not 0 < self._limits.connections < self._count():
            return True
        self._warn()
        if not self._channels:
            return False
        oldest = next(iter(self._channels))
        self.discard(oldest)
        oldest.give_way()
        return True

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%d connections are open, as many as the limit of open files leaves room for (`ulimit -n`; LimitNOFILE="
                " of systemd): idle ones give way, and others are told to come back",
                self._limits.connections,
            )


class Channel(http.HTTPChannel):
    """One HTTP connection. It is not told of HTTP/2, which there is only over TLS."""

    _deadline: asyncio.TimerHandle | None = None
    _refused = False
    _is_too_much = False

    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()  # type: ignore[no-untyped-call]
        if self._idle.make_room():
            self._expect(self._limits.handshake_seconds)
            self._idle.add(self)
        else:
            self._is_too_much = True
            self._expect(LINGER_SECONDS)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._refused:
            return
        if self._is_too_much:
            self._turn_away()
            return
        if self._deadline is None and not self._handlingRequest:  # the next request begins
            self._expect(self._limits.handshake_seconds)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def allHeadersReceived(self) -> None:  # noqa: N802
        self._idle.discard(self)
        self._expect(self._limits.body_seconds)
        self.requests[-1].requestHeaders.removeHeader(ROOT_PATH)
        if self.takes(self.length or 0):
            super().allHeadersReceived()  # type: ignore[no-untyped-call]

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802
        if not self._refused:
            self._expect(0)
            super().allContentReceived()  # type: ignore[no-untyped-call]

    def requestDone(self, request: Any) -> None:  # noqa: N802
        super().requestDone(request)  # type: ignore[no-untyped-call]
        if self.persistent and not self._handlingRequest:
            self._idle.add(self)

    def give_way(self) -> None:
        """End, since nothing is asked: a client that is asking just now may ask again."""
        self._end_soon(0)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        message = f"A line of a request's head has at most {self.MAX_LENGTH} bytes."
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message, field="head")

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        self._refuse(HTTPStatus.BAD_REQUEST, "This is no request of HTTP/1.1.", field="head")

    def connectionLost(self, reason: Any = connectionDone) -> None:  # noqa: N802
        self._expect(0)
        self._idle.discard(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def takes(self, body_bytes: int) -> bool:
        """Whether a body may be so long; if not it is refused."""
        limit = self._limits.body_bytes
        if 0 < limit < body_bytes:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {limit} bytes.")
        return not self._refused

    @property
    def _limits(self) -> Any:
        return self.factory.server.limits

    @property
    def _idle(self) -> Idle:
        found: Idle = self.factory.server.idle
        return found

    def _expect(self, seconds: float) -> None:
        """Let the peer have so long for what comes next; 0 is for ever."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = twisted_loop.call_later(seconds, self._is_late) if seconds and not self._refused else None

    def _is_late(self) -> None:
        if self._is_too_much:
            self._turn_away()
            return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive.")

    def _turn_away(self) -> None:
        message = "Too many connections at this server: come back later"
        extensions = {"code": "RATE_LIMITED", "retryAfter": RETRY_AFTER_SECONDS}
        self._end_with(HTTPStatus.SERVICE_UNAVAILABLE, message, extensions, f"Retry-After: {RETRY_AFTER_SECONDS}\r\n")

    def _refuse(self, status: HTTPStatus, message: str, *, field: str = "body") -> None:
        self._end_with(status, message, {"code": "BAD_USER_INPUT", "field": field})

    def _end_with(self, status: HTTPStatus, message: str, extensions: dict[str, Any], headers: str = "") -> None:
        """Answer, and read on for a moment without keeping anything: a connection that is closed while the peer sends
        takes the answer with it."""
        if self._refused:
            return
        self._expect(0)
        self._refused = True
        transport: Any = self.transport
        body = json.dumps({"errors": [{"message": message, "extensions": extensions}]})
        transport.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\n{headers}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        self._end_soon(LINGER_SECONDS)

    def _end_soon(self, seconds: float) -> None:
        transport: Any = self.transport
        twisted_loop.call_later(seconds, transport.loseConnection)  # each does nothing where it is gone
        twisted_loop.call_later(seconds + LINGER_SECONDS, transport.abortConnection)


class Request(http_protocol.WebRequest):  # type: ignore[misc]
    """A request, which during a drain, and where connections are few, is the last of its connection."""

    _received_bytes = 0

    def process(self) -> Any:
        """Daphne joins the lines of a handshake's header with commas, which cookies cannot stand (RFC 9113, 8.2.3)."""
        cookies = self.requestHeaders.getRawHeaders(b"cookie", [])
        if len(cookies) > 1:
            self.requestHeaders.setRawHeaders(b"cookie", [b"; ".join(cookies)])
        return super().process()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self._received_bytes += len(data)
        if self.channel is not None and self.channel.takes(self._received_bytes):
            super().handleContentChunk(data)

    def begin_drain(self) -> None:
        if self.channel is not None:
            self.channel.persistent = False

    def check_timeouts(self) -> None:
        """Look only at what is not over. To end that again may raise, after which Daphne never looks again; and where
        it has become a WebSocket, it would write a response there."""
        if "disconnected" not in self.server.connections[self]:
            super().check_timeouts()

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """Say as plain text, in our words, what Daphne has a page for: no application puts its headers on that."""
        headers = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff")]
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply(
            {
                "type": "http.response.body",
                "body": f"{status} {status_text.decode()}: {request_refused(status)}".encode(),
            }
        )

    def handle_reply(self, message: dict[str, Any]) -> None:
        is_last = self.server.is_draining or self.server.idle.is_crowded
        if is_last and message.get("type") == "http.response.start" and self.channel is not None:
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        super().handle_reply(message)


class Factory(http_protocol.HTTPFactory):  # type: ignore[misc]
    protocol = Channel

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        if self.server.idle.is_beyond:
            return None  # it is closed without a word
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = partial(Request, parsePOSTFormSubmission=False)  # forms are the application's
        return protocol

    def log(self, request: http.Request) -> None:
        """Twisted would word a line for a file that there is not: applications log what they answer."""
