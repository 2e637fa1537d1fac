"""Whether a client speaks HTTPS: as its connection says or, behind a proxy that the operator trusts, as that one says.

Django could believe the header by itself, but then whoever sent it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from schema.addresses import is_trusted_proxy

Application = Callable[[Any, Any, Any], Awaitable[None]]

HEADER = b"x-forwarded-proto"
SCHEMES = {
    "http": {b"http": "http", b"https": "https"},
    "websocket": {b"http": "ws", b"https": "wss"},
}


def seen_through_proxies(application: Application) -> Application:
    """The ASGI application, told the scheme that the client speaks."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await application(scope | {"scheme": client_scheme(scope)}, receive, send)

    return serve


def client_scheme(scope: Any) -> str:
    """Return ``http`` or ``https``, ``ws`` or ``wss``."""
    schemes = SCHEMES[scope["type"]]
    said = [value for name, value in scope["headers"] if name == HEADER]
    peer = (scope.get("client") or (None, None))[0]
    if len(said) == 1 and said[0] in schemes and is_trusted_proxy(peer):
        return schemes[said[0]]
    scheme: str = scope.get("scheme", schemes[b"http"])
    return scheme
