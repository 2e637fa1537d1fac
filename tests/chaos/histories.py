"""Followers without a cursor to go on from: devices that begin again each time, and readers of a restored log."""

from __future__ import annotations

import asyncio
import random
from typing import Any, NoReturn

import httpx
import websockets

from schema.cursors import log_cursor
from tests.chaos.people import ANSWER_SECONDS, CarefulFollower, Ended, Hearing
from tests.chaos.record import Said
from tests.chaos.scene import Scene
from tests.chaos.sockets import next_message, subscribe

PAGE = """
query ($slug: String!, $after: String) {
  room(slug: $slug) {
    cursor
    messages(first: 100, after: $after) {
      edges { node { sequence text idempotencyKey } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""


class Device(CarefulFollower):
    """Follows from the first ``after`` under the operation id "1" each time it comes back, as its twins do.

    Each time it may hear everything again.
    """

    def _begin(self) -> None:
        self._operation_id, self._cursor = "1", log_cursor(self._room.pk, 0, self._room.epoch)
        self.hearing.begin_again(0)

    async def _follow(self, socket: websockets.ClientConnection) -> NoReturn:
        self._begin()
        await super()._follow(socket)


class ReadingAnew(CarefulFollower):
    """Reads the room again where its cursor is refused, as clients are told to. ``has_read_anew`` says that it has."""

    has_read_anew: asyncio.Event

    async def _follow(self, socket: websockets.ClientConnection) -> NoReturn:
        await subscribe(socket, self._operation_id, self._room, self._cursor)
        message = await next_message(socket, self._keepalive)
        while message["type"] != "error":
            await self._take(socket, message)
            message = await next_message(socket, self._keepalive)
        code = message["payload"][0]["extensions"]["code"]
        if code == "CURSOR_INVALID":
            await self._read_anew()
        raise Ended(code)

    async def _read_anew(self) -> None:
        hearing, cursor = Hearing(), None
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
            while True:
                room = await self._page(http, cursor)
                for edge in room["messages"]["edges"]:
                    node = edge["node"]
                    hearing.note(Said(node["sequence"], node["idempotencyKey"], node["text"]))
                cursor = room["messages"]["pageInfo"]["endCursor"] or cursor
                if not room["messages"]["pageInfo"]["hasNextPage"]:
                    break
        self.hearing, self._cursor = hearing, cursor or room["cursor"]
        self.has_read_anew.set()

    async def _page(self, http: httpx.AsyncClient, after: str | None) -> dict[str, Any]:
        """Raises OSError where the server is not of use, on which the follower comes back."""
        body = {"query": PAGE, "variables": {"slug": self._room.slug, "after": after}}
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            response = await http.post(next(self._turns).graphql_url, json=body, headers=headers)
            room: dict[str, Any] = response.json()["data"]["room"]
        except (httpx.TransportError, ValueError, KeyError, TypeError) as error:
            raise OSError("the room could not be read") from error
        return room


def device(scene: Scene, number: int) -> Device:
    """One of several, all of one account."""
    chance, token = random.Random(scene.chance.random()), scene.probes[0].token
    return Device(f"device {number}", scene.addresses, scene.room, token, chance, scene.load.keepalive)


def reading_anew(scene: Scene, number: int) -> ReadingAnew:
    chance, token = random.Random(scene.chance.random()), scene.probes[0].token
    found = ReadingAnew(f"reader {number}", scene.addresses, scene.room, token, chance, scene.load.keepalive)
    found.has_read_anew = asyncio.Event()
    return found
