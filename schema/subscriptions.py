"""The subscriptions: access is checked when one starts; then the hub brings the log, for as long as it lasts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass

import strawberry

from rooms.epochs import LogPosition
from rooms.exceptions import CursorAhead, CursorInvalid, Refusal
from rooms.feed import Entry, Follower
from rooms.hub import Hub
from rooms.models import Room
from rooms.selectors import Asked, Following

from .context import Context, Info
from .cursors import position_in
from .errors import Interrupted
from .ids import decode_id
from .receipts import Progress
from .types import MessageEvent, event_of


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
        begun = await begin(info.context, room_id, after)
        room = begun.room
        entries = begun.hub.follow(room.pk, begun.sequence, room.sequence, begun.follower, room.epoch)
        # Returned, not yielded from: what was refused above is then an error of the operation, not its first event.
        return _events(entries, room, info.context.progress)


@dataclass(frozen=True)
class Begun:
    """``follower`` may follow ``room``, and goes on from ``sequence``."""

    hub: Hub
    room: Room
    sequence: int
    follower: Follower


async def begin(context: Context, room_id: str, after: str | None) -> Begun:
    """Check access, and find where to go on from: what the client confirmed before, else ``after``, else the end.

    Raises a refusal, or Interrupted.
    """
    key = decode_id("Room", room_id, field="roomId")
    position = None if after is None else position_in(after, key)
    progress, hub = context.progress, context.hub
    if hub is None:
        raise RuntimeError("subscriptions are served where there is a hub")
    confirmed = await progress.recall() if progress else None
    following = await _following(context, key, position, confirmed)
    room = following.room
    if progress:
        progress.begin(following.sequence, room.epoch)
    follower = Follower(following.reader, context.viewer.key, room.access_version, context.on_lost)
    return Begun(hub, room, following.sequence, follower)


async def _following(
    context: Context, room_id: int, after: LogPosition | None, confirmed: LogPosition | None
) -> Following:
    """Go on from what was ``confirmed``, unless the log has been set back since: then, or without, from ``after``."""
    try:
        if confirmed is not None:
            with suppress(CursorInvalid, CursorAhead):
                return await context.beginnings.following(_asked(context, room_id, confirmed))
        return await context.beginnings.following(_asked(context, room_id, after))
    except Refusal:
        raise
    except Exception as error:
        raise Interrupted from error


def _asked(context: Context, room_id: int, position: LogPosition | None) -> Asked:
    if position is None:
        return Asked(context.viewer, room_id, None)
    return Asked(context.viewer, room_id, position.sequence, position.epoch)


async def _events(
    entries: AsyncGenerator[Entry], room: Room, progress: Progress | None
) -> AsyncGenerator[MessageEvent, None]:
    try:
        async with aclosing(entries):
            async for entry in entries:
                if progress:
                    progress.position = entry.sequence
                yield event_of(room.pk, entry, room.epoch)
    except Refusal:
        raise
    except Exception as error:
        raise Interrupted from error
