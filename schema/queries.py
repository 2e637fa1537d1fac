"""The queries."""

from __future__ import annotations

from typing import Any, cast

import strawberry

from rooms import selectors
from rooms.exceptions import BadUserInput, NotFound
from rooms.identity import Viewer as RoomsViewer
from rooms.identity import require_sound
from rooms.threads import in_database

from .context import Info
from .cursors import room_key_in, rooms_cursor
from .ids import decode_any_id
from .prices import STATEMENT, priced
from .time_slices import time_slice
from .types import Connection, Node, Room, Viewer, connection_of, span_of, viewer_type


@strawberry.type
class Query:
    @strawberry.field(description="Who the server takes you for.")
    def viewer(self, info: Info) -> Viewer:
        require_sound(info.context.viewer)
        return viewer_type(info.context.viewer)

    @strawberry.field(
        description="Anything by its id. Null when there is no such thing, or when you may not read it.",
        metadata=priced(weight=STATEMENT),
    )
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        type_name, key = decode_any_id(id, field="id")
        try:
            return await in_database(_node, info.context.viewer, type_name, key)
        except NotFound:
            require_sound(info.context.viewer)
            return None

    @strawberry.field(
        description="Null when there is no such room, or when you may not know that there is.",
        metadata=priced(weight=STATEMENT),
    )
    async def room(self, info: Info, slug: str) -> Room | None:
        found: Any = await in_database(selectors.room_by_slug, viewer=info.context.viewer, slug=slug)
        if found is None:
            require_sound(info.context.viewer)
        return cast("Room | None", found)

    @strawberry.field(
        description=(
            "The rooms you may know of, by name. `search` matches name and description. At most 100 at a time; the"
            " first 50 unless `first` or `last` says otherwise. `archived`: only those, or only the others."
        ),
        metadata=priced(weight=STATEMENT),
    )
    async def rooms(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        search: str | None = None,
        archived: bool | None = None,
    ) -> Connection[Room]:
        found = await in_database(
            selectors.rooms_slice,
            viewer=info.context.viewer,
            span=span_of(first, last),
            after=None if after is None else room_key_in(after),
            before=None if before is None else room_key_in(before),
            search=search or "",
            archived=archived,
        )
        await time_slice()
        return connection_of(found, rooms_cursor)


def _node(viewer: RoomsViewer, type_name: str, key: int) -> Any:
    match type_name:
        case "Room":
            return selectors.room_by_id(viewer=viewer, room_id=key)
        case "Member":
            return selectors.member_by_id(viewer=viewer, member_id=key)
        case "Message":
            return selectors.message_by_id(viewer=viewer, message_id=key)
    raise BadUserInput("id", "There is no such type.")
