"""What ``manage.py serve`` takes from the network: how long, how much, and what waits for an application."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

from server.daphne import PONGS_PER_SECOND
from server.inbox import Inbox
from tests.server.conftest import Serve
from tests.server.served import Served

ENOUGH_SECONDS = 20
BODY_BYTES = 256 * 1024
MEGABYTE = 1024 * 1024
HEADERS = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


# What waits for an application


def test_an_inbox_is_full_by_number() -> None:
    inbox = Inbox(2, 0, lambda: None)
    assert not inbox.is_full
    inbox.put_nowait({"type": "websocket.connect"})
    assert not inbox.is_full
    inbox.put_nowait({"type": "websocket.receive", "text": "x" * MEGABYTE})
    assert inbox.is_full


async def test_an_inbox_is_full_by_size_until_something_is_taken() -> None:
    taken = asyncio.Event()
    inbox = Inbox(0, 10, taken.set)
    for event in ({"text": "x" * 9}, {"bytes": b""}):
        inbox.put_nowait(event)
    assert not inbox.is_full
    inbox.put_nowait({"bytes": b"x"})
    assert inbox.is_full
    assert await inbox.get() == {"text": "x" * 9}
    assert not inbox.is_full
    await asyncio.wait_for(taken.wait(), ENOUGH_SECONDS)


def test_an_inbox_without_limits_is_never_full() -> None:
    inbox = Inbox(0, 0, lambda: None)
    for _ in range(1_000):
        inbox.put_nowait({"text": "x" * 1_000})
    assert not inbox.is_full


# Slow requests


@dataclass
class Peer:
    """One that writes bytes, and no more of HTTP than it wants to."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> httpx.Response:
        """What is said until the connection ends."""
        async with asyncio.timeout(ENOUGH_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode().splitlines()
            headers = dict(line.split(": ", 1) for line in lines if line)
            body = await self.reader.readexactly(int(headers["Content-Length"]))
        return httpx.Response(int(status.split()[1]), headers=headers, content=body)

    async def trickle(self) -> httpx.Response:
        """Send a byte now and then, until there is an answer."""
        answer = asyncio.create_task(self.answer())
        while not answer.done():
            with suppress(ConnectionError):
                self.writer.write(b"x")
            await asyncio.wait([answer], timeout=0.02)
        return await answer


@asynccontextmanager
async def peer(served: Served, *said: bytes) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection(*served.address.split(":"))
    for data in said:
        writer.write(data)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    (error,) = answer.json()["errors"]
    return answer.status_code, answer.headers["connection"], error["extensions"]["code"]


@pytest.fixture(scope="module")
def hasty() -> Iterator[Served]:
    """A server that waits a moment only."""
    served = Served(handshake_seconds=0.3, body_seconds=0.3)
    yield served.start()
    served.close()


@pytest.mark.exceeds("handshake_seconds", "body_seconds")
@pytest.mark.end_to_end
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"POST /",
        HEADERS + b"X-Slow: ",
        HEADERS + b"Content-Length: 1000\r\n\r\n",
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\nff\r\n",
    ],
    ids=["nothing", "a line", "headers", "a body", "a chunk"],
)
async def test_who_goes_on_and_on_is_cut_off(hasty: Served, said: bytes) -> None:
    async with peer(hasty, said) as slow:
        assert refusal(await slow.trickle()) == (408, "close", "BAD_USER_INPUT")


@pytest.mark.keeps("handshake_seconds", "body_seconds")
@pytest.mark.end_to_end
async def test_a_deadline_is_for_who_speaks_and_not_for_who_waits(hasty: Served) -> None:
    """While a request is answered, and between two on a connection, time passes: another is cut off meanwhile."""
    async with httpx.AsyncClient(base_url=hasty.url, limits=httpx.Limits(max_connections=1)) as client:
        waiting = asyncio.create_task(client.get("/wait"))
        await hasty.logged("waits")
        async with peer(hasty) as slow:
            await slow.trickle()
        async with httpx.AsyncClient(base_url=hasty.url) as other:
            await other.get("/release")
        assert (await waiting).status_code == 200
        async with peer(hasty) as slow:
            await slow.trickle()
        assert (await client.post("/", content=b"x" * 1_000)).status_code == 200


