"""Around the whole of Django, whatever it answers and wherever it fails: ASGI middleware for HTTP.

A request gets its id; its body is read to the end, within bounds, before Django hears of it; and what is answered at
``/graphql/`` is JSON, or the page, and is stored by nobody.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings

from .errors import masked
from .headers import Contradiction
from .paths import GRAPHQL, is_below_graphql, spelled
from .tracing import begin_request, current_request_id, traced

logger = logging.getLogger(__name__)

Event = Mapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

CODES = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 404: "NOT_FOUND", 429: "RATE_LIMITED"}
MESSAGES = {
    400: "The request was refused: is its Host one of ALLOWED_HOSTS, and are its cookies as they were set?",
    403: "The request was refused: it does not show that it comes from a page of this site.",
    404: f"There is nothing at this address: GraphQL is at {GRAPHQL}.",
}
HEADER = b"x-request-id"
OF_THE_BODY = (b"content-type", b"content-length", b"content-encoding")


class Refused(Exception):
    """The request is answered with this status, and Django never hears of it. ``message`` says why, and what to do."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class Left(Exception):
    """The client left before its request was there."""


def around(application: Application) -> Application:
    """``application`` for HTTP, with all that this module does."""

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        answer = Answer(spelled(scope), send)
        if answer.is_graphql:
            with traced("HTTP") as trace:
                await answer_with(application, answer, scope, receive)
                trace.status = answer.status
        else:
            begin_request()
            await answer_with(application, answer, scope, receive)

    return serve


async def answer_with(application: Application, answer: Answer, scope: Any, receive: Receive) -> None:
    try:
        await application(scope, told_once(await body_of(scope, receive)), answer.send)
    except Refused as refused:
        await answer.refuse(refused.status, refused.message)
    except Contradiction as contradiction:
        await answer.refuse(HTTPStatus.BAD_REQUEST, contradiction.message)
    except Left:
        return
    except Exception:
        logger.exception("A request failed outside of Django")
        if answer.status:
            raise
        await answer.refuse(HTTPStatus.INTERNAL_SERVER_ERROR)


async def body_of(scope: Any, receive: Receive) -> bytes:
    """Return the request's body. Raises Refused where it is too large, too slow, or its length no length; and Left."""
    _require_length(scope["headers"])
    try:
        async with asyncio.timeout(settings.LIMITS.body_seconds or None):
            return await _read(receive)
    except TimeoutError:
        message = f"The body did not arrive within {settings.LIMITS.body_seconds:g} seconds: send it again."
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, message) from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Left
        body += event.get("body", b"")
        _require_small(len(body))
        if not event.get("more_body", False):
            return bytes(body)


def _require_length(headers: Headers) -> None:
    """RFC 9110, section 8.6."""
    lengths = {value for name, value in headers if name == b"content-length"}
    if len(lengths) > 1 or not all(value.isdigit() for value in lengths):
        raise Refused(HTTPStatus.BAD_REQUEST, "Content-Length must be one number: that of the body's bytes.")
    for value in lengths:
        _require_small(10**18 if len(value) > 18 else int(value))


def _require_small(size: int) -> None:
    if 0 < settings.LIMITS.body_bytes < size:
        message = f"A body has at most {settings.LIMITS.body_bytes} bytes: ask for less at once."
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def told_once(body: bytes) -> Receive:
    """What Django hears of a request: that it is there, and never that its client has left.

    Told of it, Django gives the request up at once, while a view that runs in a thread goes on and may open a database
    connection that nobody returns to the pool. What was asked for is done; the answer goes nowhere.
    """
    events = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Event:
        for event in events:
            return event
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    return receive


class Answer:
    """What goes back: Django's answer with the request's id, and at ``/graphql/`` no HTML but the page.

    ``status`` is 0 until there is one.
    """

    def __init__(self, scope: Any, send: Send) -> None:
        self._send = send
        self.is_graphql = is_below_graphql(scope)
        self._replaced = False
        self.status = 0

    async def send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            headers: Headers = [(name.lower(), value) for name, value in event.get("headers", ())]
            if self.is_graphql and event["status"] >= 400 and b"json" not in dict(headers).get(b"content-type", b""):
                self._replaced = True
                return await self._say(event["status"], [it for it in headers if it[0] not in OF_THE_BODY])
            event = {**event, "headers": self._own(headers)}
        if not self._replaced:
            await self._send(event)
        return None

    async def refuse(self, status: HTTPStatus, message: str = "") -> None:
        """Say what was never Django's to answer, in JSON at every address."""
        self.status = int(status)
        await self._say(status, [], message)

    async def _say(self, status: int, headers: Headers, message: str = "") -> None:
        body = json.dumps({"errors": [error_of(status, message)]}, separators=(",", ":")).encode()
        own = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": int(status), "headers": self._own([*headers, *own])})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _own(self, headers: Headers) -> Headers:
        """``headers`` with those that every answer has."""
        own = [(HEADER, current_request_id().encode())]
        if self.is_graphql:
            own.append((b"cache-control", b"no-store"))
        names = {name for name, _ in own}
        return [*(it for it in headers if it[0] not in names), *own]


def error_of(status: int, message: str = "") -> dict[str, Any]:
    """The one error of an answer that nobody wrote for GraphQL."""
    if status >= 500:
        return masked()
    said = message or MESSAGES.get(status) or f"{HTTPStatus(status).phrase}."
    return {"message": said, "extensions": {"code": CODES.get(status, "BAD_USER_INPUT")}}
