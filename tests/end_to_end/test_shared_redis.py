"""Installations that share a Redis have nothing to do with each other, and an ACL can name what is one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
from redis import Redis as Connection

from rooms.models import RoomAccess
from tests.people import PASSWORD, make_room
from tests.plugins.servers import MakeServers
from tests.services.redis import Redis
from tests.services.salas import Salas

from .client import JOIN, Client

PREFIX = "chat-one"
STRICT = {"SALAS_LIMIT_LOGINS_PER_ACCOUNT": "3", "SALAS_LIMIT_SEND_BURST": "3", "SALAS_LIMIT_SENDS_PER_SECOND": "0.001"}


@pytest.fixture
def redis() -> Iterator[Redis]:
    with closing(Redis().start()) as found:
        yield found


async def code_of(client: Client, document: str, **given: str | None) -> str | None:
    answer = await client.execute(document, input=given)
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


async def test_what_is_counted_of_one_is_not_counted_of_the_other(make_servers: MakeServers, redis: Redis) -> None:
    """Their rooms, guests and addresses have the same names: each begins to count at 1."""
    environment = {"REDIS_URL": redis.url, **STRICT}
    (one,), (other,) = (make_servers(scaled=True, environment=environment) for _ in range(2))
    rooms = [await each.acall(make_room, RoomAccess.PASSWORD, slug="private") for each in (one, other)]
    async with Client(one) as ana, Client(other) as rui:
        for client, room in zip((ana, rui), rooms, strict=True):
            await client.join(room, password=PASSWORD)
        async with Client(one) as guessing, Client(other) as knowing:
            wrong = {"slug": "private", "displayName": "x", "password": "wrong"}
            codes = [await code_of(guessing, JOIN, **wrong) for _ in range(4)]
            assert codes == ["WRONG_PASSWORD"] * 3 + ["RATE_LIMITED"]
            assert await code_of(knowing, JOIN, **(wrong | {"password": PASSWORD})) is None
        for number in range(3):
            await ana.send(rooms[0], str(number))
        await rui.send(rooms[1], "the first")
    names = keys_of(redis.url)
    assert names
    assert len({name.split(":")[0] for name in names}) == 2, names


def keys_of(url: str) -> list[str]:
    with closing(Connection.from_url(url, decode_responses=True)) as connection:
        return [str(name) for name in connection.scan_iter()]


def restrict(url: str) -> str:
    """Make a user of Redis that may use keys and channels with our prefix only, and return the URL of that user.

    The rules are those of ``docs/security.md``.
    """
    with closing(Connection.from_url(url)) as connection:
        connection.acl_setuser(
            "salas",
            enabled=True,
            passwords=["+secret"],
            keys=[f"{PREFIX}:*"],
            channels=[f"{PREFIX}*"],
            commands=["+@all", "-@admin", "-@dangerous"],
        )
    return url.replace("//", "//salas:secret@")


async def test_an_acl_that_names_the_prefix_lets_everything_through(make_servers: MakeServers, redis: Redis) -> None:
    url = await asyncio.to_thread(restrict, redis.url)
    servers = make_servers(scaled=True, processes=2, environment={"REDIS_URL": url, "REDIS_PREFIX": PREFIX})
    one, other = servers
    room = await one.acall(make_room, RoomAccess.PASSWORD)
    async with Client(one) as ana:
        await ana.join(room, password=PASSWORD)
        async with ana.at(other).follow(room) as subscription:
            for number in range(10):
                await ana.send(room, str(number))
            assert await subscription.texts(10) == [str(number) for number in range(10)]
    assert_allowed(servers, redis)


def assert_allowed(servers: list[Salas], redis: Redis) -> None:
    assert not any("away" in server.log or "NOPERM" in server.log for server in servers)
    with closing(Connection.from_url(redis.url, decode_responses=True)) as connection:
        assert connection.acl_log() == []
    assert all(name.startswith(f"{PREFIX}:") for name in keys_of(redis.url))
