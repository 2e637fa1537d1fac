"""What was sent on a socket, and how much of it the client has confirmed.

A ping of the protocol, sent after some messages, is a receipt to sign: clients answer it with a pong once they have
dispatched what came before. What else a client may do says less: a pong that names no ping may have come unasked, and
the answer to a ping of the WebSocket's own (RFC 6455, section 5.5.2) is given before any of its code runs. Such an
answer confirms bytes, and never a position.

Concurrency: none of its own; a socket's, on one event loop. No method suspends, and time is handed in, in seconds.
Invariants: confirmed never exceeds sent; a position is confirmed only after it was sent, and never falls. The numbers
of receipts can't be guessed, so that only a client that has read a ping can answer it.
Dependencies: the standard library.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from os import urandom

FIRST_WINDOW_BYTES = 8 * 1024
MAX_NUMBER = 2**31 - 1  # whatever clients read JSON's numbers into holds it exactly
NUMBERS_AT_ONCE = 1_024  # a call of the kernel for each would cost as much as all else of a receipt

Positions = dict[str, int]


@dataclass(frozen=True)
class Receipt:
    """A ping that waits for its pong. ``positions`` are those sent since the one before, by operation id.

    That of a ping of the WebSocket's own has none.
    """

    number: int
    sent_bytes: int
    positions: Positions


class Window:
    """At most ``limit_bytes`` in flight, give or take the message that reaches it; 0 is no limit.

    It begins small and doubles with each receipt, as TCP does (RFC 5681, section 3.1): a client whose connections are
    cut again and again after a few kilobytes signs something on each of them, and comes further.

    ``sent_bytes`` were sent in all. ``waiting_since``: since when the client has owed an answer without giving any;
    None when it owes none. ``is_answered``: whether it has ever given one; ``is_signed``: whether it has ever signed a
    receipt, which shows that it knows the protocol's pings.
    """

    __slots__ = (
        "_allowed_bytes",
        "_confirmed_bytes",
        "_first_number",
        "_limit_bytes",
        "_positions",
        "_receipted_bytes",
        "_receipts",
        "is_answered",
        "is_signed",
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
        self._first_number: int | None = None
        self.is_answered = False
        self.is_signed = False
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
        return unreceipted > 0 and (unreceipted >= self._allowed_bytes // 4 or self.is_full)

    @property
    def has_unreceipted(self) -> bool:
        return self.sent_bytes > self._receipted_bytes

    def sent(self, size: int, operation_id: str | None = None, position: int | None = None) -> None:
        """Note a message of ``size`` bytes which, for a subscription, brought its client to ``position``."""
        self.sent_bytes += size
        if operation_id is not None and position is not None:
            self._positions[operation_id] = position

    def ping(self, now: float) -> int:
        """Note a ping of the protocol and return its number, which the payload carries."""
        positions, self._positions = self._positions, {}
        number = self._asked(positions, now)
        if self._first_number is None:
            self._first_number = number
        return number

    def probe(self, now: float) -> int:
        """Note a ping of the WebSocket's own and return its number. What it confirms are bytes."""
        return self._asked({}, now)

    def _asked(self, positions: Positions, now: float) -> int:
        if not self._receipts:
            self.waiting_since = now
        self.pinged_at = now
        number = next(_numbers)
        self._receipts.append(Receipt(number, self.sent_bytes, positions))
        self._receipted_bytes = self.sent_bytes
        return number

    def awaits(self, number: int) -> bool:
        """Whether a pong to ping ``number`` answers any that waits for it."""
        return any(receipt.number == number for receipt in self._receipts)

    def awaits_any(self, handed_over_bytes: int) -> bool:
        """Whether a pong without a number may answer the oldest: what came before that has left the server.

        One from a client that signs receipts came unasked.
        """
        return not self.is_signed and bool(self._receipts) and self._receipts[0].sent_bytes <= handed_over_bytes

    def pong(self, number: int, now: float) -> Positions:
        """Return what is confirmed by the pong to ping ``number`` of the protocol; nothing if unknown."""
        confirmed: Positions = {}
        if not self.awaits(number):
            self.is_signed = self.is_signed or number == self._first_number
            return confirmed
        self.is_signed = True
        for receipt in self._answered_by(number, now):
            confirmed |= receipt.positions
        return confirmed

    def heard(self, number: int, now: float) -> None:
        """Take the answer to a ping of the WebSocket's own. Positions stay to be confirmed, by the next receipt."""
        if not self.awaits(number):
            return
        unconfirmed: Positions = {}
        for receipt in self._answered_by(number, now):
            unconfirmed |= receipt.positions
        following = self._receipts[0].positions if self._receipts else self._positions
        for operation_id, position in unconfirmed.items():
            following.setdefault(operation_id, position)

    def heard_of_oldest(self, handed_over_bytes: int, now: float) -> None:
        """Take a pong without a number for a sign of life, and for the answer to the oldest ping if it may be one."""
        if self.awaits_any(handed_over_bytes):
            self.heard(self._receipts[0].number, now)
        elif self._receipts:
            self.waiting_since = now

    def take_for_received(self, handed_over_bytes: int, now: float) -> bool:
        """Count what has left the server as confirmed, while the client's answers are not read; return if any was.

        The client owes nothing meanwhile, unless it takes nothing.
        """
        is_more = handed_over_bytes > self._confirmed_bytes
        if is_more:
            self._confirmed_bytes = handed_over_bytes
        if self._receipts and (is_more or handed_over_bytes >= self.sent_bytes):
            self.waiting_since = now
        return is_more

    def _answered_by(self, number: int, now: float) -> list[Receipt]:
        """Take out the receipts up to that ``number``, which is one of them."""
        self._allowed_bytes = min(2 * self._allowed_bytes, self._limit_bytes)
        self.is_answered = True
        answered: list[Receipt] = []
        while not answered or answered[-1].number != number:
            answered.append(self._receipts.pop(0))
        self._confirmed_bytes = max(self._confirmed_bytes, answered[-1].sent_bytes)
        self.waiting_since = now if self._receipts else None
        return answered

    def forget(self, operation_id: str) -> None:
        """Confirm nothing of an operation any more: its id may come to name another."""
        for positions in (self._positions, *(receipt.positions for receipt in self._receipts)):
            positions.pop(operation_id, None)


def _random_numbers() -> Iterator[int]:
    while True:
        for number in array("I", urandom(4 * NUMBERS_AT_ONCE)):
            yield number & MAX_NUMBER or 1


_numbers = _random_numbers()
