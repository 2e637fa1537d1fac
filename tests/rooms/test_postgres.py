"""The engine: limits go with each transaction, and what could not do its work is not used again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InternalError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from config.settings import database
from rooms.postgres.base import LIMITED, cursor_with

URL = "postgres://salas@db.example/salas"
OPTIONS = "options=-c%20geqo%3Doff%20-c%20statement_timeout%3D7s%20--lock-timeout%3D1s"


@pytest.fixture
def own() -> Iterator[BaseDatabaseWrapper]:
    """A connection of this test's own, from a pool of one; None where the database is another engine's."""
    settings = {**connections.settings["default"], "NAME": connection.settings_dict["NAME"]}
    if connection.vendor != "postgresql":
        yield connection
        return
    settings["OPTIONS"] = settings["OPTIONS"] | {"pool": {"min_size": 1, "max_size": 1, "timeout": 10}}
    made = ConnectionHandler({"default": settings, "own": settings})["own"]
    yield made
    made.close()
    made.close_pool()  # type: ignore[attr-defined]


def session(own: BaseDatabaseWrapper) -> int:
    with own.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        found: int = cursor.fetchone()[0]
    return found


def run(own: BaseDatabaseWrapper, statement: str) -> None:
    with own.cursor() as cursor:
        cursor.execute(statement)


pytestmark = pytest.mark.django_db


def test_a_connection_to_what_has_become_read_only_is_not_used_again(own: BaseDatabaseWrapper) -> None:
    if own.vendor != "postgresql":
        assert own.settings_dict["CONN_MAX_AGE"] == 0  # each piece of work opens the file anew
        return
    run(own, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    before = session(own)
    own.close()  # into the pool
    assert session(own) == before
    with pytest.raises(InternalError, match="read-only"):
        run(own, "CREATE TABLE unwritten (id int)")
    own.close_if_unusable_or_obsolete()
    assert session(own) != before
    run(own, "CREATE TEMPORARY TABLE written (id int)")


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", "SELECT nothing", "SELECT pg_sleep(10)"])
def test_one_whose_statement_was_at_fault_goes_back(own: BaseDatabaseWrapper, statement: str) -> None:
    if own.vendor != "postgresql":
        assert own.is_usable()
        return
    own.settings_dict["OPTIONS"]["limits"] = {"statement_timeout": "100ms"}
    before = session(own)
    with pytest.raises(Exception, match=r"division by zero|does not exist|statement timeout"):
        run(own, statement)
    own.close_if_unusable_or_obsolete()
    assert session(own) == before


def test_one_that_has_broken_is_replaced(own: BaseDatabaseWrapper) -> None:
    if own.vendor != "postgresql":
        assert own.is_usable()
        return
    before = session(own)
    with pytest.raises(OperationalError):
        run(own, "SELECT pg_terminate_backend(pg_backend_pid())")
    own.close_if_unusable_or_obsolete()
    assert session(own) != before


@pytest.mark.parametrize(
    "statement", ["SELECT 1", " (select 1)", "\nWITH a AS (SELECT 1) SELECT 1", "UPDATE a", "show x"]
)
def test_a_statement_by_itself_has_the_limits(statement: str) -> None:
    assert LIMITED.match(statement)


@pytest.mark.parametrize("statement", ["", "VACUUM", "CREATE INDEX CONCURRENTLY a", "SELECTION"])
def test_what_cannot_share_a_message_goes_alone(statement: str) -> None:
    assert not LIMITED.match(statement)


def test_limits_are_sql_whatever_is_in_them() -> None:
    assert cursor_with({"lock_timeout": "5s'; DROP"}).limits == "SET LOCAL \"lock_timeout\" = '5s''; DROP';"


def test_what_the_url_says_of_limits_counts_and_the_rest_goes_to_libpq() -> None:
    with patch.dict(os.environ, {"DATABASE_URL": f"{URL}?{OPTIONS}"}):
        options = database()["OPTIONS"]
    assert options["limits"] == {"lock_timeout": "1s", "statement_timeout": "7s"}
    assert options["options"] == "-c geqo=off -c statement_timeout=7s --lock-timeout=1s"


def test_nothing_is_asked_of_the_session_at_its_start() -> None:
    """PgBouncer refuses whoever does."""
    with patch.dict(os.environ, {"DATABASE_URL": URL}):
        assert "options" not in database()["OPTIONS"]


def test_cursors_that_send_no_limits_are_refused() -> None:
    """The URL cannot ask for them: libpq knows no such parameter. Settings of the operator's own can."""
    with patch.dict(os.environ, {"DATABASE_URL": URL}):
        settings = database()
    settings["OPTIONS"]["server_side_binding"] = True
    made = ConnectionHandler({"default": settings})["default"]
    with pytest.raises(ImproperlyConfigured, match="server_side_binding"):
        made.get_connection_params()
