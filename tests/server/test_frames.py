"""Texts that an application puts on the wire at once, by the ASGI extension ``salas.frames``."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.frames import plain_in, text_header
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


def masked(payload: bytes, mask: bytes = b"\x01\xfe\x80\x37", first: int = 0x81) -> bytes:
    """A client's frame."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([first]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@given(st.text(max_size=500).map(str.encode), st.binary(min_size=4, max_size=4), st.binary(max_size=9))
def test_a_plain_frame_is_read_and_what_is_behind_it_kept(payload: bytes, mask: bytes, rest: bytes) -> None:
    frame = masked(payload, mask)
    assert plain_in(frame + rest) == (payload, rest)
    assert all(plain_in(frame[:size]) is None for size in range(len(frame)))


@pytest.mark.parametrize(
    "frame",
    [
        masked(b"x", first=0x01),
        masked(b"x", first=0x82),
        masked(b"x", first=0x88),
        masked(b"x", first=0xC1),
        b"\x81\x01x",
        masked(b"\xff\xfe"),
        b"\x81\xfe\x00\x01" + bytes(5),
        masked(b"x" * 4097),
        b"\x81\xff" + bytes(100),
    ],
    ids=[
        "a part of a message",
        "binary",
        "a close",
        "compressed",
        "not masked",
        "not UTF-8",
        "a length that is too long",
        "a long one",
        "eight bytes of length",
    ],
)
def test_what_is_not_plain_is_left_to_autobahn(frame: bytes) -> None:
    assert plain_in(frame) is None


async def test_messages_of_all_sizes_come_in_whole_and_in_order(served: Served) -> None:
    sizes = (0, 1, 125, 126, 4095, 4096, 4097, 70_000, 3)
    texts = [f"{size}:{'ñ' * (size // 2)}" for size in sizes]
    async with connect(f"{served.websocket_url}/ignores", compression=None) as socket:
        for text in texts:
            await socket.send(text)
        await socket.send(["in ", "three ", "parts"])
        await socket.ping()
        assert [await socket.recv() for _ in range(len(texts) + 1)] == [*texts, "in three parts"]


async def test_a_text_that_is_not_utf8_ends_the_socket(served: Served) -> None:
    async with connect(f"{served.websocket_url}/ignores", compression=None) as socket:
        await socket.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1007


@pytest.mark.parametrize("too", ["mine, too", b"mine, too"], ids=["text", "binary"])
async def test_what_an_application_takes_at_once_goes_no_further(served: Served, too: str | bytes) -> None:
    async with connect(f"{served.websocket_url}/takes", compression=None) as socket:
        for text in ("go on", "mine", too, "and so on"):
            await socket.send(text)
        assert [await socket.recv() for _ in range(4)] == ["took mine", "took mine, too", "go on", "and so on"]


async def test_pings_of_the_websocket_s_own_are_sent_in_order_and_their_pongs_heard(served: Served) -> None:
    async with connect(f"{served.websocket_url}/pings", ping_interval=None) as socket:
        for text in ("17", "x" * 125):
            await socket.send(text)
            assert [await socket.recv() for _ in range(3)] == ["before", "after", f"pong {text}"]
        await socket.pong(b"unasked")
        assert await socket.recv() == "pong unasked", "whether it was asked for is the application's to know"


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
    (waiting,) = [int(found) for found in re.findall(r"(\d+) bytes wait", served.log) if int(found) > 0]
    assert waiting < SIZES[-1] * MANY + 10 * MANY
    assert heard == [SIZES[-1]] * MANY + [len("that was all"), len("and this")]
