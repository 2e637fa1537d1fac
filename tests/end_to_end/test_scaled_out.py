"""Two processes on one PostgreSQL and one Redis behave as one, and go on when Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from pytest_django import DjangoDbBlocker

from schema.cursors import log_cursor
from tests.people import make_room
from tests.plugins.servers import MakeServers
from tests.services.redis import Redis
from tests.services.salas import Salas

from .client import Client


async def test_what_is_sent_to_either_is_heard_at_both(scaled_servers: list[Salas]) -> None:
    one, other = scaled_servers
    room = await one.acall(make_room)
    async with Client(one) as someone:
        ana = await someone.join(room)
        async with ana.follow(room) as at_one, ana.at(other).follow(room) as at_other:
            for number, server in enumerate([one, other] * 20, 1):
                await ana.at(server).send(room, str(number))
            for subscription in (at_one, at_other):
                events = await subscription.events(40)
                assert [event["sequence"] for event in events] == list(range(1, 41))
                assert [event["message"]["text"] for event in events] == [str(number) for number in range(1, 41)]


async def test_a_cursor_of_one_process_is_good_at_the_other(scaled_servers: list[Salas]) -> None:
    one, other = scaled_servers
    room = await one.acall(make_room)
    async with Client(one) as someone:
        ana = await someone.join(room)
        cursor = (await ana.send(room, "first"))["cursor"]
        async with ana.at(other).follow(room, after=cursor) as subscription:
            await ana.send(room, "second")
            assert await subscription.texts(1) == ["second"]


async def test_without_redis_a_send_succeeds_and_is_heard_all_the_same(make_servers: MakeServers) -> None:
    with closing(Redis().start()) as redis:
        one, other = make_servers(scaled=True, processes=2, environment={"REDIS_URL": redis.url})
        room = await one.acall(make_room)
        async with Client(one) as someone, AsyncExitStack() as stack:
            ana = await someone.join(room)
            at_one = await stack.enter_async_context(ana.follow(room))
            at_other = await stack.enter_async_context(ana.at(other).follow(room))
            await ana.send(room, "with")
            assert [await each.texts(1) for each in (at_one, at_other)] == [["with"], ["with"]]
            redis.kill()
            await ana.send(room, "without")
            assert [await each.texts(1) for each in (at_one, at_other)] == [["without"], ["without"]]
            late = await stack.enter_async_context(ana.at(other).follow(room, after=log_cursor(room.pk, 0)))
            assert await late.texts(2) == ["with", "without"]
            redis.start()
            await ana.at(other).send(room, "again")
            assert [await each.texts(1) for each in (at_one, at_other, late)] == [["again"], ["again"], ["again"]]


@contextmanager
def role_that_may_do_all(database_url: str) -> Iterator[str]:
    """A role of the database server: what it may do can be taken from it."""
    name = f"salas_{uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        try:
            for of in ("TABLES", "SEQUENCES"):
                grant = sql.SQL(f"GRANT ALL ON ALL {of} IN SCHEMA public TO {{}}")
                connection.execute(grant.format(role))
            yield name
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


def let_nobody_read_the_log(database_url: str, role: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("REVOKE SELECT ON rooms_entry FROM {}").format(sql.Identifier(role)))


async def test_what_is_sent_to_one_is_heard_at_another_that_does_not_read_the_log(
    make_servers: MakeServers, django_db_blocker: DjangoDbBlocker
) -> None:
    """Which does not because it may not, from the middle on: what it hears has come along with hints."""
    (one,) = make_servers(scaled=True)
    with role_that_may_do_all(one.database_url) as role:
        as_role = f"{one.database_url}{'&' if '?' in one.database_url else '?'}options=-c%20role%3D{role}"
        with closing(Salas(as_role, one.redis_url, unblocked=django_db_blocker.unblock).start()) as other:
            room = await one.acall(make_room)
            async with Client(one) as someone:
                ana = await someone.join(room)
                async with ana.follow(room) as here, ana.at(other).follow(room) as subscription:
                    for number in range(5):
                        await ana.send(room, str(number))
                        assert await here.texts(1) == await subscription.texts(1) == [str(number)]
                    await asyncio.to_thread(let_nobody_read_the_log, one.database_url, role)
                    with psycopg.connect(as_role) as connection, pytest.raises(InsufficientPrivilege):
                        connection.execute("SELECT FROM rooms_entry")
                    for number in range(5):
                        await ana.send(room, f"unread {number}")
                        assert await subscription.texts(1) == [f"unread {number}"]
        assert "permission denied" not in other.log
