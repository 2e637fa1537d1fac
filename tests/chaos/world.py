"""Everything that a fault can befall: PostgreSQL, Redis, two servers, and proxies between them and before them.

Lifecycle: ``a_world`` starts all of it for a run and ends all of it; ``restore`` mends what a fault left broken.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

import psycopg

from tests.chaos.record import Said
from tests.services.postgres import Postgres
from tests.services.proxy import Proxy
from tests.services.redis import Redis
from tests.services.salas import Salas, migrate
from tests.services.service import Service, wait_until

Kind = TypeVar("Kind", bound=Service)
Unblocked = Callable[[], AbstractContextManager[None]]

PROCESSES = 2
MAX_CONNECTIONS = 60
DATABASE = "chaos"
LOADED_BY_SERVERS = Path(__file__).with_name("child")
TASKS = re.compile(r"chaos: (\d+) tasks")
LOG_OF_ROOM = """
SELECT entry.sequence, message.idempotency_key, message.text
FROM rooms_entry AS entry JOIN rooms_message AS message ON message.id = entry.message_id
WHERE entry.room_id = %s ORDER BY entry.sequence
"""


class SmallPostgres(Postgres):
    """One whose connections can be used up."""

    def command(self) -> list[str]:
        return [*super().command(), "-c", f"max_connections={MAX_CONNECTIONS}"]


class World:
    """``links[n]`` is what the server ``n`` reaches Redis through; ``front`` stands before all servers."""

    def __init__(
        self, postgres: Postgres, redis: Redis, links: Sequence[Proxy], servers: Sequence[Salas], front: Proxy
    ) -> None:
        self.postgres = postgres
        self.redis = redis
        self.links = links
        self.servers = servers
        self.front = front

    @property
    def database_url(self) -> str:
        return self.postgres.url(DATABASE)

    async def restore(self) -> None:
        """Start what is dead, wake what is paused, connect what is cut."""
        for proxy in (self.front, *self.links):
            proxy.cut_at(None)
            proxy.resume()
        for link in self.links:
            link.backends = [self.redis.url]
        for service in (self.postgres, self.redis, *self.servers):
            await asyncio.to_thread(service.resume if service.is_running else service.start)

    async def log_of(self, room_id: int) -> list[Said]:
        """A room's whole log as the database has it."""
        return await asyncio.to_thread(self._log_of, room_id)

    def _log_of(self, room_id: int) -> list[Said]:
        with psycopg.connect(self.database_url) as connection:
            return [Said(*row) for row in connection.execute(LOG_OF_ROOM, [room_id])]


@asynccontextmanager
async def a_world(unblocked: Unblocked = nullcontext) -> AsyncIterator[World]:
    """``unblocked`` lifts pytest-django's ban on databases."""
    async with AsyncExitStack() as stack:
        postgres = await started(stack, await asyncio.to_thread(SmallPostgres))
        redis = await started(stack, await asyncio.to_thread(Redis))
        database_url = await asyncio.to_thread(migrated_database, postgres, unblocked)
        links = [await stack.enter_async_context(Proxy([redis.url])) for _ in range(PROCESSES)]
        servers = [a_server(database_url, link, unblocked) for link in links]
        await asyncio.gather(*(started(stack, server) for server in servers))
        front = await stack.enter_async_context(Proxy([server.url for server in servers]))
        yield World(postgres, redis, links, servers, front)


async def started(stack: AsyncExitStack, service: Kind) -> Kind:
    stack.push_async_callback(asyncio.to_thread, service.close)
    return await asyncio.to_thread(service.start)


def migrated_database(postgres: Postgres, unblocked: Unblocked) -> str:
    url = postgres.create_database(DATABASE)
    with unblocked():
        migrate(url)
    return url


def a_server(database_url: str, link: Proxy, unblocked: Unblocked) -> Salas:
    path = os.pathsep.join(filter(None, [str(LOADED_BY_SERVERS), os.environ.get("PYTHONPATH")]))
    return Salas(database_url, f"redis://127.0.0.1:{link.port}/0", {"PYTHONPATH": path}, unblocked, serve=())


def tasks_of(server: Salas) -> int:
    """How many tasks the server's loop has, as it says itself."""
    said_before = len(TASKS.findall(server.log))
    server.signal(signal.SIGUSR1)
    assert wait_until(lambda: len(TASKS.findall(server.log)) > said_before, 5), "the server does not tell"
    return int(TASKS.findall(server.log)[-1])
