"""What messages of the protocol say, where there is a shorter way to it than reading JSON."""

from __future__ import annotations

import json

import pytest

from schema.messages import receipt_in

PONG = {"type": "pong", "payload": {"receipt": 17}}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["as JavaScript writes it", "as Python does"])
def test_a_receipt_is_read_without_reading_json(separators: tuple[str, str]) -> None:
    assert receipt_in(json.dumps(PONG, separators=separators).encode()) == 17


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"pong"}',
        b'{"type":"ping","payload":{"receipt":17}}',
        b'{"type":"pong","payload":{"receipt":017}}',
        b'{"type":"pong","payload":{"receipt":-17}}',
        b'{"type":"pong","payload":{"receipt":17.5}}',
        b'{"type":"pong","payload":{"receipt":"17"}}',
        b'{"type":"pong","payload":{"receipt":17,"receipt":18}}',
        b'{"type":"pong","payload":{"receipt":17}} ',
        b'{"type":"pong","payload":{"receipt":1234567890123456789}}',
        b'{"payload":{"receipt":17},"type":"pong"}',
    ],
)
def test_everything_else_goes_the_long_way(text: bytes) -> None:
    assert receipt_in(text) is None
