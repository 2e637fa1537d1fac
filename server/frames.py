"""Frames of the WebSocket protocol (RFC 6455, section 5.2), as far as there is a shorter way to them than autobahn's.

What is not as plain as this is left to autobahn, which knows all of the protocol, faulty frames included.
"""

from __future__ import annotations

from typing import NamedTuple

TEXT = 0x81  # the final frame of a message, of text
MASKED = 0x80
TWO_BYTES, EIGHT_BYTES = 126, 127  # where the length stands instead
PLAIN_BYTES = 4096


class Plain(NamedTuple):
    """A text in one masked frame, of which ``rest`` is what came behind it."""

    payload: bytes
    rest: bytes


def plain_in(data: bytes) -> Plain | None:
    """The frame that ``data`` begins with, if it is whole, plain, not long and UTF-8."""
    if len(data) < 6 or data[0] != TEXT or not data[1] & MASKED:
        return None
    size, at = data[1] & ~MASKED, 2
    if size == TWO_BYTES:
        size, at = int.from_bytes(data[2:4], "big"), 4
        if size < TWO_BYTES:
            return None
    end = at + 4 + size
    if size > PLAIN_BYTES or data[1] == MASKED | EIGHT_BYTES or len(data) < end:
        return None
    payload = unmasked(data[at + 4 : end], data[at : at + 4])
    return Plain(payload, data[end:]) if is_utf8(payload) else None


def unmasked(payload: bytes, mask: bytes) -> bytes:
    """RFC 6455, section 5.3, all octets at once."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_header(size: int) -> bytes:
    """What stands before a text of ``size`` bytes from a server: final, and not masked."""
    if size < TWO_BYTES:
        return bytes((TEXT, size))
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")
