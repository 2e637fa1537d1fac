"""Connections leave open files to others, whatever the system's limit is, and the operator is told."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from websockets.asyncio.client import connect

from config.limits import Limits
from server.descriptors import raise_limit
from server.requests import TURNED_AWAY_AT_ONCE
from tests.server.served import Served
from tests.services.service import wait_until

ENOUGH_SECONDS = 20
HARD, SOFT = 96, 70
CONNECTIONS, SOCKETS = 48, 36  # half of the files, and three quarters of those
ASK = b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Small(Served):
    """May have few files open; fewer still until it raises the limit."""

    def command(self) -> list[str]:
        return ["sh", "-c", f'ulimit -S -n {SOFT}; ulimit -H -n {HARD}; exec "$@"', "sh", *super().command()]


@pytest.fixture(scope="module")
def shared() -> Iterator[Small]:
    with closing(Small().start()) as small:
        yield small
        small.kill()  # its applications wait for ever


@pytest.fixture
def small(shared: Small) -> Small:
    """One with no connection left of the test before."""
    assert wait_until(lambda: files_of(shared) < HARD - CONNECTIONS, ENOUGH_SECONDS)
    return shared


@asynccontextmanager
async def connections(server: Served, number: int, said: bytes = b"") -> AsyncIterator[list[Stream]]:
    """So many that say this and no more, in the order in which the server has them."""
    host, port = server.address.split(":")
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(number):
            reader, writer = await asyncio.open_connection(host, int(port))
            stack.callback(writer.close)
            writer.write(said)
            streams.append((reader, writer))
        yield streams


def files_of(server: Served) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


async def status_of(server: Served) -> int:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return (await client.get("/")).status_code


async def test_the_limit_is_raised_and_it_is_said_what_fits(small: Small) -> None:
    assert f"{HARD} files may be open in a process, which is room for {SOCKETS} sockets" in small.log


async def test_the_idle_give_way_to_those_that_ask(small: Small) -> None:
    async with connections(small, HARD) as idle:
        assert await status_of(small) == 200
        assert await asyncio.wait_for(idle[0][0].read(), ENOUGH_SECONDS) == b""  # the first of them has ended
        assert files_of(small) < HARD - 20
    assert small.log.count("connections are open") == 1


async def test_sockets_go_on_and_more_requests_than_there_is_room_for_are_told_to_come_back(small: Small) -> None:
    before = small.log.count("waits")
    async with connect(f"{small.websocket_url}/ignores") as socket, connections(small, CONNECTIONS - 1, ASK):
        await small.logged("waits", before + CONNECTIONS - 1)
        async with httpx.AsyncClient(base_url=small.url) as client:
            refusal = await client.get("/")
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "10")
        (error,) = json.loads(refusal.content)["errors"]
        assert error["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 10}
        async with connections(small, HARD, b"") as others:  # which are not even told
            assert await asyncio.wait_for(others[-1][0].read(), ENOUGH_SECONDS) == b""
            assert files_of(small) < HARD - 20
        await socket.send("here")
        assert await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS) == "here"


async def test_where_connections_are_few_none_is_kept_for_later(small: Small) -> None:
    before = small.log.count("waits")
    async with connections(small, SOCKETS, ASK), httpx.AsyncClient(base_url=small.url) as client:
        await small.logged("waits", before + SOCKETS)
        assert (await client.get("/")).headers["Connection"] == "close"


# What fits


@pytest.fixture
def files(request: pytest.FixtureRequest) -> Iterator[None]:
    with patch("resource.getrlimit", return_value=(request.param, resource.RLIM_INFINITY)):
        yield


@pytest.mark.keeps("reserved_files")
@pytest.mark.parametrize("files", [1024], indirect=True)
def test_what_leaves_the_reserve_is_let_in(files: None) -> None:
    assert (Limits().connections, Limits().sockets_with_room) == (896, 672)
    assert Limits(sockets=10).sockets_with_room == 10


@pytest.mark.exceeds("reserved_files")
@pytest.mark.parametrize(
    ("files", "connections", "sockets"), [(100, 50, 38), (30_000, 29_872, 29_372)], indirect=["files"]
)
def test_there_are_no_more_than_leave_the_reserve_or_half(files: None, connections: int, sockets: int) -> None:
    assert (Limits().connections, Limits(sockets=0).sockets_with_room) == (connections, sockets)


@pytest.mark.parametrize("files", [resource.RLIM_INFINITY], indirect=True)
def test_a_system_without_a_limit_sets_none(files: None) -> None:
    assert (Limits().connections, Limits().sockets_with_room) == (0, 20_000)


@pytest.mark.parametrize("files", [1024], indirect=True)
def test_no_reserve_is_no_limit(files: None) -> None:
    assert (Limits(reserved_files=0).connections, Limits(reserved_files=0, sockets=0).sockets_with_room) == (0, 0)


@pytest.mark.parametrize("files", [1024], indirect=True)
def test_a_limit_that_cannot_be_raised_stays(files: None) -> None:
    with patch("resource.setrlimit", side_effect=ValueError):
        raise_limit()


def test_those_that_are_told_to_come_back_do_not_use_up_the_reserve() -> None:
    assert Limits().reserved_files / 4 > TURNED_AWAY_AT_ONCE
