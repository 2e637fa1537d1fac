"""Answers of HTTP/1.1, in whatever pieces they come."""

from __future__ import annotations

import pytest

from .http1 import answer_in

WITH_LENGTH = b"HTTP/1.1 200 OK\r\nServer: daphne\r\nContent-Length: 5\r\n\r\nhello"
IN_CHUNKS = b"HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"


@pytest.mark.parametrize(("received", "status"), [(WITH_LENGTH, 200), (IN_CHUNKS, 400)])
def test_an_answer_is_found_once_it_is_complete(received: bytes, status: int) -> None:
    assert not any(answer_in(received[:size]) for size in range(len(received)))
    answer = answer_in(received + b"HTTP/1.1 ")
    assert answer is not None
    assert (answer.status, answer.body, answer.size) == (status, b"hello", len(received))


@pytest.mark.parametrize("received", [b"SSH-2.0\r\n\r\n\r\n", b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"])
def test_what_is_no_answer_is_an_error(received: bytes) -> None:
    with pytest.raises(ValueError, match=r"HTTP/1.1|length"):
        answer_in(received)
