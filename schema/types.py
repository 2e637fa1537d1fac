"""The types of the schema. The objects behind them come loaded from the selectors: what needs the database says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar, cast

import strawberry
import strawberry_django
from strawberry import Parent

from rooms import models, selectors
from rooms.exceptions import BadUserInput
from rooms.feed import Entry
from rooms.identity import Viewer as RoomsViewer
from rooms.paging import Slice, Span
from rooms.threads import in_database

from .context import Info
from .cursors import log_cursor, membership_key_in, memberships_cursor, sequence_in
from .ids import encode_id
from .prices import SHARED_STATEMENT, STATEMENT, priced
from .time_slices import time_slice

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100

T = TypeVar("T")
M = TypeVar("M", models.Room, models.Message, models.Member)


@strawberry.enum(description="Who may read a room and who may join it.")
class RoomAccess(Enum):
    OPEN = strawberry.enum_value("OPEN", description="Anyone may read; anyone may join with a display name.")
    PASSWORD = strawberry.enum_value(
        "PASSWORD", description="Anyone who knows the room's password may join; only members read."
    )
    MEMBERS = strawberry.enum_value(
        "MEMBERS", description="Only people added in the admin. Nobody else can tell that it exists."
    )


@strawberry.enum(description="What somebody may do in a room beyond talking: moderators and owners keep order.")
class MemberRole(Enum):
    MEMBER = "MEMBER"
    MODERATOR = "MODERATOR"
    OWNER = "OWNER"


@strawberry.enum(description="What happened to a message.")
class MessageEventKind(Enum):
    SENT = "SENT"
    EDITED = "EDITED"
    DELETED = "DELETED"


@strawberry.interface(description="Anything that has an id.")
class Node:
    @strawberry.field(description="Opaque, and good for `node(id:)`.")
    def id(self, root: Parent[Any]) -> strawberry.ID:
        return strawberry.ID(encode_id(type(root).__name__, root.pk))


@strawberry.type(description="Where a page stands in its list (Relay's cursor connections).")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Pass as `after` or `before` to go on from here.")
    node: T


@strawberry.type
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo


@strawberry_django.type(models.Room, description="A place where people talk. What is said is its log.")
class Room(Node):
    slug: str = strawberry_django.field(description="Its place in links: lower-case letters, digits, hyphens.")
    name: str
    description: str
    access: RoomAccess
    created_at: datetime

    slow_mode_seconds: int = strawberry_django.field(
        description="Seconds between two messages of one member, moderators and owners excepted; 0: no slow mode."
    )

    @strawberry.field(description="An archived room can be read, and nothing can be added.")
    def is_archived(self, root: Parent[models.Room]) -> bool:
        return root.is_archived

    @strawberry.field(
        description=(
            "The end of the room's log at this moment; null where you may not read. Ask for it together with `messages`"
            " and pass it as `after` to the subscription: nothing falls between the two."
        )
    )
    async def cursor(self, info: Info, root: Parent[models.Room]) -> str | None:
        standing = await info.context.standings.load(root)
        return log_cursor(root.pk, root.sequence, root.epoch) if standing.may_read else None

    @strawberry.field(description="You in this room; null until you join.")
    async def viewer_member(self, info: Info, root: Parent[models.Room]) -> Member | None:
        member: Any = (await info.context.standings.load(root)).member
        return cast("Member | None", member)

    @strawberry.field(
        description="Who is banned from it, the newest ban first, at most 100; null but for its moderators and staff.",
        metadata=priced(weight=STATEMENT, size=selectors.BANNED_SHOWN),
    )
    async def banned_members(self, info: Info, root: Parent[models.Room]) -> list[Member] | None:
        found: Any = await in_database(selectors.banned_members, viewer=info.context.viewer, room=root)
        await time_slice()
        return cast("list[Member] | None", found)

    @strawberry.field(
        description=(
            "In sending order; null, with an error beside it, where you may not read. An edge's cursor, or"
            " pageInfo.endCursor, is also a good `after` for the subscription. At most 100 at a time; the first 50"
            " unless `first` or `last` says otherwise."
        ),
        metadata=priced(weight=SHARED_STATEMENT),
    )
    async def messages(
        self,
        info: Info,
        root: Parent[models.Room],
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Message] | None:
        span = span_of(first, last)
        if after is None and before is None:
            found = await info.context.message_pages.load((root, span))
        else:
            found = await in_database(
                selectors.messages_slice,
                viewer=info.context.viewer,
                room=root,
                span=span,
                after=None if after is None else sequence_in(after, root.pk, root.epoch),
                before=None if before is None else sequence_in(before, root.pk, root.epoch),
            )
        await time_slice()
        return connection_of(found, lambda message: log_cursor(root.pk, message.sequence, root.epoch))


@strawberry_django.type(models.Member, description="Somebody in a room: an account or a guest.")
class Member(Node):
    room: Room
    display_name: str = strawberry_django.field(description="As chosen for this room.")
    role: MemberRole
    joined_at: datetime

    @strawberry.field(description="Whether they came without an account.")
    def is_guest(self, root: Parent[models.Member]) -> bool:
        return root.is_guest

    @strawberry.field(
        description="Until when they may say nothing; shown to themselves, to moderators and staff, null to others."
    )
    async def muted_until(self, info: Info, root: Parent[models.Member]) -> datetime | None:
        if root.mute is None:
            return None
        standing = await info.context.standings.load(root.room)
        is_shown = standing.may_moderate or selectors.is_own(info.context.viewer, root)
        return root.mute if is_shown else None


@strawberry_django.type(models.Message, description="What somebody said in a room.")
class Message(Node):
    room: Room
    sequence: int = strawberry_django.field(description="Position of its sending in the room's log.")
    changed_sequence: int = strawberry_django.field(
        description=(
            "Position of its latest change in the room's log: of two copies of a message, the one with the greater is"
            " the newer."
        )
    )
    author: Member
    text: str | None = strawberry_django.field(description="Null once deleted.")
    sent_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    idempotency_key: str | None = strawberry_django.field(description="As given by its author.")


@strawberry.type(description="An entry of a room's log.")
class MessageEvent:
    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    sequence: int = strawberry.field(
        description=(
            "Position in the room's log: 1, 2, 3 … without a hole, so a client can prove that it missed nothing."
        )
    )
    kind: MessageEventKind
    message: Message = strawberry.field(description="The message as it is now.")


def event_of(room_id: int, entry: Entry, epoch: int = models.FIRST_EPOCH) -> MessageEvent:
    """The entry of that room's log, in ``epoch``, as clients see it, with the object behind the type as its message."""
    return MessageEvent(
        cursor=log_cursor(room_id, entry.sequence, epoch),
        sequence=entry.sequence,
        kind=MessageEventKind(entry.kind),
        message=entry.message,
    )


