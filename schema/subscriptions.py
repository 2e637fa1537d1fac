"""The subscriptions: access is checked when one starts; then the hub brings the log, for as long as it lasts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from rooms import selectors
from rooms.exceptions import Refusal
from rooms.feed import Entry, Follower
from rooms.threads import in_database

from .context import Info
from .cursors import log_cursor, sequence_in
from .errors import Interrupted
from .ids import decode_id
from .receipts import Progress
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
        sequence = None if after is None else sequence_in(after, key)
        progress = info.context.progress
        confirmed = await progress.recall() if progress else None
        try:
            following = await in_database(
                selectors.room_to_follow,
                viewer=info.context.viewer,
                room_id=key,
                after=sequence if confirmed is None else confirmed,
            )
        except Refusal:
            raise
        except Exception as error:
            raise Interrupted from error
        hub = info.context.hub
        if hub is None:
            raise RuntimeError("subscriptions are served where there is a hub")
        if progress:
            progress.begin(following.sequence)
        room, viewer = following.room, info.context.viewer
        follower = Follower(following.reader, viewer.key, room.access_version, info.context.on_lost)
        entries = hub.follow(room.pk, following.sequence, room.sequence, follower)
        # Returned, not yielded from: what was refused above is then an error of the operation, not its first event.
        return _events(entries, room.pk, progress)


async def _events(
    entries: AsyncGenerator[Entry], room_id: int, progress: Progress | None
) -> AsyncGenerator[MessageEvent, None]:
    try:
        async with aclosing(entries):
            async for entry in entries:
                if progress:
                    progress.position = entry.sequence
                yield _event(room_id, entry)
    except Refusal:
        raise
    except Exception as error:
        raise Interrupted from error


def _event(room_id: int, entry: Entry) -> MessageEvent:
    return MessageEvent(
        cursor=log_cursor(room_id, entry.sequence),
        sequence=entry.sequence,
        kind=MessageEventKind(entry.kind),
        message=entry.message,
    )
