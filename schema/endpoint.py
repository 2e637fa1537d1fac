"""GraphQL over HTTP as an ASGI application: past Django's handler, with its requests, responses and middleware.

Django's handler makes a thread for each request, and tells signals of it, which nobody here listens to. What GraphQL
does in the database it does in the pool of ``rooms.threads`` like the sockets do, so a request needs no thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from django.utils.log import log_response

from .http import answer, wants_page
from .inline import within_middleware
from .middleware import Application, Headers, Receive, Refused, Send, told_once
from .paths import is_graphql

FOR_PAGES = {  # and for files: they have nothing to say to programs
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
}


def graphql_beside(pages: Application, middleware: Sequence[str]) -> Application:
    """The application for ``/graphql/``; the page there, and all other addresses, are those of ``pages``.

    ``middleware`` is Django's own list, so that one rule has one place. To be called with a body that is there in one
    piece: see ``middleware.around``.
    """
    served = within_middleware(answer, [name for name in middleware if name not in FOR_PAGES])

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if not is_graphql(scope):
            return await pages(scope, receive, send)
        body: bytes = (await receive())["body"]
        request = _request(scope, body)
        if wants_page(request):
            return await pages(scope, told_once(body), send)
        await _send(await served(request), request, send)
        return None

    return serve


def _request(scope: Any, body: bytes) -> ASGIRequest:
    try:
        return ASGIRequest(scope, BytesIO(body))
    except UnicodeDecodeError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "The query string must be ASCII: write it percent-encoded.") from error


async def _send(response: Any, request: ASGIRequest, send: Send) -> None:
    """As Django's handler does, its line in the log for what was refused included."""
    if response.status_code >= 400:
        log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
    await send({"type": "http.response.start", "status": response.status_code, "headers": _headers(response)})
    await send({"type": "http.response.body", "body": response.content, "more_body": False})


def _headers(response: HttpResponseBase) -> Headers:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    cookies = (cookie.output(header="").strip().encode("ascii") for cookie in response.cookies.values())
    return headers + [(b"Set-Cookie", cookie) for cookie in cookies]
