"""What stands around Django: bodies within bounds, an id for each request, and JSON whatever fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pytest
from django.core.handlers.asgi import ASGIHandler
from pytest_django import Settings

from config.asgi import http_application
from config.limits import Limits
from schema.middleware import around

pytestmark = pytest.mark.django_db(transaction=True)

JSON_BODY = {"content-type": "application/json"}
QUERY = b'{"query": "{ __typename }"}'
NEEDS_VIEWER = b'{"query": "{ viewer { isGuest } }"}'


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The one error of an answer in JSON that nobody may store."""
        assert self.headers["content-type"] == "application/json"
        (error,) = json.loads(self.body)["errors"]
        return error  # type: ignore[no-any-return]


async def ask(
    method: str = "POST",
    path: str = "/graphql/",
    body: Iterable[bytes] = (QUERY,),
    headers: dict[str, str] | None = None,
    application: Any = http_application,
    then: dict[str, Any] | None = None,
    query_string: bytes = b"",
    more_headers: Iterable[tuple[str, str]] = (),
    client: str | None = None,
) -> Answer:
    """Send a request as a server hands it on, its body in pieces, and ``then`` what comes after them."""
    pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
    events = iter([*pieces, then or {"type": "http.request", "body": b"", "more_body": False}])
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return next(events)

    async def send(event: Any) -> None:
        sent.append(dict(event))

    given = {"host": "testserver", **JSON_BODY, **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query_string,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in [*given.items(), *more_headers]],
        "client": (client, 1) if client else None,
    }
    await asyncio.wait_for(application(scope, receive, send), 10)
    if not sent:
        return Answer(0, {}, b"")
    start, *rest = sent
    received = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    once = [name for name, _ in received if name != "set-cookie"]
    assert len(once) == len(set(once))
    return Answer(start["status"], dict(received), b"".join(event.get("body", b"") for event in rest))


async def test_an_answer_has_an_id_of_ours_and_is_not_stored() -> None:
    one, other = await ask(headers={"x-request-id": "mine"}), await ask()
    assert json.loads(one.body)["data"] == {"__typename": "Query"}
    assert one.headers["cache-control"] == "no-store"
    assert len({one.headers["x-request-id"], other.headers["x-request-id"], "mine"}) == 3


async def test_a_masked_error_names_the_request(caplog: pytest.LogCaptureFixture) -> None:
    with patch("schema.http.authenticate", side_effect=ZeroDivisionError("secret detail")):
        answer = await ask()
    assert (answer.status, answer.error["extensions"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert answer.error["extensions"]["requestId"] == answer.headers["x-request-id"]
    assert b"secret" not in answer.body


@pytest.mark.keeps("body_bytes")
async def test_a_body_of_exactly_the_limit_is_taken(settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), body_bytes=len(QUERY))
    assert (await ask(body=[QUERY[:5], QUERY[5:]])).status == 200


@pytest.mark.exceeds("body_bytes")
async def test_a_body_that_grows_over_the_limit_is_refused(settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), body_bytes=len(QUERY) - 1)
    answer = await ask(body=[QUERY[:5], QUERY[5:]])
    assert (answer.status, answer.error["extensions"]["code"]) == (413, "BAD_USER_INPUT")


async def test_a_body_that_says_it_is_too_large_is_not_even_read(settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), body_bytes=len(QUERY))
    answer = await ask(body=[], headers={"content-length": str(len(QUERY) + 1)}, then={"type": "http.disconnect"})
    assert answer.status == 413


async def test_no_limit_takes_any_body(settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), body_bytes=0, document_bytes=0)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    assert (await ask(body=[QUERY, b" " * 300_000])).status == 200


@pytest.mark.exceeds("body_seconds")
async def test_a_body_that_does_not_come_is_not_awaited_for_ever(settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), body_seconds=0.001)

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("it was not asked for")

    waiting = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> Any:
        await waiting.wait()

    async def send(event: Any) -> None:
        sent.append(event)

    await asyncio.wait_for(around(never)({"type": "http", "path": "/graphql/", "headers": []}, receive, send), 10)
    assert sent[0]["status"] == 408


async def test_who_leaves_before_the_request_is_there_is_not_served() -> None:
    assert (await ask(body=[QUERY[:5]], then={"type": "http.disconnect"})).status == 0


