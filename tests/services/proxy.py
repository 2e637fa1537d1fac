"""A TCP proxy that tests break connections with: a fixed front address, back ends that can be switched.

What it is: it carries bytes and knows nothing of HTTP; it serves as well in front of Redis.

    async with Proxy([one.url, other.url]) as proxy:
        client = Client(proxy)  # it has ``url``, ``graphql_url`` and ``websocket_url``, as a server has
        proxy.cut_all()

Concurrency: one event loop, one task per connection. Every method but the context manager's takes effect at once and
waits for nothing.
Lifecycle: the front listens from entering to leaving, at one port, whatever happens to the back ends; leaving cuts what
is open.
Invariants: bytes arrive as they were sent and in order, up to where a connection was cut. A connection stays with the
back end that it got.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024
BACKLOG = 2048

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Limit = int | Callable[[], int] | None


class Direction(Enum):
    TO_CLIENT = "to client"
    TO_BACKEND = "to back end"


BOTH = tuple(Direction)


class Proxy:
    """``backends`` are URLs, of which scheme and path do not matter, or ``unix:///path/of/a/socket``.

    They take turns; one that refuses is skipped. When all refuse, or there is none, the client's connection is closed.
    May be set to others at any time: connections that are open keep theirs.
    """

    def __init__(self, backends: Iterable[str] = ()) -> None:
        self.backends = list(backends)
        self.port = 0
        self.accepted = 0  # connections since the beginning
        self._turn = 0
        self._limit: Limit = None
        self._limit_direction = Direction.TO_CLIENT
        self._flowing = {direction: asyncio.Event() for direction in Direction}
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._server: asyncio.Server | None = None
        self.resume()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def graphql_url(self) -> str:
        return f"{self.url}/graphql/"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql/"

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def cut_all(self, at_least: int = 0) -> int:
        """Cut every connection, on both sides, with whatever was under way; return how many they were.

        None that has not carried ``at_least`` so many bytes to its client yet.
        """
        open_now = [each for each in self._connections.values() if each.carried[Direction.TO_CLIENT] >= at_least]
        for connection in open_now:
            connection.cut()
        return len(open_now)

    def cut_at(self, limit: Limit, direction: Direction = Direction.TO_CLIENT) -> None:
        """Cut each connection that is opened from now on once it has carried ``limit`` bytes in that direction.

        The bytes up to there arrive, in the midst of a frame if so it falls. A callable is asked once for each
        connection: a seeded random number, say. None cuts no more. Connections that are open are left alone.
        """
        self._limit, self._limit_direction = limit, direction

    def stall(self, *directions: Direction) -> None:
        """Partition: from now on nothing passes, no end of a connection either; both ways when none is named.

        Connections stay open and new ones are accepted; who writes is held back once the buffers between are full.
        """
        for direction in directions or BOTH:
            self._flowing[direction].clear()

    def resume(self) -> None:
        """Let everything pass again, beginning with what was held back."""
        for flowing in self._flowing.values():
            flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        limit = self._limit() if callable(self._limit) else self._limit
        limits = {} if limit is None else {self._limit_direction: limit}
        connection = Connection((reader, writer), self._flowing, limits)
        task = asyncio.create_task(connection.run(self._backend))
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    async def _backend(self) -> Streams | None:
        """Connect to the next back end that does not refuse."""
        backends = list(self.backends)
        first, self._turn = self._turn, self._turn + 1
        for number in range(len(backends)):
            with contextlib.suppress(OSError):
                return await connected(backends[(first + number) % len(backends)])
        return None


class Connection:
    """One client's, to the back end that it got. ``limits`` says at which byte of which direction it is cut."""

    def __init__(self, client: Streams, flowing: dict[Direction, asyncio.Event], limits: dict[Direction, int]) -> None:
        self._client = client
        self._flowing = flowing
        self._limits = limits
        self._writers = [client[1]]
        self._is_cut = False
        self.carried = dict.fromkeys(BOTH, 0)  # bytes

    def cut(self) -> None:
        """Drop both sides at once, and what was to be written to them."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    async def run(self, connect: Callable[[], Awaitable[Streams | None]]) -> None:
        """Carry both ways until both sides have ended; when one is lost the other is cut."""
        try:
            if (backend := await connect()) is not None:
                await self._carry_both_ways(backend)
        except OSError:
            pass  # one side was lost
        finally:
            self.cut()

    async def _carry_both_ways(self, backend: Streams) -> None:
        self._writers.append(backend[1])
        if self._is_cut:
            return
        pumps = [
            asyncio.create_task(self._carry(Direction.TO_BACKEND, self._client[0], backend[1])),
            asyncio.create_task(self._carry(Direction.TO_CLIENT, backend[0], self._client[1])),
        ]
        try:
            await asyncio.gather(*pumps)
            for writer in self._writers:
                await flushed(writer)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _carry(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._limits.get(direction, -1)  # a negative one is never used up
        while left != 0 and (chunk := await reader.read(CHUNK_BYTES if left < 0 else min(left, CHUNK_BYTES))):
            await self._flowing[direction].wait()
            writer.write(chunk)
            self.carried[direction] += len(chunk)
            await writer.drain()
            left -= len(chunk)
        await self._flowing[direction].wait()
        if left == 0:
            await flushed(writer)
            self.cut()
        else:
            writer.write_eof()


async def connected(url: str) -> Streams:
    """Connect to a back end. Raises OSError where it refuses."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(parts.path)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def flushed(writer: asyncio.StreamWriter) -> None:
    """Close after everything that was written has left."""
    writer.close()
    await writer.wait_closed()
