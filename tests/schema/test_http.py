from __future__ import annotations

import json
import logging
from typing import Any
from unittest.mock import patch

import pytest
from pytest_django import Settings

from rooms import selectors
from schema.ids import encode_id
from tests.people import make_room, make_user

from .api import Api
from .client import Client

pytestmark = pytest.mark.django_db

VIEWER = {"query": "{ viewer { isAuthenticated } }"}
OWN_ORIGIN = "http://testserver"


def strict(viewer: object = None) -> Api:
    """A browser, which Django checks for cross-site requests."""
    return Api(viewer, client=Client(enforce_csrf_checks=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff\xfe{}",
        b'{"query": NaN}',
        b'{"query": 1}',
        b'{"variables": {}}',
        b'{"query": "{ viewer { isGuest } }", "variables": []}',
        b'{"query": "{ viewer { isGuest } }", "operationName": []}',
        b'{"query": "{ viewer { isGuest } }", "extensions": 1}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'\xef\xbb\xbf{"query": "{ __typename }"}',
        '{"query": "{ __typename }"}'.encode("utf-16"),
        b'{"query": "{ __typename }", "variables": {"a": 1e999}}',
        b'{"query": "{ __typename }", "variables": {"a": -Infinity}}',
        b'{"query": "{ viewer { isGuest } }", "variables": {"a": ' + b"9" * 5_000 + b"}}",
        b'{"query": "{ viewer { isGuest } }", "variables": {"a": -' + b"9" * 21 + b"}}",
        b'[{"query": "{ __typename }"}]',
        b'{"documentId": 1}',
    ],
    ids=lambda body: body[:30],
)
def test_a_body_that_is_no_request_is_answered_in_json(body: bytes) -> None:
    response = Api().post(body)
    assert (response.status_code, response["Cache-Control"]) == (400, "no-store")
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_form_is_no_request() -> None:
    response = Client().post("/graphql/", {"query": "{ viewer { isGuest } }"})
    assert (response.status_code, response["Content-Type"]) == (415, "application/json")


def test_a_body_that_is_too_large_is_answered_in_json(settings: object) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000  # type: ignore[attr-defined]
    response = Api().post({"query": "{ viewer { isGuest } }" + " " * 1_000})
    assert (response.status_code, response["Content-Type"]) == (413, "application/json")


@pytest.mark.parametrize("method", ["put", "delete", "options", "head"])
def test_graphql_is_asked_by_post_or_get(method: str) -> None:
    response = getattr(Client(), method)("/graphql/")
    assert (response.status_code, response["Allow"]) == (405, "GET, POST")


def test_a_subscription_is_refused_with_the_way_to_go(caplog: pytest.LogCaptureFixture) -> None:
    document = f'subscription {{ messages(roomId: "{encode_id("Room", 1)}") {{ sequence }} }}'
    response = Api().post({"query": document})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "query"}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_an_operation_that_is_not_in_the_document_is_refused_by_its_name() -> None:
    response = Api().post({"query": "query A { __typename }", "operationName": "B"})
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "operationName"}


def test_what_fails_outside_of_the_resolvers_is_masked_too(caplog: pytest.LogCaptureFixture) -> None:
    with patch("schema.http.authenticate", side_effect=ZeroDivisionError("secret detail")):
        response = Api().post(VIEWER)
    assert (response.status_code, response["Content-Type"]) == (500, "application/json")
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert b"secret" not in response.content
    assert "ZeroDivisionError: secret detail" in caplog.text


@pytest.mark.parametrize("key", ["\\000aaaaaaaaaaaaaaaaaaa", "../x", "A" * 32, "é", "x" * 41])
def test_a_session_key_that_django_never_makes_is_nobody_s(key: str) -> None:
    api = Api()
    api.client.cookies["sessionid"] = key
    assert api.post(VIEWER, Origin=OWN_ORIGIN).json()["data"] == {"viewer": {"isAuthenticated": False}}


def test_a_mutation_is_not_sent_by_get() -> None:
    room = make_room()
    document = f'mutation {{ joinRoom(input: {{slug: "{room.slug}", displayName: "x"}}) {{ token }} }}'
    response = Client().get("/graphql/", {"query": document})
    assert response.status_code == 405
    assert room.members.count() == 0


@pytest.mark.parametrize(
    "document", ["{", "{ nothing }", "query ($a: Int!) { viewer { isGuest } }", "subscription { messages }"]
)
def test_a_faulty_document_has_a_code(document: str) -> None:
    errors = json.loads(Api().post({"query": document}).content)["errors"]
    assert {error["extensions"]["code"] for error in errors} == {"BAD_USER_INPUT"}


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Bearer \u00e9", "bearer a, Bearer b", "a" * 43])
def test_a_token_that_is_not_in_force_is_refused(authorization: str) -> None:
    response = Api().post(VIEWER, Authorization=authorization)
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_an_exception_is_masked_and_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(selectors, "room_by_slug", side_effect=ZeroDivisionError("secret detail")):
        answer = Api().execute('{ room(slug: "x") { id } }')
    extensions = answer["errors"][0]["extensions"]
    assert extensions == {"code": "INTERNAL_SERVER_ERROR", "requestId": extensions["requestId"]}
    assert f"in request {extensions['requestId']}" in caplog.text
    assert "secret" not in json.dumps(answer)
    assert "ZeroDivisionError: secret detail" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example", "http://testserver:81", None]
)
def test_another_site_does_not_use_a_session(origin: str | None) -> None:
    api = strict(make_user())
    response = api.post(VIEWER, **({"Origin": origin} if origin else {}))
    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_the_own_site_uses_its_session() -> None:
    response = strict(make_user()).post(VIEWER, Origin=OWN_ORIGIN)
    assert response.json()["data"] == {"viewer": {"isAuthenticated": True}}