@strawberry.type(description="Who the server takes you for.")
class Viewer:
    is_authenticated: bool = strawberry.field(description="Whether you are somebody: an account or a guest.")
    is_guest: bool
    display_name: str | None

    @strawberry.field(
        description=(
            "You in the rooms that you are in, by the room's name. Of more than 100 those that you joined last:"
            " `memberships` pages through all."
        ),
        metadata=priced(weight=STATEMENT, size=selectors.MEMBERSHIPS_SHOWN),
    )
    async def members(self, info: Info) -> list[Member]:
        members: Any = await in_database(selectors.memberships, viewer=info.context.viewer)
        await time_slice()
        return cast("list[Member]", members)

    @strawberry.field(
        description=(
            "You in every room that you are in, by the room's name. At most 100 at a time; the first 50 unless `first`"
            " or `last` says otherwise."
        ),
        metadata=priced(weight=STATEMENT),
    )
    async def memberships(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Member]:
        found = await in_database(
            selectors.memberships_slice,
            viewer=info.context.viewer,
            span=span_of(first, last),
            after=None if after is None else membership_key_in(after),
            before=None if before is None else membership_key_in(before),
        )
        await time_slice()
        return connection_of(found, memberships_cursor)


def viewer_type(viewer: RoomsViewer) -> Viewer:
    return Viewer(
        is_authenticated=viewer.is_authenticated,
        is_guest=viewer.guest is not None,
        display_name=viewer.display_name,
    )


def connection_of(found: Slice[M], cursor_of: Callable[[M], str]) -> Connection[Any]:
    """The page that holds ``found``, with the objects behind the type as its nodes."""
    edges: list[Edge[Any]] = [Edge(cursor=cursor_of(item), node=item) for item in found.items]
    page_info = PageInfo(
        has_next_page=found.has_next,
        has_previous_page=found.has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Connection(edges=edges, page_info=page_info)


def span_of(first: int | None, last: int | None) -> Span:
    """Raises BadUserInput for both at once, and for a size outside 0 to ``MAX_PAGE_SIZE``."""
    if first is not None and last is not None:
        raise BadUserInput("last", "Either `first` or `last`, not both.")
    size, field = (last, "last") if last is not None else (first, "first")
    if size is None:
        return Span(DEFAULT_PAGE_SIZE)
    if not 0 <= size <= MAX_PAGE_SIZE:
        raise BadUserInput(field, f"From 0 to {MAX_PAGE_SIZE}.")
    return Span(size, backwards=last is not None)
