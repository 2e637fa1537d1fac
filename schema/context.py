"""What a resolver knows beside its arguments, and how somebody is known: one way for HTTP and WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from strawberry.dataloader import DataLoader
from strawberry.types import Info as StrawberryInfo

from rooms.exceptions import Refusal
from rooms.hub import Hub
from rooms.identity import NOBODY, NOT_IN_FORCE, Viewer
from rooms.models import Message, Room
from rooms.paging import Slice, Span
from rooms.provider import is_jwt, viewers_by_jwt
from rooms.selectors import Standing, message_pages, standings
from rooms.sessions import is_session_key, viewers_by_session_key
from rooms.threads import enter_lane, in_database
from rooms.tokens import viewers_by_token

from .addresses import network_of
from .beginnings import Beginnings
from .receipts import Progress
from .tracing import note_viewer

if TYPE_CHECKING:
    from .documents import Document


def _cannot_lose(_refusal: Exception) -> None:
    raise RuntimeError("subscriptions are served where they can be ended")


@dataclass
class Context:
    """``remember`` keeps who somebody has become for the requests to come, ``forget`` ends the session that there may
    be. Both are called where the database may be used.

    The task that makes it serves the operation: what that task asks of the database waits in the viewer's lane from
    then on. ``address`` is the client's IP address, if there is one. ``on_lost`` ends the operation, a subscription,
    with the refusal of what it follows. ``document`` is what runs, and ``cost`` what it was found to ask for.
    """

    viewer: Viewer
    remember: Callable[[Viewer], None]
    forget: Callable[[], None]
    address: str | None = None
    hub: Hub | None = None
    progress: Progress | None = None
    beginnings: Beginnings = field(default_factory=Beginnings)
    on_lost: Callable[[Exception], None] = _cannot_lose
    document: Document | None = None
    cost: int = 0

    def __post_init__(self) -> None:
        note_viewer(self.viewer.key)
        enter_lane(lane_of(self.viewer, self.address))

    @cached_property
    def standings(self) -> DataLoader[Room, Standing]:
        """What the viewer is to rooms. Without a cache: that can change while a subscription lives."""
        return DataLoader(self._load_standings, cache=False)

    @cached_property
    def message_pages(self) -> DataLoader[tuple[Room, Span], Slice[Message]]:
        """Pages of rooms' messages: those asked for at the same time by one statement. Without a cache, too."""
        return DataLoader(self._load_message_pages, cache=False)

    def become(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.remember(viewer)
        note_viewer(viewer.key)

    def become_nobody(self) -> None:
        self.viewer = NOBODY
        self.forget()

    async def _load_standings(self, rooms: list[Room]) -> list[Standing]:
        found = await in_database(standings, self.viewer, rooms)
        return [found[room.pk] for room in rooms]

    async def _load_message_pages(self, asked: list[tuple[Room, Span]]) -> list[Slice[Message] | Refusal]:
        return await in_database(message_pages, viewer=self.viewer, asked=asked)


def lane_of(viewer: Viewer, address: str | None) -> str:
    """Whose turn it is for the database's threads: the viewer's, or of all the anonymous of one network."""
    return viewer.key or f"address {network_of(address) if address else 'unknown'}"


Info = StrawberryInfo[Context, Any]


@dataclass(frozen=True)
class Credentials:
    """What a client has shown: the key in its session cookie, where that counts, and its bearer token.

    Where there is a token, in force or not, the session does not count. ``credentials.bearer_in`` says what is one.
    """

    session_key: str | None
    authorization: str | None


def authenticate_all(shown: Sequence[Credentials]) -> list[Viewer]:
    """Find out who each is, over whatever transport, in a few queries.

    NOBODY without credentials and for a session that is not in force; NOT_IN_FORCE for a token that is not.
    """
    by_bearer = _viewers_by_bearer({each.authorization for each in shown if each.authorization is not None})
    by_session = viewers_by_session_key(
        {each.session_key for each in shown if each.authorization is None and is_session_key(each.session_key)}
    )
    return [
        by_session.get(each.session_key or "", NOBODY)
        if each.authorization is None
        else by_bearer.get(each.authorization, NOT_IN_FORCE)
        for each in shown
    ]


def _viewers_by_bearer(given: Collection[str]) -> dict[str, Viewer]:
    jwts = {token for token in given if is_jwt(token)}
    ours = {token for token in given if token not in jwts}
    return (viewers_by_token(ours) if ours else {}) | (viewers_by_jwt(jwts) if jwts else {})
