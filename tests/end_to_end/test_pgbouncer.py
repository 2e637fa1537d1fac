"""Salas behind PgBouncer in transaction mode, where each transaction may have another session of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection, transaction
from psycopg import errors
from pytest_django import DjangoDbBlocker

from rooms.models import Room
from schema.cursors import log_cursor
from tests.people import make_room
from tests.plugins.services import database_server_key
from tests.services.pgbouncer import SESSIONS, PgBouncer
from tests.services.postgres import DatabaseServer
from tests.services.salas import Salas, migrate_here

from .client import Client

pytestmark = pytest.mark.end_to_end

LIMITS = "-c statement_timeout=300ms -c lock_timeout=100ms"
IGNORING = {"ignore_startup_parameters": "options"}


@dataclass(frozen=True)
class Site:
    """``direct`` is the URL of the database, ``pooled`` the one through PgBouncer."""

    server: Salas
    direct: str
    pooled: str


def started(stack: ExitStack, upstream: DatabaseServer, **settings: str) -> PgBouncer:
    pgbouncer = PgBouncer(upstream.url("postgres"), **settings)
    stack.callback(pgbouncer.close)
    return pgbouncer.start()


@pytest.fixture(scope="module")
def site(pytestconfig: pytest.Config, redis_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """PgBouncer as it comes; Salas migrates and serves through it."""
    upstream, name = pytestconfig.stash[database_server_key], f"pooled_{uuid4().hex[:8]}"
    with ExitStack() as stack:
        stack.callback(upstream.drop_database, name)
        direct = upstream.create_database(name)
        pooled = started(stack, upstream).url(name)
        with django_db_blocker.unblock():
            migrate_here(pooled)
        server = Salas(pooled, redis_url, None, django_db_blocker.unblock, serve=["--spread-seconds=0"])
        stack.callback(server.close)
        yield Site(server.start(), direct, pooled)


@pytest.fixture(scope="module")
def limited(site: Site, pytestconfig: pytest.Config, django_db_blocker: DjangoDbBlocker) -> Iterator[Salas]:
    """Who only asks, of a PgBouncer that ignores ``options``, with limits of its own that are soon reached."""
    with ExitStack() as stack:
        pgbouncer = started(stack, pytestconfig.stash[database_server_key], **IGNORING)
        url = pgbouncer.url(site.direct.partition("?")[0].rpartition("/")[2], options=LIMITS)
        yield Salas(url, "", None, django_db_blocker.unblock)


async def test_messages_are_sent_and_heard(site: Site) -> None:
    room = await site.server.acall(make_room)
    async with Client(site.server) as client:
        ana = await client.join(room)
        async with ana.follow(room, after=log_cursor(room.pk, 0)) as following:
            for number in range(SESSIONS * 3):
                await ana.send(room, f"message {number}")
            assert await following.texts(SESSIONS * 3) == [f"message {number}" for number in range(SESSIONS * 3)]
    assert "ERROR" not in site.server.log


def settings_seen() -> set[tuple[Any, ...]]:
    """The limits in a transaction, and in statements outside of one, over as many sessions as there are."""
    ask = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
    seen = set()
    with connection.cursor() as cursor:
        for _ in range(SESSIONS * 2):
            cursor.execute(ask)
            seen |= {tuple(row) for row in cursor.fetchall()}
            with transaction.atomic():
                cursor.execute("SELECT 1")
                cursor.execute(ask)
                seen |= {tuple(row) for row in cursor.fetchall()}
    return seen


def test_each_transaction_and_statement_has_the_limits(site: Site) -> None:
    assert site.server.call(settings_seen) == {("10s", "5s")}


def test_the_limits_that_the_url_names_count_where_options_are_ignored(limited: Salas) -> None:
    assert limited.call(settings_seen) == {("300ms", "100ms")}


def cancelled(*, in_transaction: bool) -> bool:
    """Whether a statement that takes ten seconds is cancelled, and the next one is not."""
    with connection.cursor() as cursor:
        try:
            if in_transaction:
                with transaction.atomic():
                    cursor.execute("SELECT 1")
                    cursor.execute("SELECT pg_sleep(10)")
            else:
                cursor.execute("SELECT pg_sleep(10)")
        except OperationalError as error:
            cursor.execute("SELECT 1")
            return isinstance(error.__cause__, errors.QueryCanceled)
    return False


@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_slow_statement_is_cancelled(limited: Salas, in_transaction: bool) -> None:
    assert limited.call(cancelled, in_transaction=in_transaction)


def waited_in_vain(room: Room) -> bool:
    try:
        with transaction.atomic():
            Room.objects.select_for_update().get(pk=room.pk)
    except OperationalError as error:
        return isinstance(error.__cause__, errors.LockNotAvailable)
    return False


def test_a_lock_is_not_waited_for_any_longer(site: Site, limited: Salas) -> None:
    room = limited.call(make_room)
    with psycopg.connect(site.direct, options="-c idle_in_transaction_session_timeout=10s") as holder:
        holder.execute("SELECT FROM rooms_room WHERE id = %s FOR UPDATE", [room.pk])
        assert limited.call(waited_in_vain, room)
    assert not limited.call(waited_in_vain, room)


def test_nothing_is_left_in_a_session_that_others_get(limited: Salas, site: Site) -> None:
    assert limited.call(settings_seen) == {("300ms", "100ms")}
    url = limited.database_url.partition("?")[0]
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as other:
        seen = {other.execute("SHOW statement_timeout").fetchone() for _ in range(SESSIONS * 2)}
    assert seen == {("0",)}


def permissions_one_by_one() -> int:
    """As forms of the admin read choices."""
    return sum(1 for _ in Permission.objects.iterator(chunk_size=2))


def test_choices_are_read_without_a_cursor_in_the_session(site: Site) -> None:
    """One that is held there would be sought in another session."""
    with psycopg.connect(site.pooled) as busy:
        busy.execute("SELECT 1")  # holds one of the sessions
        assert site.server.call(permissions_one_by_one) == site.server.call(Permission.objects.count)
