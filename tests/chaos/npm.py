"""Followers that are clients from npm as they come: they know nothing of cursors, and the server makes up for it."""

from __future__ import annotations

import time
from collections import Counter
from math import inf
from typing import Any

from rooms.models import Room
from tests.chaos.people import Hearing
from tests.chaos.record import Said
from tests.chaos.sockets import Address
from tests.end_to_end.npm import RESUMABLE, npm_client

LOST_ON_THE_WAY_SECONDS = 2.0


class NpmFollower:
    """Hears again, after a cut, what it had not confirmed; ``resumable`` hears nothing again.

    What it signed shortly before it noticed the cut may have been cut off too, and then confirmed nothing.
    """

    def __init__(self, name: str, address: Address, room: Room, token: str, *, is_stubborn: bool) -> None:
        self.hearing = Hearing()
        self.ends: Counter[str] = Counter()
        self._name = name
        self._address = address
        self._room = room
        self._token = token
        self._is_stubborn = is_stubborn
        self._receipts: list[
            tuple[float, int]
        ] = []  # since the last connection began: when, and the sequence heard last by then
        self._last = 0
        self._confirmed = 0
        self._cut_at: float | None = None

    async def run(self) -> None:
        url, is_stubborn = self._address.graphql_url, self._is_stubborn
        async with npm_client(self._name, url, self._token, self._room, is_stubborn=is_stubborn) as client:
            async for line in client.lines():
                self._note(line)
            self.ends[f"{self._name} gave up"] += 1

    def _note(self, line: dict[str, Any]) -> None:
        match line["type"]:
            case "connected" if self.hearing.highest.value:
                self._settle_receipts()
                self.hearing.begin_again(confirmed=inf if self._name == RESUMABLE else self._confirmed)
                self._last, self._cut_at = 0, None
            case "confirmed":
                self._receipts.append((time.monotonic(), self._last))
            case "closed":
                self._cut_at = self._cut_at or time.monotonic()  # closed again: it did not even get so far
                self.ends[str(line["code"])] += 1
            case "heard":
                self._last = line["sequence"]
                self.hearing.note(Said(line["sequence"], line["key"], line["text"]))

    def _settle_receipts(self) -> None:
        """Those of the connection that was cut have arrived by now, or never will."""
        until = (self._cut_at or 0.0) - LOST_ON_THE_WAY_SECONDS
        self._confirmed = max([self._confirmed, *(last for signed_at, last in self._receipts if signed_at <= until)])
        self._receipts.clear()
