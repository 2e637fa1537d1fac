"""A client as an application would have one: GraphQL over HTTP, and graphql-transport-ws over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import websockets

from rooms.models import Room
from schema.ids import encode_id
from schema.transport import PROTOCOL
from tests.services.salas import Salas

ENOUGH_SECONDS = 20

JOIN = "mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { token room { id cursor } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { cursor message { id sequence } } }"
FOLLOW = """
subscription ($roomId: ID!, $after: String) {
  messages(roomId: $roomId, after: $after) { sequence cursor kind message { id text author { displayName } } }
}
"""

Event = dict[str, Any]


class Subscription:
    """One operation on a socket that carries no other."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def message(self) -> dict[str, Any]:
        """The next message of the protocol but pings, which are answered."""
        async with asyncio.timeout(ENOUGH_SECONDS):
            while True:
                message: dict[str, Any] = json.loads(await self._socket.recv())
                if message["type"] != "ping":
                    return message
                await self._socket.send(json.dumps({"type": "pong", "payload": message["payload"]}))

    async def event(self) -> Event:
        message = await self.message()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        event: Event = message["payload"]["data"]["messages"]
        return event

    async def events(self, number: int) -> list[Event]:
        return [await self.event() for _ in range(number)]

    async def texts(self, number: int) -> list[str]:
        return [event["message"]["text"] for event in await self.events(number)]


class Client:
    """Somebody at a server. Use as an asynchronous context manager."""

    def __init__(self, server: Salas, token: str | None = None, http: httpx.AsyncClient | None = None) -> None:
        self.server = server
        self.token = token
        self._http = http or httpx.AsyncClient(timeout=ENOUGH_SECONDS)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    def at(self, server: Salas) -> Client:
        """The same person at another process; nothing to be closed."""
        return Client(server, self.token, self._http)

    @property
    def session_cookie(self) -> str:
        """The session cookie that the server has set, as the header of a request."""
        (cookie,) = self._http.cookies.jar
        return f"{cookie.name}={cookie.value}"

    async def execute(self, document: str, **variables: Any) -> dict[str, Any]:
        """Return the whole answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": document, "variables": variables}
        response = await self._http.post(self.server.graphql_url, json=body, headers=headers)
        answer: dict[str, Any] = response.json()
        return answer

    async def data(self, document: str, **variables: Any) -> Any:
        answer = await self.execute(document, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def join(self, room: Room, name: str = "Ana", password: str | None = None) -> Client:
        given = {"slug": room.slug, "displayName": name, "password": password}
        self.token = (await self.data(JOIN, input=given))["joinRoom"]["token"]
        return self

    async def send(self, room: Room, text: str, key: str | None = None) -> dict[str, Any]:
        given = {"roomId": room_id(room), "text": text, "idempotencyKey": key}
        payload: dict[str, Any] = (await self.data(SEND, input=given))["sendMessage"]
        return payload

    @asynccontextmanager
    async def socket(self, **headers: str) -> AsyncIterator[websockets.ClientConnection]:
        """A socket that is acknowledged."""
        async with websockets.connect(
            self.server.websocket_url, subprotocols=[websockets.Subprotocol(PROTOCOL)], additional_headers=headers
        ) as socket:
            payload = {"authorization": f"Bearer {self.token}"} if self.token else {}
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            assert json.loads(await asyncio.wait_for(socket.recv(), ENOUGH_SECONDS)) == {"type": "connection_ack"}
            yield socket

    @asynccontextmanager
    async def follow(self, room: Room, after: str | None = None) -> AsyncIterator[Subscription]:
        """Follow a room. Whatever is sent once this has been entered is heard.

        A ping on the same socket is no proof that a subscription has begun, so this asks for the place to begin at.
        """
        if after is None:
            document = "query ($slug: String!) { room(slug: $slug) { cursor } }"
            after = (await self.data(document, slug=room.slug))["room"]["cursor"]
        async with self.subscribe(FOLLOW, roomId=room_id(room), after=after) as subscription:
            yield subscription

    @asynccontextmanager
    async def subscribe(self, document: str, **variables: Any) -> AsyncIterator[Subscription]:
        async with self.socket() as socket:
            payload = {"query": document, "variables": variables}
            await socket.send(json.dumps({"type": "subscribe", "id": str(uuid4()), "payload": payload}))
            yield Subscription(socket)


def room_id(room: Room) -> str:
    return encode_id("Room", room.pk)
