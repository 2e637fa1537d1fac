"""What takes too long ends with an error that says so, over HTTP and WebSocket alike."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import psycopg
import pytest
from django.db import OperationalError, connection
from psycopg.errors import QueryCanceled
from pytest_django import Settings

from config.limits import Limits
from config.settings import database
from rooms import selectors
from rooms.postgres.base import cursor_with
from schema.ids import encode_id

from .api import Api
from .sockets import opened
from .test_middleware import ask

QUERY = '{ room(slug: "x") { id } }'
CONNECTING = {"host", "port", "user", "password", "dbname", "cursor_factory"}
MUTATION = f'mutation {{ leaveRoom(input: {{ roomId: "{encode_id("Room", 1)}" }}) {{ room {{ id }} }} }}'
SUBSCRIPTION = f'subscription {{ messages(roomId: "{encode_id("Room", 1)}") {{ sequence }} }}'

pytestmark = pytest.mark.django_db(transaction=True)


async def never(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


@pytest.fixture
def stuck(settings: Settings) -> Iterator[None]:
    """Nothing that asks the database gets an answer, and nobody waits for long."""
    settings.LIMITS = replace(Limits(), operation_seconds=0.001)
    with ExitStack() as stack:
        for module in ("queries", "mutations", "beginnings"):
            stack.enter_context(patch(f"schema.{module}.in_database", never))
        yield


@pytest.mark.exceeds("operation_seconds")
@pytest.mark.parametrize("document", [QUERY, MUTATION])
async def test_an_operation_over_http(stuck: None, document: str) -> None:
    body = json.dumps({"query": document}).encode()
    answer = await ask(body=[body], headers={"accept": "application/graphql-response+json"})
    (error,) = json.loads(answer.body)["errors"]
    assert (answer.status, error["extensions"]) == (503, {"code": "OPERATION_TIMEOUT"})


@pytest.mark.exceeds("operation_seconds")
@pytest.mark.parametrize("document", [QUERY, MUTATION, SUBSCRIPTION])
async def test_an_operation_or_the_start_of_a_subscription_over_websocket(stuck: None, document: str) -> None:
    async with opened() as socket:
        await socket.init()
        await socket.subscribe("1", document)
        message = await socket.receive()
        assert (message["type"], message["payload"][0]["extensions"]) == ("error", {"code": "OPERATION_TIMEOUT"})


@pytest.mark.keeps("operation_seconds")
@pytest.mark.parametrize("seconds", [0, 60])
async def test_what_is_in_time_is_answered(settings: Settings, seconds: float) -> None:
    settings.LIMITS = replace(Limits(), operation_seconds=seconds)
    assert json.loads((await ask()).body)["data"] == {"__typename": "Query"}


def test_a_statement_that_postgresql_cancels_is_too_slow_too(caplog: pytest.LogCaptureFixture) -> None:
    canceled = OperationalError("canceling statement due to statement timeout")
    canceled.__cause__ = QueryCanceled()
    with patch.object(selectors, "room_by_slug", side_effect=canceled):
        (error,) = Api().execute(QUERY)["errors"]
    assert error["extensions"] == {"code": "OPERATION_TIMEOUT"}
    assert "canceling" not in error["message"]


@pytest.mark.keeps("statement_seconds")
@pytest.mark.exceeds("statement_seconds")
def test_postgresql_cancels_a_statement_that_is_too_slow_and_no_other() -> None:
    if connection.vendor != "postgresql":
        assert "statement_timeout" not in str(database())
        return
    with patch("config.settings.LIMITS", replace(Limits(), statement_seconds=0.2)):
        limits = database()["OPTIONS"]["limits"]
    parameters = {**connection.get_connection_params(), "cursor_factory": cursor_with(limits)}
    with psycopg.connect(**{name: value for name, value in parameters.items() if name in CONNECTING}) as own:
        own.execute("SELECT pg_sleep(0.01)")
        with pytest.raises(QueryCanceled):
            own.execute("SELECT pg_sleep(10)")


@pytest.mark.parametrize(("seconds", "milliseconds"), [(10.0, 10_000), (0.5, 500), (0, 0)])
def test_postgresql_is_told_of_the_limit(seconds: float, milliseconds: int) -> None:
    with (
        patch.dict(os.environ, {"DATABASE_URL": "postgres://salas@db.example/salas"}),
        patch("config.settings.LIMITS", replace(Limits(), statement_seconds=seconds)),
    ):
        assert database()["OPTIONS"]["limits"]["statement_timeout"] == str(milliseconds)
