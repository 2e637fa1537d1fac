"""What is refused is told in our own words: no library's, which change, and say nothing of what to do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from schema.errors import worded
from tests.services.salas import ROOT

from .sockets import Ended, opened
from .test_middleware import ask

pytestmark = pytest.mark.django_db(transaction=True)

OF_LIBRARIES = re.compile(
    r"codec|decode|Traceback|Expecting|Extra data|Unterminated string starting|Invalid control|\\\\escape|\(char |"
    r"DATA_UPLOAD|settings\.|HTTP_HOST|RFC 1034|Django|Daphne|autobahn|Twisted|psycopg|Exception|Error\(|None\b|found: "
)
BODIES = [
    b"",
    b" ",
    b"{",
    b"x",
    b"{'a': 1}",
    b'{"a": 1} x',
    b'{"a": "\x01"}',
    b'{"a": "\\x"}',
    b'{"a": "\\u00"}',
    b'{"a": "',
    b'{"a" 1}',
    b"[]",
    b"\xff\xfe{}",
    b'{"query": "\xe9"}',
    b"\xef\xbb\xbf{}",
    '{"query": "x"}'.encode("utf-16"),
    b"[" * 100_000,
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5_000 + b"}",
    b'{"query": 1}',
]
GIVEN = [
    ("query ($x: JoinRoomInput!) { __typename a: viewer { isGuest } }", 1),
    ("mutation ($x: JoinRoomInput!) { joinRoom(input: $x) { token } }", 1),
    ("mutation ($x: JoinRoomInput!) { joinRoom(input: $x) { token } }", None),
    ("mutation ($x: JoinRoomInput!) { joinRoom(input: $x) { token } }", {"password": "secret"}),
    ("mutation ($x: JoinRoomInput!) { joinRoom(input: $x) { token } }", {"slug": 1, "displayName": ["secret"]}),
    ("mutation ($x: LoginInput!) { login(input: $x) { token } }", {"username": "a", "password": "secret", "x": None}),
    ("query ($x: Int) { rooms(first: $x) { edges { cursor } } }", "secret"),
    ("query ($x: Boolean) { rooms(archived: $x) { edges { cursor } } }", "secret"),
    ("query ($x: ID!) { node(id: $x) { id } }", ["secret"]),
]


def own(text: str) -> None:
    assert text
    assert OF_LIBRARIES.search(text) is None, text
    assert "secret" not in text


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
async def test_a_bad_body(body: bytes) -> None:
    own((await ask(body=[body])).error["message"])


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
async def test_a_bad_parameter(body: bytes) -> None:
    query = b"query={__typename}&variables=" + b"".join(b"%%%02x" % byte for byte in body[:2_000])
    answer = await ask("GET", query_string=query, body=[])
    if answer.status != 200:
        own(answer.error["message"])


@pytest.mark.parametrize(("document", "value"), GIVEN)
async def test_a_bad_variable(document: str, value: Any) -> None:
    body = json.dumps({"query": document, "variables": {"x": value}}).encode()
    for error in json.loads((await ask(body=[body])).body)["errors"]:
        own(error["message"])


def test_a_bad_variable_is_named_without_its_value() -> None:
    start = "Variable '$x' has invalid value"
    assert worded(f"{start} at .a: String cannot represent a non string value: 'secret: 1'") == (
        f"{start} at .a: String cannot represent a non string value."
    )
    assert worded(f"{start}: Expected value of type 'A' to be an object, found: 'secret'.").endswith("an object.")
    assert worded("Syntax Error: Unexpected character: U+00E9.") == "Syntax Error: Unexpected character: U+00E9."


@pytest.mark.parametrize(
    "request_of",
    [
        {"headers": {"host": "evil.example"}},
        {"headers": {"host": "a b"}},
        {"headers": {"host": "a_b"}},
        {"headers": {"accept": "text/csv"}},
        {"headers": {"content-type": "text/plain"}},
        {"headers": {"content-length": "x"}},
        {"headers": {"content-encoding": "gzip"}},
        {"headers": {"cookie": "sessionid=x", "origin": "http://["}, "body": [b'{"query": "{ viewer { isGuest } }"}']},
        {"method": "GET", "query_string": b"a&" * 2_000},
        {"method": "GET", "query_string": b"query=\xff"},
        {"method": "PUT"},
        {"path": "/graphql/x"},
        {"path": "/graphql//"},
        {"more_headers": [("host", "b")]},
    ],
    ids=str,
)
async def test_a_bad_request(request_of: dict[str, Any]) -> None:
    answer = await ask(**request_of)
    assert answer.status >= 400
    own(answer.error["message"])
    assert " " in answer.error["message"].strip()


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"path": "/nothing", "method": "GET"}, 404),
        ({"path": "/entrar/", "method": "GET", "headers": {"host": "evil.example"}}, 400),
        ({"path": "/admin/login/", "method": "POST", "body": [b""]}, 403),
    ],
)
async def test_a_page_that_is_refused(request_of: dict[str, Any], status: int) -> None:
    answer = await ask(**{"body": [], **request_of})
    assert answer.status == status
    text = re.sub(r"<[^>]+>", " ", answer.body.decode())
    own(text)
    assert "Salas" in text
    assert "style" not in answer.body.decode()


def test_every_page_of_django_s_own_is_replaced() -> None:
    names = {it.name for it in (ROOT / "frontend" / "templates").iterdir()}
    assert {"400.html", "403.html", "403_csrf.html", "404.html", "500.html"} <= names


FRAMES = [
    *(body.decode("utf-8", "replace") for body in BODIES),
    '{"type": 1}',
    '{"type": "x"}',
    '{"type": "connection_init", "payload": 1}',
    '{"type": "connection_init", "payload": {"authorization": 1}}',
    '{"type": "subscribe", "id": 1, "payload": {}}',
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: repr(frame[:20]))
async def test_a_bad_frame(frame: str) -> None:
    async with opened() as socket:
        await socket.send_text(frame)
        await socket.closed()
        own(socket.reason)


@pytest.mark.parametrize(("document", "value"), GIVEN)
async def test_a_bad_variable_over_a_socket(document: str, value: Any) -> None:
    async with opened() as socket:
        await socket.init()
        await socket.subscribe("1", document, x=value)
        message = await socket.receive()
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        for error in errors:
            own(error["message"])


@pytest.mark.parametrize("headers", [{"host": "a b"}, {"host": ""}, {"origin": "http://["}, {"origin": "null"}])
async def test_a_bad_handshake(headers: dict[str, str]) -> None:
    with pytest.raises(Ended) as ended:
        async with opened(headers=headers, extensions={"websocket.http.response": {}}):
            pass
    own(ended.value.args[1])
