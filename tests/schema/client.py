"""Django's test client, whose requests go the way that is served: through the ASGI application, not through Django's
handler, which GraphQL goes past.

What the application does in the database it does in the test's thread, so that it sees what a test has not committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from http.cookies import SimpleCookie
from typing import Any
from unittest.mock import patch

from asgiref.sync import AsyncToSync, async_to_sync
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import Client as DjangoClient

from config.asgi import http_application
from rooms import threads


class Client(DjangoClient):
    """As Django's: it keeps cookies, and shows no token against cross-site requests unless that is checked."""

    def __init__(self, enforce_csrf_checks: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.handler: Any = Handler(enforce_csrf_checks)


class Handler:
    """From a WSGI request, which is what Django's client makes, to the response."""

    def __init__(self, enforce_csrf_checks: bool) -> None:
        self._enforce_csrf_checks = enforce_csrf_checks

    def __call__(self, environ: dict[str, Any]) -> HttpResponse:
        body = environ["wsgi.input"].read()
        with csrf_checks(self._enforce_csrf_checks):
            start, *rest = async_to_sync(answered)(scope_of(environ), body)
        response: Any = HttpResponse(b"".join(event["body"] for event in rest), status=start["status"])
        del response["Content-Type"]
        for name, value in start["headers"]:
            if name.lower() == b"set-cookie":
                response.cookies.update(SimpleCookie(value.decode()))
            else:
                response[name.decode()] = value.decode("latin-1")
        response.wsgi_request = None
        return response  # type: ignore[no-any-return]


def scope_of(environ: dict[str, Any]) -> dict[str, Any]:
    headers = {name.removeprefix("HTTP_"): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers |= {name: environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    headers = {"HOST": environ["SERVER_NAME"]} | headers
    return {
        "type": "http",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": environ["PATH_INFO"],
        "query_string": environ["QUERY_STRING"].encode(),
        "headers": [
            (name.lower().replace("_", "-").encode(), str(it).encode("latin-1")) for name, it in headers.items()
        ],
        "client": (environ["REMOTE_ADDR"], 1),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }


def name_of(name: str) -> bytes:
    """A header's, from that which WSGI has for it."""
    return name.lower().replace("_", "-").encode()


async def answered(scope: dict[str, Any], body: bytes) -> list[Any]:
    """The events of the answer."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    with database_work_by(AsyncToSync.executors.current):
        await http_application(scope, receive, send)
    return sent


@contextmanager
def database_work_by(executor: Executor) -> Iterator[None]:
    with ExitStack() as stack:
        for pool in threads.POOLS:
            stack.enter_context(patch.object(pool, "executor", executor))
        yield


@contextmanager
def csrf_checks(enforced: bool) -> Iterator[None]:
    if enforced:
        yield
    else:
        with patch.object(CsrfViewMiddleware, "process_view", return_value=None):
            yield
