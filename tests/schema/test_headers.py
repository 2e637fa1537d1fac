"""Headers in every form that clients and proxies give them, over HTTP and WebSocket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_django import Settings

from schema.headers import Contradiction, folded
from schema.media_types import is_utf8, preferred
from schema.paths import spelled

from .sockets import Ended, opened
from .test_middleware import ask

pytestmark = pytest.mark.django_db(transaction=True)

JSON, GRAPHQL = "application/json", "application/graphql-response+json"
OFFERED = [JSON, GRAPHQL]
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PREFLIGHT = {"origin": "https://app.example", "access-control-request-method": "POST"}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", JSON),
        (" ", JSON),
        (",", JSON),
        ("*/*", JSON),
        ("*", JSON),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json;charset=UTF-8", JSON),
        ('application/json; charset="utf-8"', JSON),
        ('application/json; profile="a,b;c"', JSON),
        ("application/json;", JSON),
        ("Application/JSON", JSON),
        ("APPLICATION/JSON ; Q=0.5", JSON),
        ("application/json; odata=verbose", JSON),
        ("application / json", JSON),
        ("application/json;q=1.000", JSON),
        ("application/json;q=high", JSON),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", GRAPHQL),
        ("application/json; charset=utf-8; q=0.9, application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json;q=0.1,*/*;q=0", GRAPHQL),
        ("application/json;q=0, */*", GRAPHQL),
        ("*/*, application/graphql-response+json", GRAPHQL),
        ("application/*, text/html", JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=0.000, application/graphql-response+json;q=0", None),
        ("text/csv", None),
    ],
)
def test_what_is_accepted(accept: str, wanted: str | None) -> None:
    assert preferred(accept, OFFERED) == wanted


@pytest.mark.parametrize("charset", ["", "utf-8", "UTF-8", "utf8", "UTF_8", "us-ascii", "'utf-8'"])
def test_charsets_that_are_utf_8(charset: str) -> None:
    assert is_utf8(charset)


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense", "utf-8-sig"])
def test_charsets_that_are_not(charset: str) -> None:
    assert not is_utf8(charset)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=UTF-8", 200),
        ('application/json; charset="utf-8"', 200),
        ("Application/JSON", 200),
        ("application/json;", 200),
        ("application/json ; charset=utf8", 200),
        ("application/json;charset=", 200),
        ("application/json; charset", 200),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("", 415),
        ("application/jsonp", 415),
    ],
)
async def test_content_types(content_type: str, status: int) -> None:
    answer = await ask(headers={"content-type": content_type})
    assert answer.status == status
    if status == 415:
        assert answer.error["message"] == "The body must be application/json in UTF-8, and Content-Type say so."


@pytest.mark.parametrize(("encoding", "status"), [("", 200), ("Identity", 200), ("gzip", 415), ("gzip, br", 415)])
async def test_content_encodings(encoding: str, status: int) -> None:
    assert (await ask(headers={"content-encoding": encoding})).status == status


# Several lines


def test_lines_of_a_list_are_joined_and_cookies_as_cookies() -> None:
    lines = [(b"Accept", b" a "), (b"accept", b"b"), (b"Cookie", b"a=1;"), (b"cookie", b"b=2"), (b"host", b"x")]
    assert folded(lines) == {"accept": "a, b", "cookie": "a=1; b=2", "host": "x"}


@pytest.mark.parametrize("name", ["host", "origin", "content-type", "x-csrftoken", "sec-fetch-site"])
def test_of_two_values_none_is_chosen(name: str) -> None:
    assert folded([(name.encode(), b"a"), (name.encode(), b"a")]) == {name: "a"}
    with pytest.raises(Contradiction):
        folded([(name.encode(), b"a"), (name.encode(), b"b")])


@pytest.mark.parametrize(
    ("name", "value"), [("host", "evil.example"), ("origin", "https://evil.example"), ("content-type", "text/plain")]
)
async def test_a_request_that_says_two_things_is_told_so(name: str, value: str) -> None:
    answer = await ask(headers={"origin": "http://testserver"}, more_headers=[(name, value)])
    assert answer.status == 400
    assert answer.error["message"].startswith(f"The header {name.title()} was sent more than once")


@pytest.mark.parametrize("name", ["host", "origin"])
async def test_a_handshake_that_says_two_things_is_refused(name: str) -> None:
    headers = {"origin": "http://testserver", name: "http://testserver" if name == "origin" else "testserver"}
    answers: list[tuple[dict[str, Any], list[int]]] = [({"websocket.http.response": {}}, [400]), ({}, [])]
    for extensions, told in answers:
        with pytest.raises(Ended) as ended:
            async with opened(headers=headers | {name.title(): "other"}, extensions=extensions):
                pass
        assert list(ended.value.args[:1]) == told


async def test_cookies_in_several_lines_are_all_read() -> None:
    lines = [("cookie", "a=1"), ("cookie", f"sessionid={'a' * 32}"), ("cookie", "b=2")]
    answer = await ask(body=[b'{"query": "{ viewer { isGuest } }"}'], more_headers=lines)
    assert answer.status == 403  # a session, which is not shown to be used by its own site


# Origin and Host


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("testserver", "http://testserver"),
        ("testserver", "http://testserver:80"),
        ("testserver:80", "http://testserver"),
        ("testserver:443", "https://testserver"),
        ("TestServer", "http://testserver"),
        ("testserver", "HTTP://TESTSERVER"),
        ("testserver.", "http://testserver"),
        ("testserver:8000", "http://testserver:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("testserver", "https://app.example"),
        ("testserver", "https://App.Example:443"),
    ],
)
async def test_origins_of_this_site_in_every_spelling(host: str, origin: str, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "[::1]"]
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    async with opened(headers={"host": host, "origin": origin}) as socket:
        await socket.init()
    cookie = {"cookie": f"sessionid={'a' * 32}"}
    answer = await ask(headers={"host": host, "origin": origin} | cookie, body=[b'{"query": "{ viewer { isGuest } }"}'])
    assert answer.status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://testserver:81",
        "http://testserver@evil.example",
        "http://evil.example/testserver",
        "testserver",
    ],
)
async def test_origins_of_other_sites(origin: str) -> None:
    with pytest.raises(Ended):
        async with opened(headers={"origin": origin}):
            pass
    cookie = {"cookie": f"sessionid={'a' * 32}"}
    answer = await ask(headers={"origin": origin} | cookie, body=[b'{"query": "{ viewer { isGuest } }"}'])
    assert answer.status == 403


async def test_a_handshake_that_is_refused_says_why() -> None:
    for headers, reason in (
        ({"host": "evil.example"}, "ALLOWED_HOSTS"),
        ({"origin": "https://evil.example"}, "CORS_ALLOWED_ORIGINS"),
    ):
        with pytest.raises(Ended) as ended:
            async with opened(headers=headers, extensions={"websocket.http.response": {}}):
                pass
        status, body = ended.value.args
        assert status == 403
        assert reason in body


# The address


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "http://testserver/graphql/", "HTTP://testserver/graphql"])
async def test_every_spelling_of_the_address_is_the_same(path: str, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    asked = await ask(path=path)
    assert json.loads(asked.body)["data"] == {"__typename": "Query"}
    assert asked.headers["cache-control"] == "no-store"
    got = await ask("GET", path=path, query_string=b"query={__typename}", body=[])
    assert json.loads(got.body)["data"] == {"__typename": "Query"}
    page = await ask("GET", path=path, headers=PAGE, body=[])
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "style-src 'self' 'unsafe-inline'" in page.headers["content-security-policy"]
    preflight = await ask("OPTIONS", path=path, headers=PREFLIGHT, body=[])
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, "https://app.example")


def test_the_authority_of_an_absolute_target_counts_in_place_of_host() -> None:
    scope = {"path": "http://evil.example/graphql", "headers": [(b"host", b"testserver")]}
    assert spelled(scope)["headers"] == [(b"host", b"evil.example")]
    assert spelled(scope)["path"] == "/graphql/"


@pytest.mark.parametrize("path", ["/graphql//", "/graphqlx", "/graphql/x", "/x/graphql", "//graphql"])
async def test_other_addresses_are_others(path: str) -> None:
    assert (await ask(path=path)).status in (403, 404)


@pytest.mark.parametrize(
    ("path", "wanted"), [("/chat/graphql", "/chat/graphql/"), ("/chat/graphql/", "/chat/graphql/")]
)
def test_under_a_prefix_it_is_the_same(path: str, wanted: str) -> None:
    assert spelled({"path": path, "root_path": "/chat", "headers": []})["path"] == wanted
