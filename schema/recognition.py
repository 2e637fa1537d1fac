"""Who one socket's client is, from what it has shown, and whether it still is that.

Nobody may become somebody, by joining a room or logging in. Whoever was somebody stays that, or the socket ends: what
runs on it was begun as that one.

Concurrency: one event loop.
Lifecycle: from the first ``viewer`` that is somebody until ``leave`` the client is among the ``OpenSockets``.
Invariants: a viewer that is handed out was looked up at most ``fresh_seconds`` ago, and after whatever this process had
heard of until then about anyone's identity.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from django.utils import timezone

from rooms.hub import Hub
from rooms.identity import Viewer, rights_of
from rooms.sessions import session_of
from rooms.threads import in_database

from .closing import FORBIDDEN, Closed
from .context import Credentials
from .identities import Identities
from .presence import OpenSockets
from .tracing import note_viewer

NO_LONGER = "Forbidden: you are no longer who you were: connect again"
EXPIRY_SLACK_SECONDS = 0.05  # after the moment, by whichever clock


class Recognition:
    """``on_forbidden`` ends the socket, since the client is not who it was. ``viewer_key`` is None for nobody."""

    def __init__(
        self,
        sockets: OpenSockets,
        identities: Identities,
        hub: Hub,
        shown: Credentials,
        fresh_seconds: float,
        on_forbidden: Callable[[], None],
    ) -> None:
        self._sockets = sockets
        self._identities = identities
        self._hub = hub
        self._fresh_seconds = fresh_seconds
        self._now = asyncio.get_running_loop().time
        self._found: tuple[Viewer, float, int] | None = None
        self._expiry_timer: asyncio.TimerHandle | None = None
        self.credentials = shown
        self.viewer_key: str | None = None
        self.rights: frozenset[str] | None = None
        self.forbid = on_forbidden

    def show(self, bearer: str | None) -> None:
        """Take the token that the client has shown; where it has shown none, that of the handshake's header counts."""
        if bearer is not None:
            self.credentials = replace(self.credentials, authorization=bearer)
        self._found = None

    async def viewer(self) -> Viewer:
        """Who the client is. Raises Closed where that is not, or no longer, what it says."""
        viewer = self._known() or await self._looked_up()
        note_viewer(viewer.key)
        return viewer

    def remember(self, viewer: Viewer) -> None:
        """The client has become somebody, and is known by that from now on."""
        self._found = None
        if self.viewer_key is None:
            self.show(viewer.token)

    def forget(self) -> None:
        """End the browser's session. Called where the database may be used."""
        self._found = None
        if self.credentials.authorization is None and self.credentials.session_key is not None:
            session_of(self.credentials.session_key).flush()

    def stay_until(self, ends_at: datetime | None) -> None:
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
            self._expiry_timer = None
        if ends_at is not None and self.viewer_key is not None:
            seconds = (ends_at - timezone.now()).total_seconds()
            self._expiry_timer = asyncio.get_running_loop().call_later(
                max(seconds, 0) + EXPIRY_SLACK_SECONDS, self._sockets.recheck, self.viewer_key
            )

    def leave(self) -> None:
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        if self.viewer_key is not None:
            self._sockets.leave(self.viewer_key, self)

    def _known(self) -> Viewer | None:
        """Who was found lately, unless something was heard since."""
        if self._found is None:
            return None
        viewer, at, rechecks = self._found
        is_fresh = self._now() - at < self._fresh_seconds and self._sockets.rechecks == rechecks
        return viewer if is_fresh else None

    async def _looked_up(self) -> Viewer:
        at, rechecks, shown = self._now(), self._sockets.rechecks, self.credentials
        viewer = await self._identities.viewer_of(shown)
        if viewer.key != self.viewer_key:
            self._enter(viewer)
            self.rights = await in_database(rights_of, viewer) if viewer.is_staff else frozenset()
            if self._sockets.rechecks != rechecks:  # perhaps after this was read, and before we were there
                self._sockets.recheck(self.viewer_key or "")
        self.stay_until(viewer.ends_at)
        if shown is self.credentials:
            self._found = viewer, at, rechecks
        return viewer

    def _enter(self, viewer: Viewer) -> None:
        if self.viewer_key is not None or viewer.key is None:
            raise Closed(FORBIDDEN, NO_LONGER)
        self.viewer_key = viewer.key
        self._sockets.enter(viewer.key, self)
        self._hub.start()  # it is by the same broker that other processes tell of who ends
