"""graphql-transport-ws over ASGI: the WebSocket side of ``/graphql/``, up to where a socket is open.

The socket has no channel of its own on the Channels layer: what it follows comes from the hub.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, WebSocketScope
from django.conf import settings
from django.http.cookie import parse_cookie
from strawberry.schema import BaseSchema

from rooms.hub import Hub

from .addresses import client_address
from .closing import FORBIDDEN, SUBPROTOCOL_NOT_ACCEPTABLE
from .origins import is_allowed_host, is_trusted_origin
from .receipts import Receipts
from .socket import Drain, Limits, Socket

PROTOCOL = "graphql-transport-ws"


@dataclass(frozen=True)
class Transport:
    """The ASGI application. ``hub`` brings what subscriptions follow, ``receipts`` remembers what clients confirmed."""

    schema: BaseSchema
    hub: Hub
    receipts: Receipts
    limits: Limits = field(default_factory=Limits)

    async def __call__(self, scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()  # websocket.connect
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        origin, host = headers.get("origin"), headers.get("host", "")
        if not is_allowed_host(host) or (origin is not None and not is_trusted_origin(origin, host)):
            await _refuse_handshake(send)
        elif PROTOCOL not in scope["subprotocols"]:
            await _close_for_subprotocol(send)
        else:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL, "headers": []})
            session_key = _session_key(headers.get("cookie", "")) if origin is not None else None
            drain: Drain | None = (scope.get("extensions") or {}).get("salas.drain")  # type: ignore[assignment]
            peer = (scope.get("client") or (None, None))[0]
            address = client_address(peer, headers.get("x-forwarded-for"))
            await Socket(self, session_key, address, drain, receive, send).run()


async def refuse(_scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI application for addresses that have no WebSocket: the handshake ends in 403."""
    await receive()  # websocket.connect
    await _refuse_handshake(send)


async def _refuse_handshake(send: ASGISendCallable) -> None:
    """A close before the accept makes the server answer 403."""
    await send({"type": "websocket.close", "code": FORBIDDEN, "reason": "Forbidden"})


async def _close_for_subprotocol(send: ASGISendCallable) -> None:
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    reason = f"Subprotocol not acceptable: this server speaks {PROTOCOL}"
    await send({"type": "websocket.close", "code": SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})


def _session_key(cookie_header: str) -> str | None:
    return parse_cookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
