"""``/livez`` and ``/readyz``: what a balancer or an orchestrator asks a process, by its address and without HTTPS.

They are answered in front of everything else, so neither the name that was asked for nor the scheme counts, and Django
hears of none. ``/livez`` says that the event loop turns: a process where it does not is to be restarted. ``/readyz``
says that the process can do its work: where it can not it is to get none, and need not be restarted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rooms.readiness import Readiness
from schema.paths import spelled

Application = Callable[[Any, Any, Any], Awaitable[None]]
Told = tuple[int, str]

LIVE = "/livez"
READY = "/readyz"
METHODS = ("GET", "HEAD")
DRAINING = "The process is ending: it takes no new work."


class Probed:
    """``application``, and the probes in front of it: at the root and below ``base``."""

    def __init__(self, application: Application, base: str = "") -> None:
        self._application = application
        self._base = base
        self._readiness: Readiness | None = None  # made where there is a loop

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        probe = self._probe_in(spelled(scope))
        if probe is None:
            await self._application(scope, receive, send)
        elif scope["method"] not in METHODS:
            await _answer(scope, send, (405, "Probes are asked by GET or HEAD."))
        else:
            await _answer(scope, send, await probe(scope))

    def _probe_in(self, scope: Any) -> Callable[[Any], Awaitable[Told]] | None:
        """Under a prefix they are there and, for balancers that know of none, at the root as well."""
        probes = {LIVE: self._live, READY: self._ready}
        paths = (each.rstrip("/") for each in (scope["path"], scope["path"].removeprefix(self._base)))
        return next((probes[path] for path in paths if path in probes), None)

    async def _live(self, _scope: Any) -> Told:
        return 200, "ok"

    async def _ready(self, scope: Any) -> Told:
        if (scope.get("extensions") or {}).get("salas.drain", {}).get("has_begun"):
            return 503, DRAINING
        if self._readiness is None:
            self._readiness = Readiness()
        fault = await self._readiness.fault()
        return (200, "ok") if fault is None else (503, fault)


async def _answer(scope: Any, send: Any, told: Told) -> None:
    status, text = told
    body = f"{text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *([(b"allow", ", ".join(METHODS).encode())] if status == 405 else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body, "more_body": False})