@pytest.mark.parametrize("length", ["abc", "-1", "", "1, 1", "+5", "٣", "9" * 5_000])
async def test_a_length_that_is_none(length: str) -> None:
    answer = await ask(headers={"content-length": length.encode().decode("latin-1")})
    assert answer.status in (400, 413)
    assert answer.error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"headers": {"host": "evil.example"}}, 400),
        ({"headers": {"host": "a b"}}, 400),
        ({"headers": {"host": "\xff"}}, 400),
        ({"path": "/graphql/nothing"}, 404),
        ({"path": "/graphql//"}, 404),
        ({"path": "/graphql/\x00"}, 404),
        ({"body": []}, 400),
        ({"headers": {"content-type": "multipart/form-data; boundary=x"}, "body": [b"--x\r\n"]}, 415),
        ({"headers": {"content-type": "multipart/form-data"}}, 415),
        ({"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": [b"query=%7B__typename%7D"]}, 415),
        ({"headers": {"content-type": "text/plain"}}, 415),
        ({"headers": {"content-type": ""}}, 415),
        ({"headers": {"content-type": "application/json; charset=utf-16"}}, 415),
        ({"headers": {"content-type": "application/json; charset=nonsense"}}, 415),
        ({"headers": {"content-type": "\xff"}}, 415),
        ({"headers": {"accept": "text/csv"}}, 406),
        ({"headers": {"accept": ";q=x,,"}}, 406),
        ({"method": "PUT"}, 405),
        ({"method": "OPTIONS"}, 405),
        ({"method": "BREW"}, 405),
        ({"method": "TRACE"}, 405),
        ({"headers": {"cookie": "sessionid=" + "é" * 20}, "body": [NEEDS_VIEWER]}, 403),
        (
            {"headers": {"cookie": "sessionid=x", "origin": "http://[", "referer": "http://["}, "body": [NEEDS_VIEWER]},
            403,
        ),
    ],
    ids=str,
)
async def test_a_malformed_request_is_answered_in_json(request_of: dict[str, Any], status: int) -> None:
    answer = await ask(**request_of)
    assert (answer.status, answer.headers["cache-control"]) == (status, "no-store")
    assert answer.error["message"]
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "cookie",
    ["sessionid=\x00", "sessionid", "=", ";;;", "messages=x; csrftoken=\xff", "django_language=\x00..", "a" * 5_000],
)
async def test_a_cookie_that_chokes_is_nobody_s(cookie: str) -> None:
    answer = await ask(headers={"cookie": cookie, "origin": "http://testserver"})
    assert json.loads(answer.body)["data"] == {"__typename": "Query"}


async def test_what_fails_outside_of_django_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(ASGIHandler, "read_body", side_effect=ZeroDivisionError("secret detail")):
        answer = await ask("GET", headers={"accept": "text/html"}, body=[])
    assert (answer.status, answer.error["extensions"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert b"secret" not in answer.body
    assert "ZeroDivisionError: secret detail" in caplog.text


async def test_html_of_django_s_is_not_answered_at_graphql() -> None:
    async def failing(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"Content-Type", b"text/html"), (b"Content-Length", b"4"), (b"X-Other", b"kept")]
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": b"<h1>", "more_body": False})

    answer = await ask(application=around(failing))
    assert answer.error["extensions"]["requestId"] == answer.headers["x-request-id"]
    assert (answer.headers["content-length"], answer.headers["x-other"]) == (str(len(answer.body)), "kept")
    assert (await ask(application=around(failing), path="/entrar/")).body == b"<h1>"


async def test_the_page_is_not_stored_either() -> None:
    answer = await ask("GET", headers={"accept": "text/html"}, body=[])
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"].startswith("text/html")


# Other sites


async def test_no_other_site_is_let_in_unless_listed() -> None:
    answer = await ask(headers={"origin": "https://app.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    preflight = await ask("OPTIONS", headers=asked, body=[])
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_a_listed_site_is_let_in(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    preflight = await ask("OPTIONS", headers=asked, body=[])
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, "https://app.example")
    assert preflight.headers["cache-control"] == "no-store"
    answer = await ask(headers={"origin": "https://app.example"})
    assert answer.headers["access-control-expose-headers"] == "X-Request-Id"
    assert "access-control-allow-credentials" not in answer.headers