def test_a_listed_site_uses_a_session(settings: object) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]  # type: ignore[attr-defined]
    response = strict(make_user()).post(VIEWER, Origin="https://app.example")
    assert response.json()["data"] == {"viewer": {"isAuthenticated": True}}


def test_django_s_csrf_token_is_as_good() -> None:
    api = strict(make_user())
    api.client.cookies["csrftoken"] = "a" * 32
    response = api.post(VIEWER, **{"X-CSRFToken": "a" * 32})
    assert response.json()["data"] == {"viewer": {"isAuthenticated": True}}


def test_who_has_no_session_needs_no_proof() -> None:
    assert strict().post(VIEWER, Origin="https://elsewhere.example").status_code == 200


# How much JSON


@pytest.mark.keeps("json_depth")
@pytest.mark.exceeds("json_depth")
@pytest.mark.parametrize(("levels", "status"), [(32, 200), (33, 400)])
def test_how_deep_json_may_be(levels: int, status: int) -> None:
    """The body is the first level, its variables the second."""
    body = '{"query": "{ __typename }", "variables": {"a": %s}}' % ("[" * (levels - 2) + "]" * (levels - 2))
    assert Api().post(body).status_code == status


@pytest.mark.keeps("json_integer_digits")
@pytest.mark.exceeds("json_integer_digits")
@pytest.mark.parametrize(("digits", "status"), [(20, 200), (21, 400)])
def test_how_long_an_integer_may_be(digits: int, status: int) -> None:
    body = f'{{"query": "{{ __typename }}", "variables": {{"a": -{"9" * digits}}}}}'
    assert Api().post(body).status_code == status


def test_an_integer_in_a_document_may_be_as_long_as_it_likes() -> None:
    assert Api().refusal(f"{{ rooms(first: {'9' * 30}) {{ edges {{ cursor }} }} }}")["code"] == "QUERY_TOO_COMPLEX"
    assert Api().refusal(f"{{ room(slug: {'9' * 5_000}) {{ id }} }}")["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("text", ["\\ud800", "a\\udfffb", "\\u0000"])
def test_half_a_character_is_an_error_of_its_field(text: str) -> None:
    documents = [
        "query ($x: String!) { room(slug: $x) { id } }",
        "query ($x: String) { rooms(search: $x) { edges { cursor } } }",
    ]
    documents += [
        "query ($x: ID!) { node(id: $x) { id } }",
        "query ($x: String) { rooms(after: $x) { edges { cursor } } }",
    ]
    for document in documents:
        response = Api().post(f'{{"query": "{document}", "variables": {{"x": "{text}"}}}}')
        codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
        assert response.status_code == 200
        assert codes <= {"BAD_USER_INPUT", "CURSOR_INVALID"}


# By GET


def get(**parameters: str) -> Any:
    return Client().get("/graphql/", parameters)


def test_a_query_by_get() -> None:
    document = "query A($yes: Boolean!) { viewer @include(if: $yes) { isGuest } } query B { __typename }"
    response = get(query=document, variables='{"yes": true}', operationName="A", extensions="{}")
    assert response.json()["data"] == {"viewer": {"isGuest": False}}
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"variables": "{}"},
        {"query": "{ __typename }", "variables": "[]"},
        {"query": "{ __typename }", "variables": "{"},
        {"query": "{ __typename }", "variables": ""},
        {"query": "{ __typename }", "extensions": "1"},
        {"query": "subscription { messages(roomId: 1) { cursor } }"},
    ],
)
def test_a_get_that_is_no_request(parameters: dict[str, str]) -> None:
    response = get(**parameters)
    assert (response.status_code, response["Content-Type"]) == (400, "application/json")
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_get_with_a_session_shows_that_it_is_of_its_own_site() -> None:
    api = strict(make_user())
    for headers, status in (
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": OWN_ORIGIN}, 200),
    ):
        assert api.client.get("/graphql/", {"query": VIEWER["query"]}, headers=headers).status_code == status


# The media type of the answer


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("application/graphql-response+json", "application/graphql-response+json"),
        ("application/graphql-response+json, application/json", "application/graphql-response+json"),
        ("application/json, application/graphql-response+json;q=0.9", "application/json"),
        ("application/graphql-response+json;q=0, */*", "application/json"),
    ],
)
def test_an_answer_is_of_the_type_that_is_preferred(accept: str, media_type: str) -> None:
    assert Api().post(VIEWER, Accept=accept)["Content-Type"] == media_type


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ("{ viewer { isGuest } }", 200),
        ('{ room(slug: "x") { id } node(id: "x") { id } }', 200),
        ("{", 400),
        ("{ nothing }", 400),
        ("query ($a: Int!) { viewer { isGuest } }", 400),
        ("query { a: __typename " + "b: __typename @skip(if: false) " * 40 + "}", 400),
    ],
)
def test_the_status_says_whether_anything_was_done(document: str, status: int) -> None:
    response = Api().post({"query": document}, Accept="application/graphql-response+json")
    assert response.status_code == status
    assert ("data" in response.json()) == (status == 200)
    old = Api().post({"query": document}, Accept="application/json")
    assert (old.status_code, old.json()) == (200, response.json())


def test_introspection_that_is_refused_is_unauthorized(settings: Settings) -> None:
    settings.GRAPHQL_INTROSPECTION = "authenticated"
    response = Api().post({"query": "{ __schema { description } }"}, Accept="application/graphql-response+json")
    assert response.status_code == 401
