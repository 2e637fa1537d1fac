"""The answers of HTTP/1.1 (RFC 9112), as far as a benchmark's servers give them: with a length, or in chunks."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """``size`` is that of the whole answer, head included."""

    status: int
    body: bytes
    size: int


def answer_in(received: bytes) -> Answer | None:
    """The first answer in ``received``; None while it is not complete. Raises ValueError for what is none."""
    end = received.find(_END_OF_HEAD)
    if end < 0:
        return None
    head, begin = received[:end], end + len(_END_OF_HEAD)
    if not head.startswith(b"HTTP/1.1 "):
        raise ValueError(f"no HTTP/1.1: {head[:40]!r}")
    status = int(head[9:12])
    if length := _LENGTH.search(head):
        size = begin + int(length[1])
        return Answer(status, received[begin:size], size) if len(received) >= size else None
    if _CHUNKED.search(head):
        return _chunked(status, received, begin)
    raise ValueError("an answer without a length")


def _chunked(status: int, received: bytes, at: int) -> Answer | None:
    body = b""
    while (line_end := received.find(b"\r\n", at)) >= 0:
        size = int(received[at:line_end].partition(b";")[0], 16)
        begin, end = line_end + 2, line_end + 2 + size
        if len(received) < end + 2:
            return None
        if not size:
            return Answer(status, body, end + 2)
        body += received[begin:end]
        at = end + 2
    return None
