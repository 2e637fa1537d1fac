"""Where GraphQL is: one address, spelled with or without its last slash, over HTTP and WebSocket.

Dependencies: an ASGI scope has the whole path in ``path``, with ``root_path`` in front where the server, or a proxy
before it, has put the application under a prefix.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

GRAPHQL = "/graphql/"
SPELLINGS = (GRAPHQL, GRAPHQL.rstrip("/"))
ABSOLUTE = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://(?P<authority>[^/?#]*)(?P<path>/.*)?", re.DOTALL)


def is_graphql(scope: Any) -> bool:
    """Whether the scope of a request or socket is at the address of GraphQL."""
    return path_within(scope) in SPELLINGS


def is_below_graphql(scope: Any) -> bool:
    """Whether it is there, or at an address below, where there is nothing."""
    path = path_within(scope)
    return path in SPELLINGS or path.startswith(GRAPHQL)


def path_within(scope: Any) -> str:
    """The path without the prefix that the application is served under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def spelled(scope: Any) -> Any:
    """The scope with the path in the one spelling that routes and rules are written for."""
    scope = in_origin_form(scope)
    if is_graphql(scope):
        return _moved(scope, scope["path"].rstrip("/") + "/")
    return scope


def in_origin_form(scope: Any) -> Any:
    """The scope with a path. A target in absolute form (RFC 9112, section 3.2.2) names the host too, which counts."""
    absolute = ABSOLUTE.fullmatch(scope["path"])
    if absolute is None:
        return scope
    others = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
    host = (b"host", absolute["authority"].encode("latin-1", "replace"))
    return _moved(scope | {"headers": [host, *others]}, absolute["path"] or "/")


def _moved(scope: Any, path: str) -> Any:
    return scope | {"path": path, "raw_path": quote(path, errors="surrogatepass").encode()}
