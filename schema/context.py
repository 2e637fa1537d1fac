"""What a resolver knows beside its arguments, and how somebody is known: one way for HTTP and WebSocket."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.module_loading import import_string
from strawberry.dataloader import DataLoader
from strawberry.types import Info as StrawberryInfo

from rooms.exceptions import Unauthenticated
from rooms.hub import Hub
from rooms.identity import NOBODY, Viewer, guest_by_id, guest_by_token
from rooms.models import Guest, Room
from rooms.selectors import Standing, standings
from rooms.threads import in_database

from .receipts import Progress
from .tracing import note_viewer

if TYPE_CHECKING:
    from .documents import Document

GUEST_IN_SESSION = "guest_id"

_SESSION_KEY = re.compile("[a-z0-9]{1,40}")


def _cannot_lose(_refusal: Exception) -> None:
    raise RuntimeError("subscriptions are served where they can be ended")


@dataclass
class Context:
    """``remember`` keeps a new guest for the requests to come; it is called where the database may be used.

    ``address`` is the client's IP address, if there is one. ``on_lost`` ends the operation, a subscription, with the
    refusal of what it follows.
    """

    viewer: Viewer
    remember: Callable[[Viewer], None]
    address: str | None = None
    hub: Hub | None = None
    progress: Progress | None = None
    on_lost: Callable[[Exception], None] = _cannot_lose
    document: Document | None = None
    standings: DataLoader[Room, Standing] = field(init=False)

    def __post_init__(self) -> None:
        # Without its cache: what somebody may do can change while a subscription lives.
        self.standings = DataLoader(self._load_standings, cache=False)
        note_viewer(self.viewer.key)

    def become(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.remember(viewer)
        note_viewer(viewer.key)

    async def _load_standings(self, rooms: list[Room]) -> list[Standing]:
        found = await in_database(standings, self.viewer, rooms)
        return [found[room.pk] for room in rooms]


Info = StrawberryInfo[Context, Any]


def authenticate(session: SessionBase | None, authorization: str | None) -> Viewer:
    """Return who sends ``Authorization: Bearer …`` or, without it, whose session it is.

    Raises Unauthenticated for an authorization that is not a bearer token in force (RFC 6750, section 2.1).
    """
    if authorization is not None:
        return _viewer_by_bearer(authorization)
    return NOBODY if session is None else _viewer_by_session(session)


def session_of(key: str | None) -> SessionBase:
    """The session of a cookie. A key that Django never makes is that of a new one: a database may choke on it."""
    store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    return store(key if key is not None and _SESSION_KEY.fullmatch(key) else None)


def keep_in_session(session: SessionBase, guest: Guest) -> None:
    """Let the session be the guest's, under a new key: an old one may be known to somebody else."""
    session.cycle_key()
    session[GUEST_IN_SESSION] = guest.pk


def _viewer_by_bearer(authorization: str) -> Viewer:
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    guest = guest_by_token(token) if scheme.lower() == "bearer" and token else None
    if guest is None:
        raise Unauthenticated("The bearer token is not valid.")
    return Viewer(guest=guest, token=token)


def _viewer_by_session(session: SessionBase) -> Viewer:
    request = HttpRequest()
    request.session = session
    user = get_user(request)
    if user.is_authenticated:
        return Viewer(user=user)
    guest_id = session.get(GUEST_IN_SESSION)
    guest = None if guest_id is None else guest_by_id(guest_id)
    return Viewer(guest=guest)
