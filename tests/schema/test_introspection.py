"""Who may ask for the schema, over HTTP and WebSocket alike."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from schema.introspection import may_introspect
from tests.people import make_guest, make_room, make_user

from .api import Api
from .sockets import opened

ROOT = Path(__file__).parents[2]
SCHEMA = "{ __schema { queryType { name } } }"
TYPE = '{ __type(name: "Room") { name } }'
MISSPELT = "{ vieweer { isGuest } }"
MISSPELT_VALUE = "query { room(slug: x) { id } }"

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("document", [SCHEMA, TYPE, "{ ...F } fragment F on Query { x: __schema { description } }"])
@pytest.mark.parametrize(
    ("audience", "anonymous", "known"),
    [("everyone", None, None), ("authenticated", "UNAUTHENTICATED", None), ("nobody", "FORBIDDEN", "FORBIDDEN")],
)
def test_who_may_introspect(
    settings: Settings, document: str, audience: str, anonymous: str | None, known: str | None
) -> None:
    settings.GRAPHQL_INTROSPECTION = audience
    for viewer, code in ((None, anonymous), (make_guest(make_room()), known), (make_user(), known)):
        api = Api(viewer)
        response = api.post({"query": document}, Origin="http://testserver")
        codes = [error["extensions"]["code"] for error in response.json().get("errors", [])]
        assert codes == ([code] if code else [])


@pytest.mark.django_db(transaction=True)
async def test_the_anonymous_do_not_over_websocket_either(settings: Settings) -> None:
    settings.GRAPHQL_INTROSPECTION = "authenticated"
    async with opened() as socket:
        await socket.init()
        await socket.subscribe("1", SCHEMA)
        message = await socket.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")
        await socket.subscribe("2", MISSPELT)
        assert "Did you mean" not in (await socket.receive())["payload"][0]["message"]


@pytest.mark.parametrize("audience", ["authenticated", "nobody"])
def test_the_name_of_a_type_is_told_to_everyone(settings: Settings, audience: str) -> None:
    settings.GRAPHQL_INTROSPECTION = audience
    assert Api().data("{ __typename viewer { __typename } }")["viewer"] == {"__typename": "Viewer"}


@pytest.mark.parametrize(
    "document",
    [
        MISSPELT,
        "query ($x: Roam) { __typename }",
        "{ ...F } fragment F on Quary { __typename }",
        '{ room(slog: "x") { id } }',
        'mutation { joinRoom(input: { slugg: "x" }) { token } }',
        "{ node(id: 1) { name } }",
    ],
)
def test_suggestions_are_for_who_may_introspect(settings: Settings, document: str) -> None:
    assert "Did you mean" in str(Api().execute(document)["errors"])
    settings.GRAPHQL_INTROSPECTION = "authenticated"
    assert "Did you mean" not in str(Api().execute(document)["errors"])


def test_a_variable_s_suggestion_too(settings: Settings) -> None:
    settings.GRAPHQL_INTROSPECTION = "nobody"
    document = "mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { token } }"
    found = Api().execute(document, input={"slug": "x", "displayNam": "x"})["errors"]
    assert found
    assert "Did you mean" not in str(found)


def test_a_word_that_is_no_audience_is_an_error(settings: Settings) -> None:
    settings.GRAPHQL_INTROSPECTION = "some"
    with pytest.raises(ValueError, match="some"):
        may_introspect(make_user())


@pytest.mark.parametrize(
    ("environment", "audience"),
    [
        ({"ALLOWED_HOSTS": "127.0.0.1,localhost"}, "everyone"),
        ({"ALLOWED_HOSTS": "chat.example"}, "authenticated"),
        ({"ALLOWED_HOSTS": "localhost,chat.example"}, "authenticated"),
        ({"ALLOWED_HOSTS": "chat.example", "GRAPHQL_INTROSPECTION": "nobody"}, "nobody"),
    ],
)
def test_the_default_is_everyone_on_this_machine_alone(environment: dict[str, str], audience: str) -> None:
    program = "from config import settings; print(settings.GRAPHQL_INTROSPECTION)"
    of_others = {"SECRET_KEY": secrets.token_urlsafe(50), "TRUSTED_PROXIES": "10.0.0.1", "DEBUG": ""}
    given = {**os.environ, **of_others, **environment}
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=given, check=True, capture_output=True)
    assert told.stdout.decode().strip() == audience
