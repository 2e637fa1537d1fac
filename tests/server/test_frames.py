"""Texts that an application puts on the wire at once, by the ASGI extension ``salas.frames``."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.daphne import text_header
from tests.server.served import Served

pytestmark = pytest.mark.end_to_end

SIZES = (1, 125, 126, 127, 65_535, 65_536, 200_000)
MANY = 400  # of the largest: more than any buffer of the system holds


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ],
)
def test_a_header_says_how_long_the_text_is(size: int, header: str) -> None:
    assert text_header(size).hex() == header


async def test_texts_arrive_whole_in_order_and_before_what_is_sent_after_them(served: Served) -> None:
    async with connect(f"{served.websocket_url}/frames", max_size=None) as socket:
        await socket.send(" ".join(map(str, SIZES)))
        for size in SIZES:
            assert await socket.recv() == str(size % 10) * size
        assert [await socket.recv() for _ in range(2)] == ["that was all", "and this"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4000
    await served.logged("wrote after the close")


async def test_what_the_system_does_not_take_at_once_waits_its_turn(served: Served) -> None:
    async with connect(f"{served.websocket_url}/frames", max_size=None, max_queue=1) as socket:
        await socket.send(" ".join([str(SIZES[-1])] * MANY))
        await served.logged("wrote after the close", times=1)
        heard = [len(await asyncio.wait_for(socket.recv(), 10)) for _ in range(MANY + 2)]
    assert heard == [SIZES[-1]] * MANY + [len("that was all"), len("and this")]
