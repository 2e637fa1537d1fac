"""One client's socket, from its acceptance to its end: graphql-transport-ws, message by message.

The protocol is https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Its pings are the receipts of
``pacing``: one follows each burst of messages, and what the pongs confirm is what ``receipts`` remembers.

Concurrency: the socket's own task reads frames; each operation begins in a task of its own, which waits for its turn.
That of a shared subscription ends once it has begun: from then on it is a member of its cohort, which needs none.
Lifecycle: a socket ends when its client leaves, when ``Closed`` is raised, or when the server drains; its operations
end with it.
Invariants: every frame is answered as the protocol says or ends the socket with a code and a reason. While nothing is
read, for too many operations wait or too much was said, nothing waits for a pong that is among what is not read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable
from graphql import GraphQLError, OperationType

from rooms.exceptions import RateLimited, Refusal
from rooms.identity import Flawed
from rooms.rates import Bucket

from .census import Seats
from .closing import (
    BAD_REQUEST,
    FORBIDDEN,
    INIT_TIMEOUT,
    SERVICE_RESTART,
    SUBSCRIBER_EXISTS,
    TOO_MANY_INITS,
    TOO_MANY_SOCKETS,
    TOO_MUCH_AT_ONCE,
    TRY_AGAIN,
    UNAUTHORIZED,
    Closed,
)
from .context import Context, Credentials
from .documents import Document
from .errors import Interrupted, presented, refusal_in, refusal_presented
from .flow import Flow, encoded
from .live import Live, Refused, begun_live
from .messages import (
    bearer_shown,
    id_of,
    may_be_pinged,
    message_in,
    payload_of,
    receipt_in,
    signed_in,
    unknown_type,
)
from .operations import Result, Written, answered, events, is_request_error, prepared
from .outlets import EXTENSION as FRAMES
from .outlets import PINGS, outlet_of
from .receipts import Progress, operation_key
from .recognition import NO_LONGER, Recognition
from .requests import OperationRequest, operation_request
from .served import Drain, Served
from .sharing import Shared, shared_in
from .tracing import Trace, traced
from .turns import Turn, Turns

logger = logging.getLogger(__name__)

WENT_WITHOUT_A_WORD = 1006
NEVER_SECONDS = float("inf")
CROWDED_SECONDS = 1.0  # nobody knows when an operation will end: to try again that often does no harm
HELD_UP_SECONDS = 0.05  # between looks at what the network has taken, where none of those that wait gets on
ANSWER_SECONDS = 0.5
FLUSH_SECONDS = 2.0  # what was said before a close has this long to be taken by the server, and so has the close

CROWDED = "Too many operations wait on this socket: wait for some of their results before you ask for more."
CROWDED_BY_SUBSCRIPTIONS = "Too many subscriptions on this socket: complete one of them, or open another socket."

# RFC 6455, section 7.4.1: the client is done, or its page is going away. Not 1005: uvicorn says it of lost connections.
LEFT_ON_PURPOSE = (1000, 1001)


@dataclass(eq=False)
class Operation:
    """A running operation, or one that waits. ``progress.position`` is None unless it is a subscription that has begun.

    ``task`` is done, and ``live`` is how it goes on, where it is a shared subscription.
    """

    task: asyncio.Task[None]
    progress: Progress
    turn: Turn
    live: Live | None = None
    is_subscription: bool = False

    def stop(self) -> None:
        self.task.cancel()
        if self.live is not None:
            self.live.stop()


class Socket:
    """One client's socket, accepted. ``may_wait``: where nothing is read from it, the client can send no more."""

    def __init__(
        self,
        served: Served,
        shown: Credentials,
        address: str | None,
        extensions: dict[str, Any],
        seats: Seats,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        self._served = served
        self._limits = served.limits
        self._pace = served.pace
        self._seats = seats
        self._may_wait = "salas.backpressure" in extensions
        self._address = address
        self._drain: Drain | None = extensions.get("salas.drain")
        self._receive = receive
        self._send_event = send
        self._init_received = False
        self._operations: dict[str, Operation] = {}
        self._loop = asyncio.get_running_loop()
        self._flow = Flow(
            outlet_of(extensions, send),
            served.pacemaker,
            pace=self._pace,
            window_bytes=self._limits.socket_window_bytes,
            silence_seconds=self._limits.socket_silence_seconds,
            end=self._end,
            ping_frame=extensions[PINGS]["send"] if PINGS in extensions else None,
        )
        self._client = Recognition(
            served.sockets, served.identities, served.hub, shown, self._pace.identity_seconds, self._forbid
        )
        if FRAMES in extensions:
            extensions[FRAMES]["listen"](self._take)
        if PINGS in extensions:
            extensions[PINGS]["listen"](self._take_pong)
        self._turns = Turns(
            self._limits.socket_operations, self._limits.socket_waiting_operations, self._limits.body_bytes
        )
        self._frames = Bucket(self._limits.socket_frame_burst, self._limits.socket_frames_per_second)
        self._frame_size = 0  # of that which is handled
        self._background: set[asyncio.Task[Any]] = set()
        self._leave_code: int | None = None
        self._draining = False
        self._reading: asyncio.Task[Any] | None = None  # the socket's own task, while it waits for frames
        self._closed: Closed | None = None

    async def run(self) -> None:
        """Serve until the client leaves or the socket is closed. Never raises but on cancellation."""
        with traced("Socket") as trace:
            trace.status = await self._run()

    async def _run(self) -> int:
        """Serve until the end; return the code of the close: ours, or the client's (1006: it went without one)."""
        if self._drain is not None:
            self._drain["began"].call(self._begin_drain)
        timer = self._loop.call_later(self._limits.init_seconds or NEVER_SECONDS, self._check_init)
        try:
            await self._read()
            if self._closed is not None:
                await self._close(self._closed)
                return self._closed.code
        finally:
            timer.cancel()
            self._drain = None
            self._flow.leave()
            try:
                await self._end_operations()
                await _cancelled(*self._background)
            finally:
                self._client.leave()  # now that nothing here can enter again
        return self._leave_code or WENT_WITHOUT_A_WORD

    async def _read(self) -> None:
        """Handle frames until the client leaves or the socket is to be closed."""
        self._reading = asyncio.current_task()
        try:
            while self._closed is None:
                event = await self._receive()
                if event["type"] != "websocket.receive":
                    self._leave_code = cast("int | None", event.get("code"))
                    return
                text = event.get("text")
                await self._handle_frame(event.get("bytes") or b"" if text is None else text)
        except asyncio.CancelledError:
            # Ours, to stop waiting for a frame, unless somebody else has cancelled the task as well.
            if self._closed is None or (self._reading is not None and self._reading.uncancel() > 0):
                raise
        finally:
            self._reading = None

    async def _handle_frame(self, frame: str | bytes) -> None:
        try:
            await self._handle(frame)
        except Closed as closed:
            self._end(closed)
        except Exception:
            logger.exception("A frame could not be handled")
            self._end(Closed(TRY_AGAIN, "Internal error"))

    async def _handle(self, frame: str | bytes) -> None:
        message = message_in(frame)
        message_type = message.get("type")
        handler = self._HANDLERS.get(message_type) if isinstance(message_type, str) else None
        if handler is None:
            raise unknown_type(message_type)
        if not self._is_receipt(message):
            await self._keep_pace()
        self._frame_size = len(frame)
        await handler(self, message)

    def _is_receipt(self, message: dict[str, Any]) -> bool:
        """Whether it is a pong that was asked for: a client sends as many as the server wants of it."""
        return message["type"] == "pong" and self._flow.awaits(signed_in(payload_of(message)))

    async def _keep_pace(self) -> None:
        """Read on when the client may send another frame. It waits too, or is sent away where it would send on."""
        while seconds := self._frames.take(self._loop.time()):
            if not self._may_wait:
                raise Closed(TOO_MUCH_AT_ONCE, "Too many messages at once: come back")
            self._flow.excuse()
            await asyncio.sleep(seconds)

    # One method per message of the protocol

    async def handle_connection_init(self, message: dict[str, Any]) -> None:
        if self._init_received:
            raise Closed(TOO_MANY_INITS, "Too many initialisation requests")
        self._init_received = True
        payload = payload_of(message)
        may_be_asked = may_be_pinged(payload)
        self._client.show(bearer_shown(payload))
        viewer = await self._client.viewer()
        if viewer.key and not self._seats.take(f"viewer {viewer.key}", self._limits.sockets_per_viewer):
            raise Closed(TOO_MANY_SOCKETS, "You have too many sockets open: close some, or come back later")
        self._flow.acknowledge(may_ask_by_message=may_be_asked)

    async def handle_ping(self, message: dict[str, Any]) -> None:
        payload = payload_of(message)
        self._flow.reply({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})

    async def handle_pong(self, message: dict[str, Any]) -> None:
        """A signed receipt, or a sign of life; one for a ping that was never sent is heard and forgotten."""
        number = signed_in(payload_of(message))
        if number is None:
            self._flow.unsigned_pong()
        else:
            self._confirm(number)

    def _take(self, text: bytes) -> bool:
        """Take what most frames are, a receipt that is waited for, without going through all that others go through."""
        number = receipt_in(text)
        if number is None or self._closed is not None or not self._flow.awaits(number):
            return False
        try:
            self._confirm(number)
        except Exception:
            logger.exception("A receipt could not be taken")
            self._end(Closed(TRY_AGAIN, "Internal error"))
        return True

    def _take_pong(self, payload: bytes) -> None:
        """Take the answer to a ping of the WebSocket's own; a pong to none of ours says nothing."""
        if self._closed is not None or not payload.isdigit():
            return
        try:
            self._flow.frame_pong(int(payload))
        except Exception:
            logger.exception("A pong could not be taken")
            self._end(Closed(TRY_AGAIN, "Internal error"))

    def _confirm(self, number: int) -> None:
        for operation_id, position in self._flow.pong(number).items():
            if operation := self._operations.get(operation_id):
                operation.progress.confirm(position)

    async def handle_subscribe(self, message: dict[str, Any]) -> None:
        if not self._flow.is_acknowledged:
            raise Closed(UNAUTHORIZED, "Unauthorized")
        operation_id = id_of(message)
        await self._hold()
        if self._draining:
            return  # the client sends it again to the server that it finds next
        if operation_id in self._operations:
            raise Closed(SUBSCRIBER_EXISTS, f"Subscriber for {operation_id} already exists")
        try:
            request = operation_request(message.get("payload"))
        except Refusal as refusal:
            raise Closed(BAD_REQUEST, f"Invalid subscribe payload: {refusal.message}") from refusal
        if self._turns.is_full:
            self._flow.reply(_error(operation_id, [refusal_presented(RateLimited(CROWDED_SECONDS, CROWDED))]))
            return
        progress, turn = Progress(self._served.receipts), self._turns.enter(self._frame_size)
        task = asyncio.create_task(self._operate(operation_id, request, progress, turn))
        self._operations[operation_id] = Operation(task, progress, turn)

    async def _hold(self) -> None:
        """Read on once another operation may wait for its turn, where the client can wait too."""
        while self._may_wait and self._turns.is_full:
            self._flow.excuse()
            await self._turns.room(HELD_UP_SECONDS)

    async def handle_complete(self, message: dict[str, Any]) -> None:
        if operation := self._retire(id_of(message), forget=True):
            operation.stop()

    _HANDLERS: ClassVar[dict[str, Callable[[Socket, dict[str, Any]], Awaitable[None]]]] = {
        "connection_init": handle_connection_init,
        "ping": handle_ping,
        "pong": handle_pong,
        "subscribe": handle_subscribe,
        "complete": handle_complete,
    }

    # Operations

    async def _operate(self, operation_id: str, request: OperationRequest, progress: Progress, turn: Turn) -> None:
        """Run one operation to its end, which the client is told unless it ended the operation itself."""
        with traced("Operation") as trace:
            try:
                await turn.come()
                trace.status = await self._stream(operation_id, request, progress, trace)
            except Closed as closed:
                trace.status = closed.code
                self._end(closed)
            except Exception:
                trace.status = TRY_AGAIN
                logger.exception("An operation failed outside of its resolvers")
                self._end(Closed(TRY_AGAIN, "Internal error"))

    async def _stream(self, operation_id: str, request: OperationRequest, progress: Progress, trace: Trace) -> str:
        """Run one operation to its end, or a shared subscription to its beginning; return how the client was told."""
        viewer = await self._client.viewer()
        progress.name = partial(operation_key, viewer, operation_id, request)
        context = Context(
            viewer=viewer,
            remember=self._client.remember,
            forget=self._client.forget,
            address=self._address,
            hub=self._served.hub,
            progress=progress,
            beginnings=self._served.beginnings,
            on_lost=partial(self._lose, operation_id),
        )
        document = prepared(self._served.schema, request, context)
        if not isinstance(document, Document):
            self._heed_flaw(context, document)
            return await self._refuse(operation_id, document)
        if document.operation.operation is not OperationType.SUBSCRIPTION:
            result = await answered(self._served.schema, document, request, context)
            self._heed_flaw(context, result)
            if is_request_error(result):
                return await self._refuse(operation_id, result)
            return await self._finish(operation_id, _next(operation_id, result), _complete(operation_id))
        if self._is_one_too_many(operation_id):
            refused = RateLimited(CROWDED_SECONDS, CROWDED_BY_SUBSCRIPTIONS)
            await self._finish(operation_id, _error(operation_id, [refusal_presented(refused)]))
            return "error"
        if (shared := shared_in(document, request.variables)) is not None:
            return await self._follow(operation_id, shared, context, trace)
        self._operations[operation_id].turn.over()
        async with aclosing(events(self._served.schema, document, request, context)) as results:
            async for result in results:
                _require_uninterrupted(result)
                if is_request_error(result):
                    return await self._refuse(operation_id, result)
                message = _next(operation_id, result)
                await self._flow.put(message, operation_id=operation_id, position=progress.position)
        return await self._finish(operation_id, _complete(operation_id))

    def _heed_flaw(self, context: Context, result: Result) -> None:
        """End the socket where its client has shown a token that is not in force and wants what needs one.

        A query or a mutation is answered before; a subscription goes on where its client comes back with another token.
        """
        if (refusal := _flaw_in(result)) is None:
            return
        forbidden = Closed(FORBIDDEN, f"Forbidden: {refusal.message}")
        if context.document and context.document.operation.operation is OperationType.SUBSCRIPTION:
            raise forbidden
        self._soon(self._end_answered(forbidden))

    def _is_one_too_many(self, operation_id: str) -> bool:
        """Note that the operation is a subscription; return whether as many as may be are there already."""
        others = sum(each.is_subscription for each in self._operations.values())
        self._operations[operation_id].is_subscription = True
        return 0 < self._limits.socket_operations <= others

    async def _refuse(self, operation_id: str, result: Result) -> str:
        await self._finish(operation_id, _error(operation_id, _presented(result.errors)))
        return "error"

    async def _finish(self, operation_id: str, *messages: dict[str, Any] | bytes) -> str:
        """Send an operation's last messages, once there is room for them: until then it counts as running.

        Its id is free again before the client can know that it is.
        """
        await self._flow.room()
        self._retire(operation_id, forget=True)
        await self._flow.put(*messages)
        return "complete"

    def _lose(self, operation_id: str, refusal: Exception) -> None:
        """End a subscription that may not go on: not one event after this.

        It was refused, since its room may not be read any more; or its log was replaced, and the client comes back.
        """
        if not isinstance(refusal, Refusal):
            self._fail(operation_id, refusal)
        elif operation := self._retire(operation_id, forget=True):
            operation.stop()
            errors = _presented([GraphQLError(str(refusal), original_error=refusal)])
            self._flow.say(_error(operation_id, errors))

    # Shared subscriptions

    async def _follow(self, operation_id: str, shared: Shared, context: Context, trace: Trace) -> str:
        """Begin a shared subscription. What is refused is an error of the operation, as in any execution."""
        fail = partial(self._fail, operation_id)
        try:
            live = await begun_live(shared, context, self._served.cohorts, self._flow, operation_id, fail, trace)
        except Refused as refused:
            await self._finish(operation_id, _error(operation_id, refused.payload))
            return "error"
        except Interrupted as interrupted:
            logger.error("A subscription could not begin", exc_info=interrupted)
            raise _interrupted() from interrupted
        except Refusal:
            return "error"  # which was told by ``_lose``
        operation = self._operations[operation_id]
        operation.live = live
        operation.turn.over()
        live.member.go_on()
        return ""

    def _fail(self, operation_id: str, error: Exception) -> None:
        """End the socket, since one of its subscriptions can't go on: the client comes back."""
        logger.error("A subscription was interrupted", exc_info=error)
        if (operation := self._operations.get(operation_id)) and operation.live is not None:
            operation.live.trace.status = TRY_AGAIN
        self._end(_interrupted())

    def _retire(self, operation_id: str, *, forget: bool) -> Operation | None:
        if operation := self._operations.pop(operation_id, None):
            self._flow.forget(operation_id)
            operation.turn.over()
            operation.progress.end(forget=forget)
        return operation

    def _soon(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do ``work`` beside what calls this; it ends with the socket."""
        self._background.add(task := asyncio.create_task(self._guarded(work)))
        task.add_done_callback(self._background.discard)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception:
            logger.exception("A socket's own work failed")
            self._end(Closed(TRY_AGAIN, "Internal error"))

    async def _end_operations(self) -> None:
        """End what still runs: for good if the client left on purpose, else for it to come back to."""
        forget = self._leave_code in LEFT_ON_PURPOSE
        running = [self._retire(operation_id, forget=forget) for operation_id in list(self._operations)]
        for operation in running:
            if operation is not None:
                operation.stop()
        await _cancelled(*(operation.task for operation in running if operation))

    # The socket

    def _begin_drain(self) -> None:
        if self._drain is not None:  # else the socket has ended
            self._soon(self._leave_server(self._drain["delay_seconds"]))

    async def _leave_server(self, delay_seconds: float) -> None:
        """When the server ends, let what runs to an end do so, and send the client to another one."""
        await asyncio.sleep(delay_seconds)
        self._draining = True
        await self._finite_operations(self._pace.drain_seconds)
        self._end(Closed(SERVICE_RESTART, "Service restart: come back"))

    def _forbid(self) -> None:
        """End the socket, but let an answer that is on its way go first: that to ``logout`` is one."""
        self._soon(self._end_answered(Closed(FORBIDDEN, NO_LONGER)))

    async def _end_answered(self, closed: Closed) -> None:
        await self._finite_operations(ANSWER_SECONDS)
        self._end(closed)

    async def _finite_operations(self, seconds: float) -> None:
        finite = [each.task for each in self._operations.values() if each.progress.position is None]
        if finite:
            await asyncio.wait(finite, timeout=seconds)

    def _check_init(self) -> None:
        if not self._init_received:
            self._end(Closed(INIT_TIMEOUT, "Connection initialisation timeout"))

    def _end(self, closed: Closed) -> None:
        """Let the socket be closed: by its own task, which waits for a frame, or is handling one."""
        if self._closed is None:
            self._closed = closed
            self._flow.shut()
            if self._reading is not None and self._reading is not asyncio.current_task():
                self._reading.cancel()

    async def _close(self, closed: Closed) -> None:
        """Some servers wait until the client takes what was sent before, and raise OSError where it has gone."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._flow.flushed()
                await self._send_event({"type": "websocket.close", "code": closed.code, "reason": closed.reason})


def _error(operation_id: str, errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": operation_id, "type": "error", "payload": errors}


def _complete(operation_id: str) -> dict[str, Any]:
    return {"id": operation_id, "type": "complete"}


def _next(operation_id: str, result: Result) -> dict[str, Any] | bytes:
    """The message ``next``, encoded where its payload is."""
    head = {"id": operation_id, "type": "next"}
    if isinstance(result, Written):
        return b'%b,"payload":%b}' % (encoded(head)[:-1], result.payload)
    payload: dict[str, Any] = {"data": result.data}
    if result.errors:
        payload["errors"] = _presented(result.errors)
    if result.extensions:
        payload["extensions"] = result.extensions
    return {**head, "payload": payload}


def _flaw_in(result: Result) -> Refusal | None:
    """Why credentials did not count, where the result needed some."""
    found = (refusal_in(error) for error in result.errors or [])
    return next((refusal for refusal in found if isinstance(refusal, Flawed)), None)


def _require_uninterrupted(result: Result) -> None:
    """Raise Closed when a subscription was interrupted: clients take an error and ``complete`` for a normal end, and
    come back only to a closed socket."""
    if any(isinstance(error.original_error, Interrupted) for error in result.errors or []):
        raise _interrupted()


def _interrupted() -> Closed:
    return Closed(TRY_AGAIN, "Interrupted: go on from the last cursor")


def _presented(errors: list[GraphQLError] | None) -> list[dict[str, Any]]:
    return [presented(error) for error in errors or []]


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
