"""What the load generator reads of a frame, and what it makes of the sequences in them; no socket is needed for either.

As little as proves that the right follower hears the right entries in the right order: JSON is not parsed, because
that would make the generator the slowest part of what it measures.
"""

from __future__ import annotations

import json
import re
from typing import Any

SEQUENCE = b'"sequence":'
_SEQUENCE = re.compile(rb'"sequence": ?([0-9]+)')
_TYPE = re.compile(rb'"type": ?"([a-z_]+)"')
_ID = re.compile(rb'"id": ?"([^"]*)"')


def sequence_at(frame: bytes, at: int) -> int:
    """The number behind ``SEQUENCE``, found at ``at``; another member follows it."""
    return int(frame[at + len(SEQUENCE) : frame.index(b",", at)])


def sequence_in(frame: bytes) -> int | None:
    """The first sequence in a frame or body, None where there is none."""
    found = _SEQUENCE.search(frame)
    return int(found[1]) if found else None


def type_of(frame: bytes) -> str:
    """The type of a message of the protocol; empty for anything else. Members may come in any order."""
    found = _TYPE.search(frame)
    return found[1].decode() if found else ""


def operation_id_of(frame: bytes) -> bytes:
    """The id of a message of the protocol, which stands before or after its payload; empty where there is none.

    Ids that are looked for begin with nothing that the ids of nodes begin with: see ``followers`` and ``speakers``.
    """
    return next((found for found in _ID.findall(frame) if found.startswith(b"bench-")), b"")


def pong_to(frame: bytes) -> bytes:
    """The ``pong`` that signs a ``ping``, as clients in JavaScript write it: with its payload (the receipt), if any."""
    ping: dict[str, Any] = json.loads(frame)
    pong = {"type": "pong"} | ({"payload": ping["payload"]} if "payload" in ping else {})
    return json.dumps(pong, separators=(",", ":")).encode()


class Hearing:
    """What one follower hears of a log. ``next`` is the sequence that should come; 0: nothing has been heard yet.

    What the first entry is does not matter: followers come while something is said. From then on all count.
    """

    __slots__ = ("_missing", "next", "reordered", "repeated")

    def __init__(self) -> None:
        self.next = 0
        self.repeated = 0
        self.reordered = 0
        self._missing: set[int] = set()

    def hear(self, sequence: int) -> None:
        if sequence == self.next or not self.next:
            self.next = sequence + 1
        else:
            self._hear_out_of_turn(sequence)

    def lost(self, last: int) -> int:
        """How many entries up to ``last`` have not come."""
        return len(self._missing) + max(0, last + 1 - (self.next or 1))

    def _hear_out_of_turn(self, sequence: int) -> None:
        if sequence > self.next:
            self._missing.update(range(self.next, sequence))
            self.next = sequence + 1
        elif sequence in self._missing:
            self._missing.remove(sequence)
            self.reordered += 1
        else:
            self.repeated += 1