# What is no request


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"POST / HTTP/9.9\r\n\r\n", 400),
        (b"POST /\x00 HTTP/1.1\r\n\r\n", 400),
        (b"GET /?query=\xff HTTP/1.1\r\n\r\n", 400),
        (HEADERS + b"Nonsense\r\nX: y\r\n\r\n", 400),
        (HEADERS + b"X: \x00\r\n\r\n", 400),
        (HEADERS + b"Content-Length: x\r\n\r\n", 400),
        (HEADERS + b"Content-Length: -1\r\n\r\n", 400),
        (HEADERS + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (HEADERS + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEADERS + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (HEADERS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEADERS + b"X: y\r\n" * 600 + b"\r\n", 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (HEADERS + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
    ids=lambda it: it[:60] if isinstance(it, bytes) else None,
)
async def test_what_is_no_request_is_told_so_in_json(served: Served, said: bytes, status: int) -> None:
    heard_before = served.log.count("heard")
    async with peer(served, said, HEADERS + b"\r\n") as odd:
        assert refusal(await odd.answer()) == (status, "close", "BAD_USER_INPUT")
    async with httpx.AsyncClient(base_url=served.url) as client:
        await client.get("/")
    await served.logged("heard", times=heard_before + 1)
    assert served.log.count("heard") == heard_before + 1


@pytest.mark.end_to_end
async def test_a_socket_that_is_open_has_no_deadline(hasty: Served) -> None:
    async with connect(f"{hasty.websocket_url}/ignores") as socket:
        async with peer(hasty) as slow:
            await slow.trickle()
        await socket.send("hello")
        assert await socket.recv() == "hello"


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: nonsense"),
        (b"multipart/form-data", b"anything"),
        (b"application/x-www-form-urlencoded", b"a&" * 10_000),
        (b"\xff;;=", b"anything"),
    ],
    ids=["parts", "no boundary", "a form", "no type"],
)
async def test_what_a_body_holds_is_the_application_s_to_say(serve: Serve, kind: bytes, body: bytes) -> None:
    served = serve()
    head = HEADERS + b"Content-Type: " + kind + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with peer(served, head, body) as one:
        assert (await one.reader.readline()).startswith(b"HTTP/1.1 200 ")
    await served.logged(f"heard {len(body)} bytes")


# Large requests


@pytest.mark.keeps("body_bytes")
@pytest.mark.end_to_end
async def test_a_body_of_just_the_size_is_taken(served: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * (BODY_BYTES // 4)

    async with httpx.AsyncClient(base_url=served.url) as client:
        assert (await client.post("/", content=b"x" * BODY_BYTES)).status_code == 200
        assert (await client.post("/", content=chunks())).status_code == 200
    await served.logged(f"heard {BODY_BYTES} bytes", times=2)


@pytest.mark.exceeds("body_bytes")
@pytest.mark.end_to_end
@pytest.mark.parametrize(
    "said",
    [
        HEADERS + f"Content-Length: {BODY_BYTES + 1}\r\n\r\n".encode(),
        HEADERS + b"Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n",
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n" + b"x" * (BODY_BYTES + 1),
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (BODY_BYTES + 1) + b"0\r\n\r\n",
    ],
    ids=["length", "expected", "chunk", "chunks"],
)
async def test_a_body_is_refused_before_the_rest_of_it_is_sent(served: Served, said: bytes) -> None:
    heard_before = served.log.count("heard")
    async with peer(served, said) as large:
        assert refusal(await large.answer()) == (413, "close", "BAD_USER_INPUT")
    async with httpx.AsyncClient(base_url=served.url) as client:
        await client.get("/")
    await served.logged("heard", times=heard_before + 1)
    assert served.log.count("heard") == heard_before + 1


@pytest.mark.end_to_end
async def test_who_sends_all_of_it_reads_why_it_was_in_vain(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url) as client:
        answer = await client.post("/", content=b"x" * 2 * MEGABYTE)
    assert refusal(answer) == (413, "close", "BAD_USER_INPUT")
    assert json.loads(answer.content)["errors"][0]["message"] == "A body has at most 262144 bytes."


# Sockets


def resident_bytes(served: Served) -> int:
    """Memory of the server's process (proc(5), statm)."""
    return int(Path(f"/proc/{served.pid}/statm").read_text().split()[1]) * 4096


def processor_seconds(served: Served) -> float:
    """Processor time of the server's process so far, user and system (proc(5), stat)."""
    fields = Path(f"/proc/{served.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


OPENING = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HELD_BYTES = 80 * MEGABYTE
ALLOWED_GROWTH = 10 * MEGABYTE
FLOOD_SECONDS = 1.5


@asynccontextmanager
async def flood(served: Served, path: str, frame: Frame) -> AsyncIterator[asyncio.Task[None]]:
    """Somebody who sends the same frame for as long as it is taken, and reads nothing."""
    async with peer(served, OPENING.format(path=path).encode()) as it:
        await it.reader.readuntil(b"\r\n\r\n")
        if frame.opcode is Opcode.CONT:
            it.writer.write(Frame(Opcode.TEXT, b"", fin=False).serialize(mask=True))
        data = frame.serialize(mask=True)

        async def send() -> None:
            for _ in range(HELD_BYTES // len(data)):
                it.writer.write(data)
                await it.writer.drain()

        sending = asyncio.create_task(send())
        yield sending
        sending.cancel()


@pytest.mark.exceeds("socket_inbound_frames")
@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("path", "frame"),
    [
        ("/later", Frame(Opcode.TEXT, b"x" * BODY_BYTES)),
        ("/later", Frame(Opcode.TEXT, b"x" * 100)),
        ("/ignores", Frame(Opcode.PING, b"x" * 125)),
        ("/ignores", Frame(Opcode.PONG, b"x" * 125)),
        ("/ignores", Frame(Opcode.CONT, b"", fin=False)),
    ],
    ids=["large messages", "small messages", "pings", "pongs", "fragments"],
)
async def test_a_flood_waits_outside(served: Served, path: str, frame: Frame) -> None:
    bytes_before, seconds_before = resident_bytes(served), processor_seconds(served)
    async with flood(served, path, frame) as sending:
        done, _ = await asyncio.wait([sending], timeout=FLOOD_SECONDS)
        assert not done
        assert resident_bytes(served) - bytes_before < ALLOWED_GROWTH
        assert processor_seconds(served) - seconds_before < FLOOD_SECONDS / 3
        async with connect(f"{served.websocket_url}/ignores") as socket:
            await socket.send("meanwhile")
            assert await socket.recv() == "meanwhile"


@pytest.mark.keeps("socket_inbound_frames")
@pytest.mark.end_to_end
async def test_what_waited_is_heard_in_order(serve: Serve) -> None:
    served = serve(socket_inbound_frames=3)
    async with connect(f"{served.websocket_url}/later", max_queue=None) as socket:
        texts = [f"{number}: {'x' * 5_000}" for number in range(1_000)]

        async def send() -> None:
            for text in texts:
                await socket.send(text)

        sending = asyncio.create_task(send())
        async with httpx.AsyncClient(base_url=served.url) as client:
            await client.get("/release")
        async with asyncio.timeout(ENOUGH_SECONDS):
            assert [await socket.recv() for _ in texts] == texts
        await sending


@pytest.mark.end_to_end
async def test_a_socket_closes_although_nobody_takes_what_came(served: Served) -> None:
    async with connect(f"{served.websocket_url}/close/4503/enough") as socket:
        with suppress(websockets.ConnectionClosed):
            for _ in range(1_000):
                await socket.send("x" * 1_000)
        await asyncio.wait_for(socket.wait_closed(), ENOUGH_SECONDS)
        assert (socket.close_code, socket.close_reason) == (4503, "enough")


@pytest.mark.end_to_end
async def test_a_few_pings_are_answered(served: Served) -> None:
    async with connect(f"{served.websocket_url}/ignores") as socket:
        for _ in range(5):
            await asyncio.wait_for(await socket.ping(), ENOUGH_SECONDS)


@pytest.mark.end_to_end
async def test_of_many_pings_at_once_only_some_are_answered(served: Served) -> None:
    async with peer(served, OPENING.format(path="/ignores").encode()) as it:
        await it.reader.readuntil(b"\r\n\r\n")
        pings = Frame(Opcode.PING, b"").serialize(mask=True) * 100
        it.writer.write(pings + Frame(Opcode.TEXT, b"done").serialize(mask=True))
        answered = await asyncio.wait_for(it.reader.readuntil(b"done"), ENOUGH_SECONDS)
        assert answered == Frame(Opcode.PONG, b"").serialize(mask=False) * PONGS_PER_SECOND + b"\x81\x04done"


@pytest.mark.end_to_end
async def test_an_application_may_refuse_a_handshake_in_its_own_words(served: Served) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(f"{served.websocket_url}/crowded")
    answer = refused.value.response
    assert (answer.status_code, answer.reason_phrase, answer.body) == (429, "Too Many Requests", b"too many")
    assert answer.headers["Retry-After"] == "10"


# What a client may not say of the server


@pytest.mark.end_to_end
@pytest.mark.parametrize("said", [b"/elsewhere", b"%FF", b"\xff"])
async def test_a_client_does_not_say_where_the_application_is_served(served: Served, said: bytes) -> None:
    """Daphne takes its ``root_path`` from this header, and fails where it is not ASCII."""
    async with httpx.AsyncClient(headers=[(b"Daphne-Root-Path", said)]) as client:
        answer = await client.get(f"{served.url}/root-path")
    assert (answer.status_code, answer.text) == (200, "''")
