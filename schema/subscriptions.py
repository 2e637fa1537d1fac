"""The subscriptions: access is checked once, when one starts; then the hub brings the log."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from rooms import selectors
from rooms.feed import Entry
from rooms.hub import Hub
from rooms.threads import in_database

from .context import Info
from .cursors import log_cursor, sequence_in
from .errors import Interrupted
from .ids import decode_id
from .types import MessageEvent, MessageEventKind


@strawberry.type
class Subscription:
    @strawberry.subscription(
        description=(
            "What happens to the messages of a room, in the order in which it was committed: each entry of the room's"
            " log after `after`, once, then whatever comes. Without `after`: from now on."
        )
    )
    async def messages(
        self, info: Info, room_id: strawberry.ID, after: str | None = None
    ) -> AsyncGenerator[MessageEvent, None]:
        key = decode_id("Room", room_id, field="roomId")
        room, cursor = await in_database(
            selectors.room_to_follow,
            viewer=info.context.viewer,
            room_id=key,
            after=None if after is None else sequence_in(after, key),
        )
        hub = info.context.hub
        if hub is None:
            raise RuntimeError("subscriptions are served where there is a hub")
        # Returned, not yielded from: what was refused above is then an error of the operation, not its first event.
        return _events(hub, room.pk, cursor, room.sequence)


async def _events(hub: Hub, room_id: int, cursor: int, head: int) -> AsyncGenerator[MessageEvent, None]:
    try:
        async with aclosing(hub.follow(room_id, cursor, head)) as entries:
            async for entry in entries:
                yield _event(room_id, entry)
    except Exception as error:
        raise Interrupted from error


def _event(room_id: int, entry: Entry) -> MessageEvent:
    return MessageEvent(
        cursor=log_cursor(room_id, entry.sequence),
        sequence=entry.sequence,
        kind=MessageEventKind(entry.kind),
        message=entry.message,
    )
