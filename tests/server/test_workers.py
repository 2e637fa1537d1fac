"""Several processes on one port: the parent with made-up workers, and the real thing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest
from websockets.asyncio.client import connect

from server.listening import listen
from server.workers import LONGEST_PAUSE_SECONDS, Workers, pause_seconds
from tests.server.served import Served, gone

Serve = Callable[..., Served]
ATTEMPTS = 32  # that one of two workers gets all is less likely than one in a thousand million


def test_a_worker_that_keeps_dying_is_replaced_more_and_more_slowly() -> None:
    pauses = [pause_seconds(deaths) for deaths in range(1, 20)]
    assert pauses == sorted(pauses)
    assert (pauses[:4], pauses[-1]) == ([0, 0.5, 1, 2], LONGEST_PAUSE_SECONDS)


async def test_when_a_worker_can_not_start_all_ends() -> None:
    said: list[str] = []
    code = "import socket, sys; fd, fails = map(int, sys.argv[1:]); "
    code += "fails and sys.exit(3); end = socket.socket(fileno=fd); end.send(b'r'); end.recv(1)"
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in listen("127.0.0.1", 0, 2)]
        last = listeners[1].fileno()
        workers = Workers(
            lambda listener, lifeline: [sys.executable, "-ISc", code, str(lifeline), str(int(listener == last))],
            listeners,
            dict(os.environ),
            kill_seconds=10,
            on_ready=lambda: said.append("ready"),
            say=said.append,
        )
        assert await workers.run() == 1
    assert "Worker 2 could not start (3)" in said
    assert "ready" not in said


async def pids(served: Served) -> set[int]:
    """Ask often enough to hear from everyone."""

    async def ask() -> int:
        async with httpx.AsyncClient() as client:
            return int((await client.get(served.url)).text)

    return set(await asyncio.gather(*(ask() for _ in range(ATTEMPTS))))


@pytest.mark.end_to_end
async def test_workers_share_a_port_are_replaced_and_drain_together(serve: Serve) -> None:
    served = serve("--workers=2", "--spread-seconds=0.3", "--access-log")
    one, other = await pids(served)
    assert served.pid not in {one, other}
    os.kill(one, signal.SIGKILL)
    await gone(one)
    after = await pids(served)  # nobody is refused: who came to the dead one waits for the next
    assert len(after) == 2
    assert other in after
    assert one not in after
    assert "ended (-9): starting another" in served.log
    sockets = [await connect(f"{served.websocket_url}/ignores") for _ in range(ATTEMPTS)]
    await served.drain(signal.SIGINT)
    await asyncio.gather(*(socket.wait_closed() for socket in sockets))
    assert {(socket.close_code, socket.close_reason) for socket in sockets} == {(1012, "Service restart: come back")}
    assert await served.ended() == 0
    assert served.log.count("disconnected with 1012") == ATTEMPTS
    assert '"GET /" 200' in served.log
    assert served.log.splitlines()[-1] == "Ended"
    for pid in after:
        await gone(pid)


@pytest.mark.end_to_end
async def test_a_second_signal_ends_the_workers_at_once(serve: Serve) -> None:
    served = serve("--workers=2")
    workers = await pids(served)
    async with connect(f"{served.websocket_url}/deaf"):
        await served.drain()
        served.signal(signal.SIGTERM)
        assert await served.ended() == 1
    for pid in workers:
        await gone(pid)


@pytest.mark.end_to_end
async def test_no_worker_outlives_its_parent_whatever_it_does(serve: Serve) -> None:
    served = serve("--workers=2", "--drain-seconds=2", "--spread-seconds=0")
    workers = await pids(served)
    async with httpx.AsyncClient() as client:
        answer = asyncio.create_task(client.get(f"{served.url}/hold-up"))
        await served.logged("waits")
        served.kill()
        for pid in workers:
            await gone(pid)
        with pytest.raises(httpx.TransportError):
            await answer
