"""The proxy that tests break connections with does what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.services.proxy import Direction, Proxy

ENOUGH_SECONDS = 5


class Echo:
    """Answers what it hears, after its name."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.url = ""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self.name)
            while chunk := await reader.read(1024):
                writer.write(chunk)
        self.ended.set()
        writer.close()


@asynccontextmanager
async def echoing(name: bytes) -> AsyncIterator[Echo]:
    echo = Echo(name)
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.url = "http://{}:{}/ignored".format(*server.sockets[0].getsockname())
    async with server:
        yield echo


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader

    async def hears(self, expected: bytes) -> None:
        assert await asyncio.wait_for(self._reader.readexactly(len(expected)), ENOUGH_SECONDS) == expected

    async def hears_the_end(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(), ENOUGH_SECONDS)


@asynccontextmanager
async def calling(proxy: Proxy) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()


async def test_bytes_go_both_ways_and_so_does_the_end() -> None:
    async with echoing(b"a") as echo, Proxy([echo.url]) as proxy, calling(proxy) as caller:
        caller.writer.write(b"hello")
        await caller.hears(b"ahello")
        caller.writer.write_eof()
        assert await caller.hears_the_end() == b""
        await asyncio.wait_for(echo.ended.wait(), ENOUGH_SECONDS)


async def test_back_ends_take_turns_and_can_be_switched() -> None:
    async with echoing(b"a") as a, echoing(b"b") as b, Proxy([a.url, b.url]) as proxy:
        for expected in (b"a", b"b", b"a"):
            async with calling(proxy) as caller:
                await caller.hears(expected)
        proxy.backends = [b.url]
        for _ in range(2):
            async with calling(proxy) as caller:
                await caller.hears(b"b")


async def test_a_back_end_that_refuses_is_skipped() -> None:
    async with echoing(b"gone") as gone:
        pass
    async with echoing(b"a") as a, Proxy([gone.url, a.url]) as proxy:
        for _ in range(2):
            async with calling(proxy) as caller:
                await caller.hears(b"a")
        proxy.backends = [gone.url]
        async with calling(proxy) as caller:
            assert await caller.hears_the_end() == b""


async def test_all_connections_are_cut_and_new_ones_are_served() -> None:
    async with echoing(b"a") as echo, Proxy([echo.url]) as proxy, calling(proxy) as one, calling(proxy) as other:
        await one.hears(b"a")
        await other.hears(b"a")
        assert proxy.cut_all() == 2
        assert [await one.hears_the_end(), await other.hears_the_end()] == [b"", b""]
        async with calling(proxy) as third:
            await third.hears(b"a")


async def test_connections_that_have_not_carried_so_much_are_spared() -> None:
    async with echoing(b"a") as echo, Proxy([echo.url]) as proxy, calling(proxy) as one, calling(proxy) as other:
        one.writer.write(b"hello")
        await one.hears(b"ahello")
        await other.hears(b"a")
        assert proxy.cut_all(at_least=6) == 1
        assert await one.hears_the_end() == b""
        other.writer.write(b"b")
        await other.hears(b"b")


@pytest.mark.parametrize(("direction", "heard"), [(Direction.TO_CLIENT, b"a12"), (Direction.TO_BACKEND, b"a123")])
async def test_a_connection_is_cut_at_a_byte(direction: Direction, heard: bytes) -> None:
    async with echoing(b"a") as echo, Proxy([echo.url]) as proxy:
        limits: Iterator[int] = iter([3, 0])
        proxy.cut_at(lambda: next(limits), direction)
        async with calling(proxy) as caller:
            caller.writer.write(b"12345")
            await asyncio.wait_for(echo.ended.wait(), ENOUGH_SECONDS)
            assert heard.startswith(await caller.hears_the_end())
        async with calling(proxy) as caller:
            assert await caller.hears_the_end() == b""
        proxy.cut_at(None)
        async with calling(proxy) as caller:
            caller.writer.write(b"12345")
            await caller.hears(b"a12345")


async def test_what_a_limit_lets_through_arrives() -> None:
    async with echoing(b"a") as echo, Proxy([echo.url]) as proxy:
        proxy.cut_at(3)
        async with calling(proxy) as caller:
            caller.writer.write(b"12345")
            assert await caller.hears_the_end() == b"a12"


async def test_a_stalled_connection_goes_on_where_it_was() -> None:
    async with echoing(b"a") as echo, Proxy([echo.url]) as proxy, calling(proxy) as caller:
        await caller.hears(b"a")
        proxy.stall(Direction.TO_BACKEND)
        caller.writer.write(b"late")
        caller.writer.write_eof()
        async with calling(proxy) as other:
            await other.hears(b"a")  # the other direction flows, and the proxy has had its turn
        assert not echo.ended.is_set()
        proxy.resume()
        assert await caller.hears_the_end() == b"late"
