"""A request or socket as its client has meant it: in one spelling, each header once, and seen through the proxies.

Whether the client speaks HTTPS its connection says or, behind a proxy that the operator trusts, that one. Django could
believe the header by itself, but then whoever sent it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from schema.addresses import client_of
from schema.headers import Contradiction, folded, lines_of
from schema.paths import spelled

Application = Callable[[Any, Any, Any], Awaitable[None]]

SCHEMES = {
    "http": {"http": "http", "https": "https"},
    "websocket": {"http": "ws", "https": "wss"},
}


def seen_through_proxies(application: Application) -> Application:
    """The ASGI application, told what the client has meant.

    Raises Contradiction for a request whose headers say two things. A socket's are left to its application: what
    refuses a handshake is another thing on each server.
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await application(meant(scope), receive, send)

    return serve


def meant(scope: Any) -> Any:
    scope = spelled(scope)
    try:
        headers = folded(scope["headers"])
    except Contradiction:
        if scope["type"] == "http":
            raise
        return scope
    return scope | {"headers": lines_of(headers), "scheme": _scheme(scope, headers)}


def client_scheme(scope: Any) -> str:
    """Return ``http`` or ``https``, ``ws`` or ``wss``."""
    return _scheme(scope, folded(scope["headers"]))


def _scheme(scope: Any, headers: dict[str, str]) -> str:
    schemes = SCHEMES[scope["type"]]
    peer = (scope.get("client") or (None, None))[0]
    told = client_of(peer, headers.get).scheme
    own: str = scope.get("scheme", schemes["http"])
    return own if told is None else schemes[told]
