"""What the server refuses below the application is told in its own words, and leaves no traceback."""

from __future__ import annotations

import asyncio
import struct

import pytest

from server import words
from tests.server.served import ENOUGH_SECONDS, Served

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
OF_LIBRARIES = (b"codec", b"autobahn", b"Daphne", b"Exception", b"Error:", b"octet index", b"opcode", b"HTTP Origin")


def handshake(**changed: str) -> bytes:
    parts = {
        "line": "GET /ignores HTTP/1.1",
        "connection": "Connection: Upgrade",
        "key": KEY,
        "version": "Sec-WebSocket-Version: 13",
        "more": "X-More: x",
    } | changed
    lines = [parts.pop("line"), "Host: 127.0.0.1", "Upgrade: websocket", *parts.values()]
    return ("\r\n".join(line for line in lines if line) + "\r\n\r\n").encode("latin-1")


def frame(first: int, data: bytes, *, mask: bool = True) -> bytes:
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
    return bytes([first, size[0] | (0x80 if mask else 0)]) + size[1:] + (bytes(4) if mask else b"") + data


async def answered(served: Served, *sent: bytes, until: bytes) -> bytes:
    """What comes back, up to there. After the first piece it waits for an answer."""
    host, _, port = served.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(ENOUGH_SECONDS):
        writer.write(sent[0])
        if len(sent) > 1:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"".join(sent[1:]))
        received = await reader.readuntil(until)
    writer.transport.abort()
    return received


@pytest.mark.parametrize(
    "changed",
    [
        {"key": ""},
        {"key": "Sec-WebSocket-Key: x"},
        {"version": "Sec-WebSocket-Version: 99"},
        {"version": "Sec-WebSocket-Version: x"},
        {"connection": "Connection: close"},
        {"line": "POST /ignores HTTP/1.1"},
        {"line": "GET /ignores#x HTTP/1.1"},
        {"more": "Origin: x"},
        {"more": "Sec-WebSocket-Protocol: \xff"},
    ],
    ids=str,
)
async def test_what_is_no_handshake(changed: dict[str, str], served: Served) -> None:
    answer = await answered(served, handshake(**changed), until=words.HANDSHAKE.encode())
    assert answer.startswith((b"HTTP/1.1 400 Bad Request\r\n", b"HTTP/1.1 405 Method Not Allowed\r\n"))
    assert not [each for each in OF_LIBRARIES if each in answer]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(0x81, b"\xff"), 1007),
        (frame(0xC1, b"{}"), 1002),
        (frame(0x81, b"{}", mask=False), 1002),
        (frame(0x83, b""), 1002),
        (frame(0x89, b"x" * 126), 1002),
        (frame(0x80, b"x"), 1002),
    ],
)
async def test_what_is_no_frame(sent: bytes, code: int, served: Served) -> None:
    reason = struct.pack(">H", code) + words.CLOSES[code].encode()
    assert (await answered(served, handshake(), sent, until=reason)).endswith(reason)


async def test_no_refusal_leaves_a_traceback(served: Served) -> None:
    await answered(served, handshake(key=""), until=words.HANDSHAKE.encode())
    await answered(served, handshake(line="GET /cookies HTTP/1.1", more="Cookie: a=1"), until=b"a=1")
    assert "Traceback" not in served.log


async def test_cookies_of_a_handshake_in_several_lines_are_all_there(served: Served) -> None:
    more = "Cookie: a=1\r\nCookie: b=2"
    answer = await answered(served, handshake(line="GET /cookies HTTP/1.1", more=more), until=b"a=1; b=2")
    assert answer.startswith(b"HTTP/1.1 101")
