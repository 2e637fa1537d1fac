"""What the load generator makes of frames and sequences."""

from __future__ import annotations

import json

import pytest

from .frames import SEQUENCE, Hearing, operation_id_of, pong_to, sequence_at, sequence_in, type_of

EVENT = {"cursor": "bG9n", "sequence": 17, "kind": "SENT", "message": {"id": "TWVz", "sequence": 3}}
NEXT = {"id": "bench-5-follows", "type": "next", "payload": {"data": {"messages": EVENT}}}
COMPACT = json.dumps(NEXT, separators=(",", ":")).encode()
SPACED = json.dumps(NEXT).encode()


def heard(*sequences: int) -> Hearing:
    hearing = Hearing()
    for sequence in sequences:
        hearing.hear(sequence)
    return hearing


@pytest.mark.parametrize("frame", [COMPACT, SPACED])
def test_a_frame_tells_its_type_its_operation_and_its_sequence(frame: bytes) -> None:
    assert type_of(frame) == "next"
    assert operation_id_of(frame) == b"bench-5-follows"
    assert sequence_at(frame, frame.index(SEQUENCE)) == sequence_in(frame) == 17


def test_the_operation_is_found_behind_the_payload_too() -> None:
    frame = json.dumps({"payload": NEXT["payload"], "id": "bench-6-speaks", "type": "next"}).encode()
    assert operation_id_of(frame) == b"bench-6-speaks"


def test_what_has_no_sequence_has_none() -> None:
    assert sequence_in(b'{"type":"error","payload":[{"message":"no"}]}') is None


def test_a_pong_signs_the_receipt_of_its_ping() -> None:
    assert json.loads(pong_to(b'{"type":"ping","payload":{"receipt":4}}')) == {
        "type": "pong",
        "payload": {"receipt": 4},
    }
    assert json.loads(pong_to(b'{"type":"ping"}')) == {"type": "pong"}


def test_a_log_may_be_joined_anywhere() -> None:
    hearing = heard(7, 8, 9)
    assert (hearing.lost(9), hearing.repeated, hearing.reordered) == (0, 0, 0)


def test_a_hole_is_lost_and_so_is_an_end_that_did_not_come() -> None:
    assert heard(1, 2, 5).lost(7) == 2 + 2
    assert heard().lost(3) == 3
    assert heard().lost(0) == 0


def test_what_comes_late_is_out_of_order_and_not_lost() -> None:
    hearing = heard(1, 3, 2, 4)
    assert (hearing.lost(4), hearing.repeated, hearing.reordered) == (0, 0, 1)


def test_what_comes_twice_is_repeated() -> None:
    hearing = heard(1, 2, 2, 1, 3)
    assert (hearing.lost(3), hearing.repeated, hearing.reordered) == (0, 2, 0)
