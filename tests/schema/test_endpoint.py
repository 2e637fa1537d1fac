"""The way of GraphQL past Django's handler: which requests take it, and what it does without."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from rooms.threads import in_database
from schema.endpoint import graphql_beside
from schema.middleware import around
from tests.people import make_guest, make_room

from .test_middleware import ask

pytestmark = pytest.mark.django_db(transaction=True)


async def pages(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"page " + body, "more_body": False})


application = around(graphql_beside(pages, settings.MIDDLEWARE))
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("request_of", "is_page"),
    [
        ({"method": "GET", "headers": HTML}, True),
        ({"method": "GET", "headers": HTML, "query_string": b"tab=1"}, True),
        ({"method": "GET", "headers": HTML, "query_string": b"query={__typename}"}, False),
        ({"method": "GET", "headers": {"accept": "application/json"}}, False),
        ({"method": "POST", "headers": HTML}, False),
        ({"method": "HEAD", "headers": HTML}, False),
        ({"method": "POST", "path": "/entrar/"}, True),
        ({"method": "POST", "path": "/graphql"}, False),
        ({"method": "GET", "headers": HTML, "path": "/graphql"}, True),
        ({"method": "POST", "path": "/graphql//"}, True),
        ({"method": "GET", "headers": HTML, "query_string": b"a&" * 2_000}, False),
        ({"method": "GET", "headers": HTML, "query_string": b"query=\xff"}, False),
    ],
    ids=lambda value: str(value)[:100],
)
async def test_what_is_no_page_is_graphql_s(request_of: dict[str, Any], is_page: bool) -> None:
    answer = await ask(**request_of, application=application)
    assert answer.body.startswith(b"page ") == is_page


@pytest.mark.parametrize("query", [b"a&" * 2_000, b"query=\xff"], ids=["many", "bytes"])
async def test_a_query_that_is_none_is_told_so(query: bytes) -> None:
    for headers in (HTML, {}):
        answer = await ask("GET", headers=headers, query_string=query, application=application)
        assert (answer.status, answer.error["extensions"]["code"]) == (400, "BAD_USER_INPUT")


async def test_a_page_gets_the_body_that_came() -> None:
    assert (await ask(path="/entrar/", body=[b"a", b"b"], application=application)).body == b"page ab"


async def test_a_request_that_asks_no_database_needs_no_thread() -> None:
    with patch.object(ThreadPoolExecutor, "submit", side_effect=AssertionError("a thread")):
        answer = await ask()
    assert answer.body.startswith(b'{"data":{"__typename":"Query"}')


async def test_it_does_not_go_through_django_s_handler() -> None:
    with patch.object(ASGIHandler, "handle", side_effect=AssertionError("Django's handler")):
        assert (await ask()).status == 200
        assert (await ask("GET", headers=HTML, body=[])).status == 500


async def test_a_refusal_has_its_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert (await ask(headers={"accept": "text/csv"})).status == 406
    assert [record.getMessage() for record in caplog.records] == ["Not Acceptable: /graphql/"]


async def test_who_shows_a_token_is_known_and_their_cookie_is_not_looked_at() -> None:
    guest = await in_database(lambda: make_guest(make_room()))
    headers = {"authorization": f"Bearer {guest.token}", "cookie": f"sessionid={'a' * 32}"}
    answer = await ask(headers=headers, body=[b'{"query": "{ viewer { isGuest } }"}'])
    assert answer.body.startswith(b'{"data":{"viewer":{"isGuest":true}}')
    assert "set-cookie" not in answer.headers
