"""``manage.py serve``, the real thing, with an application of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from server.drain import REASON
from tests.server.served import Served

pytestmark = pytest.mark.end_to_end

Serve = Callable[..., Served]
ENOUGH_SECONDS = 10
LINGER_SECONDS = 4  # a connection is dropped two seconds after it was closed at the latest, and then forgotten
MESSAGE_BYTES = 256 * 1024
OPENING = (
    b"GET /ignores HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Ending = tuple[int | None, str | None]


async def closed(socket: websockets.ClientConnection) -> Ending:
    await asyncio.wait_for(socket.wait_closed(), ENOUGH_SECONDS)
    return socket.close_code, socket.close_reason


async def test_requests_in_flight_are_answered(serve: Serve) -> None:
    served = serve()
    async with httpx.AsyncClient(base_url=served.url) as one, httpx.AsyncClient(base_url=served.url) as other:
        answer = asyncio.create_task(one.get("/wait"))
        await other.get("/")
        await served.logged("waits")
        await served.drain()
        async with httpx.AsyncClient() as newcomer:
            with pytest.raises(httpx.ConnectError):
                await newcomer.get(served.url)
        assert (await other.get("/release")).headers["connection"] == "close"  # on the connection that it had
        answered = await answer
        assert (answered.status_code, answered.headers["connection"]) == (200, "close")
    assert await served.ended() == 0


async def test_sockets_end_when_the_application_is_ready_for_it(serve: Serve) -> None:
    served = serve()
    async with connect(f"{served.websocket_url}/heeds") as socket:
        await served.drain(signal.SIGINT)
        assert await socket.recv() == "began"
        await socket.send("my last words")
        assert await socket.recv() == "the answer"
        assert await closed(socket) == (1012, "in its own words")
    assert await served.ended() == 0


async def test_a_second_signal_ends_at_once(serve: Serve) -> None:
    served = serve()
    async with connect(f"{served.websocket_url}/deaf"):
        await served.drain()
        served.signal(signal.SIGTERM)
        assert await served.ended() == -signal.SIGTERM


async def test_an_event_loop_that_is_held_up_does_not_keep_it_alive(serve: Serve) -> None:
    served = serve("--drain-seconds=2", "--spread-seconds=0")
    async with httpx.AsyncClient(base_url=served.url) as client:
        answer = asyncio.create_task(client.get("/hold-up"))
        await served.logged("waits")
        served.signal(signal.SIGTERM)
        assert await served.ended() == -signal.SIGALRM
        with pytest.raises(httpx.TransportError):
            await answer


async def test_it_says_little(serve: Serve) -> None:
    served = serve()
    async with httpx.AsyncClient() as client:
        await client.get(served.url)
    await served.drain()
    assert await served.ended() == 0
    listening, _, draining, ended = served.log.splitlines()  # the second line is the application's own
    assert listening == f"Listening on TCP address {served.address}"
    assert draining == "Draining: no new connections, 0 sockets are sent elsewhere"
    assert ended.startswith("Ended after ")


@dataclass
class Aftermath:
    """What was left of a server after it drained, with difficult clients and a difficult application."""

    ignoring: list[Ending]
    deaf: Ending
    handshake: object
    answers: list[object]
    status: int
    log: str


@pytest.fixture(scope="module")
async def aftermath() -> AsyncIterator[Aftermath]:
    with closing(Served("--drain-seconds=2.5", "--spread-seconds=0.3").start()) as served:
        reader, writer = await asyncio.open_connection(*served.address.split(":"))
        writer.write(OPENING)
        await reader.readuntil(b"\r\n\r\n")  # and not a byte more, nor an answer
        handshake = asyncio.create_task(connect(f"{served.websocket_url}/undecided").__aenter__())
        await served.logged("thinks")
        async with (
            httpx.AsyncClient(base_url=served.url) as client,
            connect(f"{served.websocket_url}/ignores") as one,
            connect(f"{served.websocket_url}/ignores") as other,
            connect(f"{served.websocket_url}/deaf") as deaf,
        ):
            answers = [asyncio.create_task(client.get(path)) for path in ("/forever", "/deaf")]
            await served.logged("waits", times=2)
            await served.drain()
            yield Aftermath(
                ignoring=[await closed(one), await closed(other)],
                deaf=await closed(deaf),
                handshake=(await asyncio.gather(handshake, return_exceptions=True))[0],
                answers=await asyncio.gather(*answers, return_exceptions=True),
                status=await served.ended(),
                log=served.log,
            )
        writer.transport.abort()


async def test_sockets_of_an_application_that_knows_nothing_of_a_drain_are_closed(aftermath: Aftermath) -> None:
    assert aftermath.ignoring == [(1012, REASON), (1012, REASON)]


async def test_a_socket_that_stays_too_long_is_closed(aftermath: Aftermath) -> None:
    assert aftermath.deaf == (1012, REASON)


async def test_a_handshake_that_is_not_decided_is_refused(aftermath: Aftermath) -> None:
    assert isinstance(aftermath.handshake, websockets.InvalidStatus)
    assert aftermath.handshake.response.status_code == 503


async def test_every_application_is_told_why(aftermath: Aftermath) -> None:
    assert aftermath.log.count("disconnected with 1012") == 4
    assert aftermath.log.count("disconnected with") == 5  # the one without a socket too
    assert "http.disconnect" in aftermath.log


async def test_a_request_that_never_ends_is_cut_and_shows_in_the_status(aftermath: Aftermath) -> None:
    assert all(isinstance(answer, httpx.TransportError) for answer in aftermath.answers)
    assert aftermath.status == 1


@pytest.mark.parametrize("code", [1000, 1001, 1012, 1013, 3000, 4503, 4999])
async def test_every_code_and_every_reason_arrives(served: Served, code: int) -> None:
    async with connect(f"{served.websocket_url}/close/{code}/até logo") as socket:
        assert await closed(socket) == (code, "até logo")


async def test_a_code_that_may_not_be_sent_is_the_application_s_bug(served: Served) -> None:
    async with connect(f"{served.websocket_url}/close/1005/no") as socket:
        assert await closed(socket) == (1013, "Internal error: come back")


@pytest.mark.parametrize("ending", ["raises", "returns"])
async def test_no_socket_is_left_without_an_application(served: Served, ending: str) -> None:
    async with connect(f"{served.websocket_url}/{ending}") as socket:
        assert await closed(socket) == (1013, "Internal error: come back")


async def test_an_application_that_fails_is_no_page(served: Served) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{served.url}/raises")
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "a bug" not in response.text


async def test_a_message_that_is_too_big_is_refused_in_words(served: Served) -> None:
    async with connect(f"{served.websocket_url}/ignores") as socket:
        await socket.send("x" * MESSAGE_BYTES)
        assert len(await socket.recv()) == MESSAGE_BYTES
        await socket.send("x" * (MESSAGE_BYTES + 1))
        code, reason = await closed(socket)
        assert code == 1009
        assert str(reason).endswith("exceeds payload limit of 262144 octets")


async def test_a_socket_may_grow_old(served: Served) -> None:
    """Daphne itself would close it after a day, with 1000, which clients take for their own wish."""
    async with connect(f"{served.websocket_url}/old") as socket:
        await socket.send("still there")
        assert await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS) == "still there"


async def test_a_client_that_left_amid_an_answer_does_not_end_the_watch_over_others(served: Served) -> None:
    """Daphne itself would end an answer of too long ago that nobody awaits any more, fail, and never look again."""
    async with httpx.AsyncClient() as client, client.stream("GET", f"{served.url}/begins") as response:
        assert await anext(response.aiter_bytes()) == b"a beginning"
    async with connect(f"{served.websocket_url}/old") as socket:
        await socket.send("it has looked")
        assert await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS) == "it has looked"


async def test_a_client_that_says_goodbye_and_takes_no_more_is_not_waited_for(served: Served) -> None:
    reader, writer = await asyncio.open_connection(*served.address.split(":"))
    writer.write(OPENING)
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(160):
        writer.write(b"\x81\xff" + MESSAGE_BYTES.to_bytes(8) + b"\0\0\0\0" + b"x" * MESSAGE_BYTES)  # and the echo of it
    writer.write(b"\x88\x82\0\0\0\0\x03\xe8")
    await served.logged("disconnected with 1000")
    writer.transport.abort()


async def test_connections_that_are_over_do_not_stay_in_memory(serve: Serve) -> None:
    served = serve()
    await come_and_go(served, 150)
    await asyncio.sleep(LINGER_SECONDS)
    await come_and_go(served, 50)
    async with httpx.AsyncClient() as client:
        assert 50 <= int((await client.get(f"{served.url}/sockets")).text) < 100


async def come_and_go(served: Served, number: int) -> None:
    for _ in range(number):
        async with connect(f"{served.websocket_url}/ignores"):
            pass


async def test_a_port_that_is_taken_is_named(served: Served) -> None:
    port = served.address.partition(":")[2]
    process = await asyncio.create_subprocess_exec(
        *served.command(),
        f"--port={port}",
        stderr=asyncio.subprocess.PIPE,
        env=served.environment(),
        cwd=served.working_directory(),
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode() == f"CommandError: 127.0.0.1:{port}: Address already in use\n"
