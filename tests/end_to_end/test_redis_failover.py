"""A Redis whose place another one takes, as a managed service does it: behind the same address."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from redis import Redis as Connection

from rooms.rates import CACHE_ALIAS, RedisBuckets
from tests.services.proxy import Proxy
from tests.services.redis import Redis

pytestmark = pytest.mark.end_to_end

HOUR = 3_600_000_000


@pytest.fixture
def servers() -> Iterator[list[Redis]]:
    """The one that is written to, and the one that comes after it."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Redis().start())) for _ in range(2)]


@contextmanager
def cache_at(alias: str, port: int) -> Iterator[RedisCache]:
    """A cache with the options that the settings give to the one of that alias."""
    params: dict[str, Any] = settings.CACHES[alias]
    cache = RedisCache(f"redis://127.0.0.1:{port}/0", {"OPTIONS": params["OPTIONS"]})
    yield cache
    cache._cache.get_client(write=True).connection_pool.disconnect()


def demote(server: Redis, other: Redis) -> None:
    with closing(Connection.from_url(server.url)) as connection:
        connection.replicaof("127.0.0.1", other.port)


async def test_a_connection_to_a_server_that_has_become_a_replica_is_not_used_again(servers: list[Redis]) -> None:
    """It is open and answers, and writes nothing."""
    old, new = servers
    async with Proxy([old.url]) as proxy:
        with cache_at("default", proxy.port) as cache, cache_at(CACHE_ALIAS, proxy.port) as rates:
            buckets = RedisBuckets(rates)
            await asyncio.to_thread(cache.set, "position", 1)
            assert await asyncio.to_thread(buckets.take, ["a"], 1, HOUR) == [0]
            await asyncio.to_thread(demote, old, new)
            proxy.backends = [new.url]
            await asyncio.to_thread(cache.set, "position", 2)
            assert await asyncio.to_thread(buckets.take, ["b"], 1, HOUR) == [0]
    with cache_at("default", new.port) as cache:
        assert await asyncio.to_thread(cache.get, "position") == 2
