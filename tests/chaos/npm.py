"""Followers that are clients from npm as they come: they know nothing of cursors, and the server makes up for it."""

from __future__ import annotations

from collections import Counter, deque
from math import inf
from typing import Any

from rooms.models import Room
from tests.chaos.people import Hearing
from tests.chaos.record import Said
from tests.chaos.sockets import Address
from tests.end_to_end.npm import RESUMABLE, npm_client

ON_THE_WAY = 2


class NpmFollower:
    """Hears again, after a cut, what it had not confirmed; ``resumable`` hears nothing again.

    The last ``ON_THE_WAY`` receipts that it signed may have been cut off too, and then confirmed nothing.
    """

    def __init__(self, name: str, address: Address, room: Room, token: str, *, is_stubborn: bool) -> None:
        self.hearing = Hearing()
        self.ends: Counter[str] = Counter()
        self._name = name
        self._address = address
        self._room = room
        self._token = token
        self._is_stubborn = is_stubborn
        self._receipts = deque([0], maxlen=ON_THE_WAY + 1)  # the highest sequence heard when each was signed

    async def run(self) -> None:
        url, is_stubborn = self._address.graphql_url, self._is_stubborn
        async with npm_client(self._name, url, self._token, self._room, is_stubborn=is_stubborn) as client:
            async for line in client.lines():
                self._note(line)
            self.ends[f"{self._name} gave up"] += 1

    def _note(self, line: dict[str, Any]) -> None:
        match line["type"]:
            case "connected" if self.hearing.highest.value:
                self.hearing.begin_again(confirmed=inf if self._name == RESUMABLE else self._receipts[0])
            case "confirmed":
                self._receipts.append(self.hearing.highest.value)
            case "closed":
                self.ends[str(line["code"])] += 1
            case "heard":
                self.hearing.note(Said(line["sequence"], line["key"], line["text"]))
