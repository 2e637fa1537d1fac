"""What is said to a server: graphql-transport-ws with the documents that all servers are asked for, or raw frames.

Operation ids begin with ``bench-``, which no id of a node does, and each is used once.
"""

from __future__ import annotations

import json
from typing import Any

PROTOCOL = "graphql-transport-ws"
TEXT = "a message of about as many characters as people type"

FOLLOW = """subscription ($roomId: ID!) {
  messages(roomId: $roomId) { cursor sequence kind message { id text sequence sentAt author { displayName } } }
}"""
FOLLOW_AFTER = FOLLOW.replace("($roomId: ID!)", "($roomId: ID!, $after: String)").replace(
    "(roomId: $roomId)", "(roomId: $roomId, after: $after)"
)
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { cursor message { id sequence } } }"
PAGE = """query ($slug: String!, $before: String) {
  room(slug: $slug) {
    messages(last: 50, before: $before) {
      edges { cursor node { id text sequence sentAt author { displayName } } }
      pageInfo { hasPreviousPage startCursor }
    }
  }
}"""


def connection_init(token: str) -> bytes:
    return _json({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})


def subscribe(operation_id: str, query: str, variables: dict[str, Any]) -> bytes:
    return _json({"type": "subscribe", "id": operation_id, "payload": body(query, variables)})


def follow(operation_id: str, room: str, after: str | None = None) -> bytes:
    if after is None:
        return subscribe(operation_id, FOLLOW, {"roomId": room})
    return subscribe(operation_id, FOLLOW_AFTER, {"roomId": room, "after": after})


def sending(room: str, key: str) -> dict[str, Any]:
    """The variables of ``SEND``."""
    return {"input": {"roomId": room, "text": TEXT, "idempotencyKey": key}}


def body(query: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {"query": query, "variables": variables}


def http_request(address: str, path: str, token: str, query: str, variables: dict[str, Any]) -> bytes:
    """A POST of GraphQL over HTTP, from a client that is no browser and keeps its connection."""
    content = _json(body(query, variables))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nAccept: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def raw_frame(sequence: int) -> bytes:
    """What a raw broadcast sends on as it is: an event of the size that a GraphQL server's has."""
    message = {
        "id": "TWVzc2FnZToxMjM0NTY",
        "text": TEXT,
        "sequence": sequence,
        "sentAt": "2026-11-25T13:14:15.123456+00:00",
        "author": {"displayName": "Follower 123"},
    }
    event = {"cursor": "bG9nOjEyMzQ6MTIzNDU2", "sequence": sequence, "kind": "SENT", "message": message}
    return _json({"id": "bench-raw", "type": "next", "payload": {"data": {"messages": event}}})


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
