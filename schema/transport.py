"""graphql-transport-ws over ASGI: the WebSocket side of ``/graphql/``, up to where a socket is open.

The socket has no channel of its own on the Channels layer: what it follows comes from the hub.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, WebSocketScope
from django.conf import settings
from django.http.cookie import parse_cookie
from strawberry.schema import BaseSchema

from rooms.hub import Hub

from .addresses import client_of, network_of
from .beginnings import Beginnings
from .census import Census
from .closing import FORBIDDEN, SUBPROTOCOL_NOT_ACCEPTABLE, TOO_MANY_SOCKETS
from .cohorts import Cohorts
from .context import Credentials
from .credentials import bearer_in
from .headers import Contradiction, folded
from .identities import Identities
from .limits import Pace, SocketLimits
from .origins import is_allowed_host, is_trusted_origin
from .pacemaker import Pacemaker
from .paths import GRAPHQL
from .presence import OpenSockets
from .receipts import Receipts
from .socket import Socket

logger = logging.getLogger(__name__)

PROTOCOL = "graphql-transport-ws"
ANOTHER_HOST = "This server does not answer to the name in the header Host: ALLOWED_HOSTS lists those that it has."
ANOTHER_SITE = "The page is of another site: its Origin must be this server's, or be listed in CORS_ALLOWED_ORIGINS."
LEGACY_PROTOCOL = "graphql-ws"  # of subscriptions-transport-ws, not of the library of that name


@dataclass(frozen=True)
class Transport:
    """The ASGI application. ``hub`` brings what subscriptions follow, ``receipts`` remembers what clients confirmed.

    ``limits`` are those of the settings; ``census`` counts the open sockets. ``pacemaker`` asks at the ``pace``.
    """

    schema: BaseSchema
    hub: Hub
    receipts: Receipts
    limits: SocketLimits
    pace: Pace = field(default_factory=Pace)
    census: Census = field(default_factory=Census)
    sockets: OpenSockets = field(default_factory=OpenSockets)
    identities: Identities = field(default_factory=Identities)
    beginnings: Beginnings = field(default_factory=Beginnings)
    cohorts: Cohorts = field(default_factory=Cohorts)
    pacemaker: Pacemaker = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pacemaker", Pacemaker(self.pace))

    async def __call__(self, scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()  # websocket.connect
        extensions = scope.get("extensions") or {}
        offered = list(scope["subprotocols"])
        chosen = next((each for each in offered if each.lower() == PROTOCOL), None)
        try:
            caller = _caller(scope)
        except Contradiction as contradiction:
            return await _refuse_handshake(extensions, send, 400, contradiction.message)
        if not is_allowed_host(caller.host):
            await _refuse_handshake(extensions, send, 403, ANOTHER_HOST)
        elif not caller.is_of_this_site:
            await _refuse_handshake(extensions, send, 403, ANOTHER_SITE)
        elif chosen is None:
            await _close_for_subprotocol(offered, send)
        else:
            await self._admit(caller, chosen, extensions, receive, send)
        return None

    async def _admit(
        self,
        caller: Caller,
        subprotocol: str,
        extensions: dict[str, Any],
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        """``subprotocol`` is the protocol as the client writes it."""
        address = caller.address
        with self.census.seats() as seats:
            if not seats.take("process", self.limits.sockets_with_room):
                _warn_of_crowd(self.limits.sockets_with_room)
                await _turn_away(extensions, send, 503, "Too many sockets at this server: come back later")
            elif address and not seats.take(f"address {network_of(address)}", self.limits.sockets_per_address):
                await _turn_away(extensions, send, 429, "Too many sockets from one address: come back later")
            else:
                await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
                await Socket(self, caller.shown, address, extensions, seats, receive, send).run()


async def refuse(scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI application for addresses that have no WebSocket: the handshake ends in 403."""
    await receive()  # websocket.connect
    await _refuse_handshake(scope.get("extensions") or {}, send, 403, f"WebSockets are at {GRAPHQL} only.")


async def _refuse_handshake(extensions: dict[str, Any], send: ASGISendCallable, status: int, reason: str) -> None:
    """Say why where the server can; elsewhere a close before the accept makes it answer 403."""
    if "websocket.http.response" in extensions:
        await _answer_handshake(send, status, [], reason)
    else:
        await send({"type": "websocket.close", "code": FORBIDDEN, "reason": "Forbidden"})


async def _answer_handshake(
    send: ASGISendCallable, status: int, headers: list[tuple[bytes, bytes]], reason: str
) -> None:
    own = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff"), *headers]
    await send({"type": "websocket.http.response.start", "status": status, "headers": own})
    await send({"type": "websocket.http.response.body", "body": reason.encode(), "more_body": False})


async def _close_for_subprotocol(offered: list[str], send: ASGISendCallable) -> None:
    """Accept what was offered first, if anything, and close: without one, browsers and Node show no code or reason."""
    await send({"type": "websocket.accept", "subprotocol": next(filter(None, offered), None), "headers": []})
    reason = f"Subprotocol not acceptable: {_fault_of(offered)} Set your client to {PROTOCOL}"
    await send({"type": "websocket.close", "code": SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})


def _fault_of(offered: list[str]) -> str:
    if any(each.lower() == LEGACY_PROTOCOL for each in offered):
        return f"{LEGACY_PROTOCOL} is the legacy protocol."
    return "none of yours is known." if any(offered) else "none was offered."


@lru_cache(maxsize=1)  # once, and not for each that is turned away
def _warn_of_crowd(limit: int) -> None:
    logger.warning(
        "%d sockets are open, and no more let in: that is SALAS_LIMIT_SOCKETS, or what the limit of open files leaves"
        " room for (`ulimit -n`; LimitNOFILE= of systemd)",
        limit,
    )


async def _turn_away(extensions: dict[str, Any], send: ASGISendCallable, status: int, reason: str) -> None:
    """Answer the handshake with ``status`` where the server can, else close what it has opened: clients come back."""
    if "websocket.http.response" in extensions:
        await _answer_handshake(send, status, [(b"retry-after", b"10")], reason)
    else:
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL, "headers": []})
        await send({"type": "websocket.close", "code": TOO_MANY_SOCKETS, "reason": reason})


class Caller(NamedTuple):
    """What is to be known of a handshake's headers, and kept while a socket lives."""

    host: str
    is_of_this_site: bool
    address: str | None
    shown: Credentials


def _caller(scope: WebSocketScope) -> Caller:
    """Without an Origin no cookie counts. Raises Contradiction."""
    headers = folded(scope["headers"])
    origin, host = headers.get("origin"), headers.get("host", "")
    peer = (scope.get("client") or (None, None))[0]
    session_key = None if origin is None else _session_key(headers.get("cookie", ""))
    return Caller(
        host,
        origin is None or is_trusted_origin(origin, host),
        client_of(peer, headers.get).address,
        Credentials(session_key, bearer_in([headers.get("authorization", "")])),
    )


def _session_key(cookie_header: str) -> str | None:
    return parse_cookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
