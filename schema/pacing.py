"""What was sent on a socket, and how much of it the client has confirmed.

A ping of the protocol, sent after some messages, is a receipt to sign: clients answer it with a pong once they have
dispatched what came before. Those that echo the payload sign that very one; those that do not sign the oldest.

Concurrency: none of its own; a socket's, on one event loop. No method suspends, and time is handed in, in seconds.
Invariants: confirmed never exceeds sent; a position is confirmed only after it was sent, and never falls.
Dependencies: the standard library.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

FIRST_WINDOW_BYTES = 8 * 1024

Positions = dict[str, int]


@dataclass(frozen=True)
class Receipt:
    """A ping that waits for its pong. ``positions`` are those sent since the one before, by operation id."""

    number: int
    sent_bytes: int
    positions: Positions


class Window:
    """At most ``limit_bytes`` in flight, give or take the message that reaches it; 0 is no limit.

    It begins small and doubles with each receipt, as TCP does (RFC 5681, section 3.1): a client whose connections are
    cut again and again after a few kilobytes signs something on each of them, and comes further.

    ``sent_bytes`` were sent in all. ``waiting_since``: since when the client has owed a receipt without signing any;
    None when it owes none.
    """

    __slots__ = (
        "_allowed_bytes",
        "_confirmed_bytes",
        "_limit_bytes",
        "_number",
        "_positions",
        "_receipted_bytes",
        "_receipts",
        "pinged_at",
        "sent_bytes",
        "waiting_since",
    )

    def __init__(self, limit_bytes: int, now: float) -> None:
        self._limit_bytes = limit_bytes or sys.maxsize
        self._allowed_bytes = min(FIRST_WINDOW_BYTES, self._limit_bytes)
        self.sent_bytes = 0
        self._confirmed_bytes = 0
        self._receipted_bytes = 0
        self._positions: Positions = {}
        self._receipts: list[Receipt] = []  # of which there are few
        self._number = 0
        self.pinged_at = now
        self.waiting_since: float | None = None

    @property
    def is_full(self) -> bool:
        return self.sent_bytes - self._confirmed_bytes >= self._allowed_bytes

    @property
    def is_overrun(self) -> bool:
        """Whether what does not wait for room has filled as much again."""
        return self.sent_bytes - self._confirmed_bytes >= 2 * self._limit_bytes

    @property
    def wants_receipt_now(self) -> bool:
        """Whether so much was sent since the last ping, or in all, that the next should not wait."""
        unreceipted = self.sent_bytes - self._receipted_bytes
        return unreceipted >= self._allowed_bytes // 4 or (self.is_full and unreceipted > 0)

    @property
    def has_unreceipted(self) -> bool:
        return self.sent_bytes > self._receipted_bytes

    def sent(self, size: int, operation_id: str | None = None, position: int | None = None) -> None:
        """Note a message of ``size`` bytes which, for a subscription, brought its client to ``position``."""
        self.sent_bytes += size
        if operation_id is not None and position is not None:
            self._positions[operation_id] = position

    def ping(self, now: float) -> int:
        """Note a ping and return its number, which the payload carries."""
        if not self._receipts:
            self.waiting_since = now
        self.pinged_at = now
        self._number += 1
        self._receipts.append(Receipt(self._number, self.sent_bytes, self._positions))
        self._receipted_bytes = self.sent_bytes
        self._positions = {}
        return self._number

    def awaits(self, number: int | None) -> bool:
        """Whether a pong to ping ``number``, None for one without payload, answers any that waits for it."""
        return any(number is None or receipt.number == number for receipt in self._receipts)

    def pong(self, number: int | None, now: float) -> Positions:
        """Return what is confirmed by the pong to ping ``number``, None for one without payload; nothing if unknown."""
        if number is None and self._receipts:
            number = self._receipts[0].number
        confirmed: Positions = {}
        if number is None or not self.awaits(number):
            return confirmed
        self._allowed_bytes = min(2 * self._allowed_bytes, self._limit_bytes)
        while self._receipts and self._receipts[0].number <= number:
            receipt = self._receipts.pop(0)
            self._confirmed_bytes = receipt.sent_bytes
            confirmed |= receipt.positions
        self.waiting_since = now if self._receipts else None
        return confirmed

    def forget(self, operation_id: str) -> None:
        """Confirm nothing of an operation any more: its id may come to name another."""
        for positions in (self._positions, *(receipt.positions for receipt in self._receipts)):
            positions.pop(operation_id, None)
