"""Where on its host Salas is served: at the root, or below a prefix such as ``/chat/``.

``BASE_PATH`` says it, and nothing that comes with a request: a ``root_path`` that a server took from a header
(``Daphne-Root-Path``) or from its own options does not count. Proxies may pass the whole path on or cut the prefix off.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from schema.paths import in_origin_form

Application = Callable[[Any, Any, Any], Awaitable[None]]

FORM = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
OWN = frozenset({"admin", "entrar", "favicon.ico", "graphql", "livez", "readyz", "salas", "static"})


def base_path(value: str) -> str:
    """Return the normal form of ``BASE_PATH``: empty for the root, else ``/chat``. Raises ValueError."""
    parts = value.strip().strip("/")
    base = f"/{parts}" if parts else ""
    if not FORM.fullmatch(base):
        raise ValueError(
            f"{value!r} is not a path that Salas can be served below, such as /chat/ (letters, digits and -._~, without"
            " the name of the host); empty for the root"
        )
    return base


def cookie_name(name: str, *, base: str, https: bool) -> str:
    """Return a name that no other installation on the same host has.

    The prefixes keep other hosts of the same domain from setting these cookies (RFC 6265bis, section 4.1.3), but only
    ``__Host-`` all of them, and that wants the path ``/``. A browser sends the cookies of ``/`` below ``/chat`` too, so
    the name tells them apart.
    """
    prefix = ("__Secure-" if base else "__Host-") if https else ""
    return prefix + name + base.replace("/", ".")


def below(base: str, application: Application) -> Application:
    """``application``, told where it is served: ``root_path`` is ``base``, and ``path`` the whole path."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if "path" not in scope:  # lifespan
            return await application(scope, receive, send)
        scope = in_origin_form(scope)
        path = whole_path(scope["path"], base)
        if path is None:
            return await say_what_is_wrong(base, scope, receive, send)
        return await application({**scope, "path": path, "root_path": base}, receive, send)

    return serve


def whole_path(path: str, base: str) -> str | None:
    """Return ``path`` with ``base``, which a proxy may have cut off; None where that would be a guess.

    Below ``/salas``, ``/salas/lobby/`` could be a room from which ``/salas`` was cut off, or the page ``/lobby/``. It
    is taken as it stands; and what stands without the prefix is refused, so that the fault shows at the first page.
    """
    if not base or path.startswith(f"{base}/"):
        return path
    if path == base:
        return f"{base}/"
    return None if base.split("/")[1] in OWN else base + path


async def say_what_is_wrong(base: str, scope: Any, receive: Any, send: Any) -> None:
    """404, in words; to a WebSocket 403."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": "Forbidden"})
        return
    words = f"Salas is served below {base}/ here. A proxy must pass on the whole path, and not cut {base} off.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})
