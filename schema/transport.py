"""graphql-transport-ws over ASGI: the WebSocket side of ``/graphql/``.

The protocol is https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. The socket has no channel of its own on
the Channels layer: what it follows comes from the hub.

Concurrency: one task per socket reads frames; each operation runs in a task of its own.
Lifecycle: a socket ends when its client leaves or when ``Closed`` is raised; its operations end with it.
Invariants: every frame is answered as the protocol says or ends the socket with a code and a reason.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, WebSocketScope
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http.cookie import parse_cookie
from django.utils.module_loading import import_string
from graphql import GraphQLError
from strawberry.schema import BaseSchema
from strawberry.types.execution import PreExecutionError

from rooms.exceptions import Refusal
from rooms.hub import Hub
from rooms.identity import NOBODY, Viewer
from rooms.threads import in_database

from .context import Context, authenticate
from .errors import Interrupted, presented
from .origins import is_trusted_origin
from .requests import OperationRequest, json_object, operation_request

logger = logging.getLogger(__name__)

PROTOCOL = "graphql-transport-ws"
INIT_TIMEOUT_SECONDS = 10.0

BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INIT_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITS = 4429
TRY_AGAIN = (
    4503  # clients come back after a pause; what they do on each code is in the field's clients, not the protocol
)

MAX_REASON_BYTES = 123  # RFC 6455, section 5.5


class Closed(Exception):
    """The server ends the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Transport:
    """The ASGI application. ``hub`` brings what subscriptions follow."""

    def __init__(self, schema: BaseSchema, hub: Hub, *, init_timeout_seconds: float = INIT_TIMEOUT_SECONDS) -> None:
        self._schema = schema
        self._hub = hub
        self._init_timeout_seconds = init_timeout_seconds

    async def __call__(self, scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()  # websocket.connect
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin")
        if origin is not None and not is_trusted_origin(origin, headers.get("host", "")):
            await _refuse_handshake(send)
            return
        if PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            reason = f"Subprotocol not acceptable: this server speaks {PROTOCOL}"
            await send({"type": "websocket.close", "code": SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL, "headers": []})
        session = _session(headers.get("cookie", "")) if origin is not None else None
        socket = Socket(self._schema, self._hub, session, receive, send)
        await socket.run(self._init_timeout_seconds)


async def refuse(_scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI application for addresses that have no WebSocket: the handshake ends in 403."""
    await receive()  # websocket.connect
    await _refuse_handshake(send)


async def _refuse_handshake(send: ASGISendCallable) -> None:
    """A close before the accept makes the server answer 403."""
    await send({"type": "websocket.close", "code": FORBIDDEN, "reason": "Forbidden"})


class Socket:
    """One client's socket, accepted."""

    def __init__(
        self,
        schema: BaseSchema,
        hub: Hub,
        session: SessionBase | None,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        self._schema = schema
        self._hub = hub
        self._session = session
        self._receive = receive
        self._send_event = send
        self._viewer = NOBODY
        self._init_received = False
        self._acknowledged = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._ending: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "connection_init": self.handle_connection_init,
            "ping": self.handle_ping,
            "pong": self.handle_pong,
            "subscribe": self.handle_subscribe,
            "complete": self.handle_complete,
        }

    async def run(self, init_timeout_seconds: float) -> None:
        """Serve until the client leaves or the socket is closed. Never raises but on cancellation."""
        reading = asyncio.create_task(self._read())
        timer = asyncio.get_running_loop().call_later(init_timeout_seconds, self._check_init)
        try:
            ends: set[asyncio.Future[Any]] = {reading, self._ending}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                closed = self._ending.result()
                await self._send_event(
                    {"type": "websocket.close", "code": closed.code, "reason": _shortened(closed.reason)}
                )
        finally:
            timer.cancel()
            await _cancelled(reading, *self._operations.values())

    async def _read(self) -> None:
        while (event := await self._receive())["type"] == "websocket.receive":
            try:
                await self._handle(event.get("text"))
            except Closed as closed:
                self._end(closed)
            except Exception:
                logger.exception("A frame could not be handled")
                self._end(Closed(TRY_AGAIN, "Internal error"))

    async def _handle(self, text: str | None) -> None:
        if text is None:
            raise Closed(BAD_REQUEST, "Binary frames are not part of the protocol")
        try:
            message = json_object(text)
        except ValueError as error:
            raise Closed(BAD_REQUEST, f"A message must be a JSON object: {error}") from error
        message_type = message.get("type")
        handler = self._handlers.get(message_type) if isinstance(message_type, str) else None
        if handler is None:
            raise Closed(BAD_REQUEST, "Unknown message type")
        await handler(message)

    # One method per message of the protocol

    async def handle_connection_init(self, message: dict[str, Any]) -> None:
        if self._init_received:
            raise Closed(TOO_MANY_INITS, "Too many initialisation requests")
        self._init_received = True
        authorization = _authorization(_payload(message))
        try:
            self._viewer = await in_database(authenticate, self._session, authorization)
        except Refusal as refusal:
            raise Closed(FORBIDDEN, f"Forbidden: {refusal.message}") from refusal
        self._acknowledged = True
        await self._send({"type": "connection_ack"})

    async def handle_ping(self, message: dict[str, Any]) -> None:
        payload = _payload(message)
        await self._send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})

    async def handle_pong(self, message: dict[str, Any]) -> None:
        _payload(message)

    async def handle_subscribe(self, message: dict[str, Any]) -> None:
        if not self._acknowledged:
            raise Closed(UNAUTHORIZED, "Unauthorized")
        operation_id = _id(message)
        if operation_id in self._operations:
            raise Closed(SUBSCRIBER_EXISTS, f"Subscriber for {operation_id} already exists")
        try:
            request = operation_request(message.get("payload"))
        except Refusal as refusal:
            raise Closed(BAD_REQUEST, f"Invalid subscribe payload: {refusal.message}") from refusal
        self._operations[operation_id] = asyncio.create_task(self._operate(operation_id, request))

    async def handle_complete(self, message: dict[str, Any]) -> None:
        if operation := self._operations.pop(_id(message), None):
            operation.cancel()

    # Operations

    async def _operate(self, operation_id: str, request: OperationRequest) -> None:
        """Run one operation to its end, which the client is told unless it ended the operation itself."""
        try:
            await self._stream(operation_id, request)
        except Closed as closed:
            self._end(closed)
        except Exception:
            logger.exception("An operation failed outside of its resolvers")
            self._end(Closed(TRY_AGAIN, "Internal error"))
        finally:
            if self._operations.get(operation_id) is asyncio.current_task():
                del self._operations[operation_id]

    async def _stream(self, operation_id: str, request: OperationRequest) -> None:
        results: Any = await self._schema.stream(
            request.query,
            variable_values=request.variables,
            operation_name=request.operation_name,
            operation_extensions=request.extensions,
            context_value=Context(viewer=self._viewer, remember=self._remember, hub=self._hub),
        )
        async with aclosing(results):
            async for result in results:
                _require_uninterrupted(result)
                if _is_request_error(result):
                    await self._finish(operation_id, {"type": "error", "payload": _presented(result.errors)})
                    return
                await self._send({"id": operation_id, "type": "next", "payload": _execution_result(result)})
        await self._finish(operation_id, {"type": "complete"})

    async def _finish(self, operation_id: str, message: dict[str, Any]) -> None:
        """Send an operation's last message. Its id is free again before the client can know that it is."""
        self._operations.pop(operation_id, None)
        await self._send({"id": operation_id, **message})

    # The socket

    def _remember(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def _check_init(self) -> None:
        if not self._init_received:
            self._end(Closed(INIT_TIMEOUT, "Connection initialisation timeout"))

    def _end(self, closed: Closed) -> None:
        if not self._ending.done():
            self._ending.set_result(closed)

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._ending.done():
            text = json.dumps(message, separators=(",", ":"))
            await self._send_event({"type": "websocket.send", "text": text, "bytes": None})


def _execution_result(result: Any) -> dict[str, Any]:
    """The payload of ``next``."""
    payload: dict[str, Any] = {"data": result.data}
    if result.errors:
        payload["errors"] = _presented(result.errors)
    if result.extensions:
        payload["extensions"] = result.extensions
    return payload


def _require_uninterrupted(result: Any) -> None:
    """Raise Closed when a subscription was interrupted: clients take an error and ``complete`` for a normal end, and
    come back only to a closed socket."""
    if any(isinstance(error.original_error, Interrupted) for error in result.errors or []):
        raise Closed(TRY_AGAIN, "Interrupted: go on from the last cursor")


def _is_request_error(result: Any) -> bool:
    """Whether nothing was executed (GraphQL specification, section 7.1.1): an ``error``, not a ``next``."""
    if isinstance(result, PreExecutionError):
        return True
    return result.data is None and bool(result.errors) and all(error.path is None for error in result.errors)


def _presented(errors: list[GraphQLError] | None) -> list[dict[str, Any]]:
    return [presented(error) for error in errors or []]


def _payload(message: dict[str, Any]) -> dict[str, Any] | None:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise Closed(BAD_REQUEST, "A payload must be an object")
    return payload


def _id(message: dict[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise Closed(BAD_REQUEST, "An operation id must be a text that is not empty")
    return operation_id


def _authorization(payload: dict[str, Any] | None) -> str | None:
    """The ``authorization`` of ``connectionParams``, in whatever case: clients hand on what was meant as a header."""
    found = [value for name, value in (payload or {}).items() if name.lower() == "authorization"]
    if not found or found[0] is None:
        return None
    if len(found) > 1 or not isinstance(found[0], str):
        raise Closed(BAD_REQUEST, "`authorization` must be one text")
    return found[0]


def _session(cookie_header: str) -> SessionBase | None:
    key = parse_cookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
    store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    return store(key) if key else None


def _shortened(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
