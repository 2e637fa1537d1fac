"""One client's socket, from its acceptance to its end: graphql-transport-ws, message by message.

The protocol is https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Its pings are the receipts of
``pacing``: one follows each burst of messages, and what the pongs confirm is what ``receipts`` remembers.

Concurrency: one task reads frames; each operation runs in a task of its own and waits where the window is full.
Lifecycle: a socket ends when its client leaves, when ``Closed`` is raised, or when the server drains; its operations
end with it.
Invariants: every frame is answered as the protocol says or ends the socket with a code and a reason; no more than the
window, and the message that filled it, is in flight, but for replies that can't wait, which end it at twice as much.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypedDict, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable
from django.utils import timezone
from graphql import GraphQLError
from strawberry.schema import BaseSchema

from rooms.exceptions import RateLimited, Refusal
from rooms.hub import Hub
from rooms.identity import NOBODY, Viewer, rights_of
from rooms.provider import keys_ready
from rooms.rates import Bucket
from rooms.sessions import session_of
from rooms.threads import in_database

from .census import Seats
from .closing import (
    BAD_REQUEST,
    FORBIDDEN,
    INIT_TIMEOUT,
    NO_RECEIPT,
    SERVICE_RESTART,
    SUBSCRIBER_EXISTS,
    TOO_MANY_INITS,
    TOO_MANY_SOCKETS,
    TOO_MUCH_AT_ONCE,
    TRY_AGAIN,
    UNAUTHORIZED,
    Closed,
)
from .context import Context, Credentials, authenticate, token_in
from .errors import Interrupted, presented, refusal_presented
from .limits import Pace, SocketLimits
from .messages import authorization_in, id_of, message_in, payload_of
from .operations import is_request_error, operate
from .pacing import Window
from .presence import OpenSockets
from .receipts import Progress, Receipts, operation_key
from .requests import OperationRequest, operation_request
from .tracing import note_viewer, traced

logger = logging.getLogger(__name__)

WENT_WITHOUT_A_WORD = 1006
NEVER_SECONDS = float("inf")
CROWDED_SECONDS = 1.0  # nobody knows when an operation will end: to try again that often does no harm
NO_LONGER = "Forbidden: you are no longer who you were: connect again"
EXPIRY_SLACK_SECONDS = 0.05  # after the moment, by whichever clock
ANSWER_SECONDS = 0.5

LEFT_ON_PURPOSE = (1000, 1001, 1005)  # RFC 6455, section 7.4.1: the client is done, or its page is going away


class Drain(TypedDict):
    """The ASGI extension ``salas.drain`` of a server that can end in order."""

    began: asyncio.Event
    delay_seconds: float


class Served(Protocol):
    """What a socket needs of the transport that it belongs to."""

    @property
    def schema(self) -> BaseSchema: ...

    @property
    def hub(self) -> Hub: ...

    @property
    def receipts(self) -> Receipts: ...

    @property
    def limits(self) -> SocketLimits: ...

    @property
    def pace(self) -> Pace: ...

    @property
    def sockets(self) -> OpenSockets: ...


@dataclass(frozen=True)
class Operation:
    """A running operation. ``progress.position`` is None unless it is a subscription that has begun."""

    task: asyncio.Task[None]
    progress: Progress


class Socket:
    """One client's socket, accepted. ``may_wait``: where nothing is read from it, the client can send no more."""

    def __init__(
        self,
        served: Served,
        session_key: str | None,
        address: str | None,
        drain: Drain | None,
        seats: Seats,
        may_wait: bool,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        self._served = served
        self._limits = served.limits
        self._pace = served.pace
        self._seats = seats
        self._may_wait = may_wait
        self.credentials = Credentials(session_key, None)
        self.viewer_key: str | None = None
        self.rights: frozenset[str] | None = None
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._address = address
        self._drain = drain
        self._receive = receive
        self._send_event = send
        self._init_received = False
        self._acknowledged = False
        self._operations: dict[str, Operation] = {}
        self._loop = asyncio.get_running_loop()
        self._window = Window(self._limits.socket_window_bytes, self._loop.time())
        self._frames = Bucket(self._limits.socket_frame_burst, self._limits.socket_frames_per_second)
        self._confirmed = asyncio.Event()
        self._receipt_timer: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._leave_code: int | None = None
        self._draining = False
        self._ending: asyncio.Future[Closed] = self._loop.create_future()
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "connection_init": self.handle_connection_init,
            "ping": self.handle_ping,
            "pong": self.handle_pong,
            "subscribe": self.handle_subscribe,
            "complete": self.handle_complete,
        }

    async def run(self) -> None:
        """Serve until the client leaves or the socket is closed. Never raises but on cancellation."""
        with traced("Socket") as trace:
            trace.status = await self._run()

    async def _run(self) -> int:
        """Serve until the end; return the code of the close: ours, or the client's (1006: it went without one)."""
        reading = asyncio.create_task(self._read())
        self._soon(self._watch_receipts())
        self._soon(self._watch_drain())
        timer = self._loop.call_later(self._limits.init_seconds or NEVER_SECONDS, self._check_init)
        try:
            ends: set[asyncio.Future[Any]] = {reading, self._ending}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                closed = self._ending.result()
                await self._send_event({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
                return closed.code
        finally:
            timer.cancel()
            if self._receipt_timer is not None:
                self._receipt_timer.cancel()
            try:
                await self._end_operations()
                await _cancelled(reading, *self._background)
            finally:
                self._leave_presence()  # now that nothing here can enter again
        return self._leave_code or WENT_WITHOUT_A_WORD

    async def _read(self) -> None:
        while (event := await self._receive())["type"] == "websocket.receive":
            try:
                await self._handle(event.get("text"))
            except Closed as closed:
                self._end(closed)
            except Exception:
                logger.exception("A frame could not be handled")
                self._end(Closed(TRY_AGAIN, "Internal error"))
        self._leave_code = cast("int | None", event.get("code"))

    async def _handle(self, text: str | None) -> None:
        message = message_in(text)
        message_type = message.get("type")
        handler = self._handlers.get(message_type) if isinstance(message_type, str) else None
        if handler is None:
            raise Closed(BAD_REQUEST, "Unknown message type")
        if not self._is_receipt(message):
            await self._keep_pace()
        await handler(message)

    def _is_receipt(self, message: dict[str, Any]) -> bool:
        """Whether it is a pong that was asked for: a client sends as many as the server wants of it."""
        return message["type"] == "pong" and self._window.awaits(_number_in(payload_of(message)))

    async def _keep_pace(self) -> None:
        """Read on when the client may send another frame. It waits too, or is sent away where it would send on."""
        while seconds := self._frames.take(self._loop.time()):
            if not self._may_wait:
                raise Closed(TOO_MUCH_AT_ONCE, "Too many messages at once: come back")
            await asyncio.sleep(seconds)

    # One method per message of the protocol

    async def handle_connection_init(self, message: dict[str, Any]) -> None:
        if self._init_received:
            raise Closed(TOO_MANY_INITS, "Too many initialisation requests")
        self._init_received = True
        self.credentials = replace(self.credentials, authorization=authorization_in(payload_of(message)))
        viewer = await self._viewer()
        if viewer.key and not self._seats.take(f"viewer {viewer.key}", self._limits.sockets_per_viewer):
            raise Closed(TOO_MANY_SOCKETS, "You have too many sockets open: close some, or come back later")
        self._acknowledged = True
        await self._send({"type": "connection_ack"})

    async def handle_ping(self, message: dict[str, Any]) -> None:
        payload = payload_of(message)
        await self._reply({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})

    async def handle_pong(self, message: dict[str, Any]) -> None:
        """A signed receipt; one for a ping that was never sent is heard and forgotten."""
        number = _number_in(payload_of(message))
        for operation_id, position in self._window.pong(number, self._loop.time()).items():
            if operation := self._operations.get(operation_id):
                operation.progress.confirm(position)
        self._confirmed.set()
        self._confirmed = asyncio.Event()

    async def handle_subscribe(self, message: dict[str, Any]) -> None:
        if not self._acknowledged:
            raise Closed(UNAUTHORIZED, "Unauthorized")
        operation_id = id_of(message)
        if self._draining:
            return  # the client sends it again to the server that it finds next
        if operation_id in self._operations:
            raise Closed(SUBSCRIBER_EXISTS, f"Subscriber for {operation_id} already exists")
        try:
            request = operation_request(message.get("payload"))
        except Refusal as refusal:
            raise Closed(BAD_REQUEST, f"Invalid subscribe payload: {refusal.message}") from refusal
        if 0 < self._limits.socket_operations <= len(self._operations):
            refused = RateLimited(CROWDED_SECONDS, "Too many operations at once on this socket.")
            await self._reply({"id": operation_id, "type": "error", "payload": [refusal_presented(refused)]})
            return
        progress = Progress(self._served.receipts)
        task = asyncio.create_task(self._operate(operation_id, request, progress))
        self._operations[operation_id] = Operation(task, progress)

    async def handle_complete(self, message: dict[str, Any]) -> None:
        if operation := self._retire(id_of(message), forget=True):
            operation.task.cancel()

    # Operations

    async def _operate(self, operation_id: str, request: OperationRequest, progress: Progress) -> None:
        """Run one operation to its end, which the client is told unless it ended the operation itself."""
        with traced("Operation") as trace:
            try:
                trace.status = await self._stream(operation_id, request, progress)
            except Closed as closed:
                trace.status = closed.code
                self._end(closed)
            except Exception:
                trace.status = TRY_AGAIN
                logger.exception("An operation failed outside of its resolvers")
                self._end(Closed(TRY_AGAIN, "Internal error"))

    async def _stream(self, operation_id: str, request: OperationRequest, progress: Progress) -> str:
        """Run one operation to its end; return how the client was told of that."""
        viewer = await self._viewer()
        progress.key = operation_key(viewer, operation_id, request)
        context = Context(
            viewer=viewer,
            remember=self._remember,
            forget=self._forget,
            address=self._address,
            hub=self._served.hub,
            progress=progress,
            on_lost=partial(self._lose, operation_id),
        )
        async with aclosing(operate(self._served.schema, request, context)) as results:
            async for result in results:
                _require_uninterrupted(result)
                if is_request_error(result):
                    await self._finish(operation_id, {"type": "error", "payload": _presented(result.errors)})
                    return "error"
                await self._send_next(operation_id, _execution_result(result), progress.position)
        await self._finish(operation_id, {"type": "complete"})
        return "complete"

    async def _send_next(self, operation_id: str, payload: dict[str, Any], position: int | None) -> None:
        """Send a result once there is room for it. Until then the log is the buffer, and the cursor waits."""
        await self._room()
        size = await self._send({"id": operation_id, "type": "next", "payload": payload})
        self._window.sent(size, operation_id, position)
        await self._ask_for_receipt()

    async def _finish(self, operation_id: str, message: dict[str, Any]) -> None:
        """Send an operation's last message, once there is room for it: until then it counts as running.

        Its id is free again before the client can know that it is.
        """
        await self._room()
        self._retire(operation_id, forget=True)
        self._window.sent(await self._send({"id": operation_id, **message}))
        await self._ask_for_receipt()

    async def _room(self) -> None:
        while self._window.is_full:
            await self._confirmed.wait()

    def _lose(self, operation_id: str, refusal: Exception) -> None:
        """End a subscription whose room may not be read any more: not one event after this."""
        if operation := self._retire(operation_id, forget=True):
            operation.task.cancel()
            errors = _presented([GraphQLError(str(refusal), original_error=refusal)])
            self._soon(self._send({"id": operation_id, "type": "error", "payload": errors}))

    def _retire(self, operation_id: str, *, forget: bool) -> Operation | None:
        if operation := self._operations.pop(operation_id, None):
            self._window.forget(operation_id)
            operation.progress.end(forget=forget)
        return operation

    def _soon(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do ``work`` beside what calls this; it ends with the socket."""
        self._background.add(task := asyncio.create_task(work))
        task.add_done_callback(self._background.discard)

    async def _end_operations(self) -> None:
        """End what still runs: for good if the client left on purpose, else for it to come back to."""
        forget = self._leave_code in LEFT_ON_PURPOSE
        running = [self._retire(operation_id, forget=forget) for operation_id in list(self._operations)]
        await _cancelled(*(operation.task for operation in running if operation))

    async def _reply(self, message: dict[str, Any]) -> None:
        """Send what can't wait for room. Who goes on asking for it and confirms nothing is sent away."""
        self._window.sent(await self._send(message))
        if self._window.is_overrun:
            raise Closed(TOO_MUCH_AT_ONCE, "Too much was asked for and not confirmed: come back")
        await self._ask_for_receipt()

    # Receipts

    async def _ask_for_receipt(self) -> None:
        if self._window.wants_receipt_now:
            await self._ping()
        elif self._receipt_timer is None:
            self._receipt_timer = self._loop.call_later(self._pace.receipt_seconds, self._ping_later)

    def _ping_later(self) -> None:
        self._receipt_timer = None
        if self._window.has_unreceipted:
            self._soon(self._ping())

    async def _ping(self) -> None:
        number = self._window.ping(self._loop.time())
        await self._send({"type": "ping", "payload": {"receipt": number}})

    async def _watch_receipts(self) -> None:
        """Ask for a sign of life where nothing else was asked for, and end a socket that gives none."""
        while True:
            await asyncio.sleep(self._pace.heartbeat_seconds / 4)
            now, since = self._loop.time(), self._window.waiting_since
            if since is not None:
                if now - since >= (self._limits.socket_silence_seconds or NEVER_SECONDS):
                    self._end(Closed(NO_RECEIPT, "Nothing was confirmed for too long: come back"))
            elif self._acknowledged and now - self._window.pinged_at >= self._pace.heartbeat_seconds:
                await self._ping()

    # The socket

    async def _watch_drain(self) -> None:
        """When the server ends, let what runs to an end do so, and send the client to another one."""
        if self._drain is None:
            return
        await self._drain["began"].wait()
        await asyncio.sleep(self._drain["delay_seconds"])
        self._draining = True
        await self._finite_operations(self._pace.drain_seconds)
        self._end(Closed(SERVICE_RESTART, "Service restart: come back"))

    # Who the client is

    async def _viewer(self) -> Viewer:
        """Who the client is now, asked anew for each operation: a session or an account may have ended meanwhile."""
        rechecks = self._served.sockets.rechecks
        viewer = await self._authenticated()
        if viewer.key != self.viewer_key:
            self._enter_presence(viewer)
            self.rights = await in_database(rights_of, viewer) if viewer.is_staff else frozenset()
            if self._served.sockets.rechecks != rechecks:  # perhaps after this was read, and before we were there
                self._served.sockets.recheck(self.viewer_key or "")
        self.stay_until(viewer.ends_at)
        return viewer

    async def _authenticated(self) -> Viewer:
        shown = self.credentials
        if shown.session_key is None and shown.authorization is None:
            return NOBODY
        try:
            await keys_ready([token_in(shown.authorization)])
            viewer = await in_database(authenticate, session_of(shown.session_key), shown.authorization)
            note_viewer(viewer.key)
            return viewer
        except Refusal as refusal:
            raise Closed(FORBIDDEN, f"Forbidden: {refusal.message}") from refusal

    def _enter_presence(self, viewer: Viewer) -> None:
        """Nobody may become somebody. Whoever was somebody stays that: what runs here was begun as that one."""
        if self.viewer_key is not None or viewer.key is None:
            raise Closed(FORBIDDEN, NO_LONGER)
        self.viewer_key = viewer.key
        self._served.sockets.enter(viewer.key, self)
        self._served.hub.start()  # it is by the same broker that other processes tell of who ends

    def _leave_presence(self) -> None:
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        if self.viewer_key is not None:
            self._served.sockets.leave(self.viewer_key, self)

    def stay_until(self, ends_at: datetime | None) -> None:
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        if ends_at is not None and self.viewer_key is not None:
            seconds = (ends_at - timezone.now()).total_seconds()
            self._expiry_timer = self._loop.call_later(
                max(seconds, 0) + EXPIRY_SLACK_SECONDS, self._served.sockets.recheck, self.viewer_key
            )

    def forbid(self) -> None:
        """End the socket, but let an answer that is on its way go first: that to ``logout`` is one."""
        self._soon(self._end_forbidden())

    async def _end_forbidden(self) -> None:
        await self._finite_operations(ANSWER_SECONDS)
        self._end(Closed(FORBIDDEN, NO_LONGER))

    async def _finite_operations(self, seconds: float) -> None:
        finite = [each.task for each in self._operations.values() if each.progress.position is None]
        if finite:
            await asyncio.wait(finite, timeout=seconds)

    def _remember(self, viewer: Viewer) -> None:
        if self.viewer_key is None:
            self.credentials = replace(self.credentials, authorization=f"Bearer {viewer.token}")

    def _forget(self) -> None:
        if self.credentials.authorization is None and self.credentials.session_key is not None:
            session_of(self.credentials.session_key).flush()

    def _check_init(self) -> None:
        if not self._init_received:
            self._end(Closed(INIT_TIMEOUT, "Connection initialisation timeout"))

    def _end(self, closed: Closed) -> None:
        if not self._ending.done():
            self._ending.set_result(closed)

    async def _send(self, message: dict[str, Any]) -> int:
        """Send a message of the protocol and return its size in bytes."""
        text = json.dumps(message, separators=(",", ":"))
        if not self._ending.done():
            await self._send_event({"type": "websocket.send", "text": text, "bytes": None})
        return len(text)


def _number_in(payload: dict[str, Any] | None) -> int | None:
    """The receipt that a pong signs; None for the oldest, 0 for none that there is."""
    if payload is None:
        return None
    number = payload.get("receipt")
    return number if type(number) is int else 0


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


def _presented(errors: list[GraphQLError] | None) -> list[dict[str, Any]]:
    return [presented(error) for error in errors or []]


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
