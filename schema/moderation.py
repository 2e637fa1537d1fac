"""The mutations by which moderators and staff keep a room in order. Each hands its input to one service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import strawberry

from rooms import models, moderation
from rooms.threads import in_database

from .context import Info
from .ids import decode_id
from .types import Member, Room


@strawberry.input
class MuteMemberInput:
    member_id: strawberry.ID
    until: datetime = strawberry.field(description="A moment ahead, with its time zone; ten years at most.")


@strawberry.input
class UnmuteMemberInput:
    member_id: strawberry.ID


@strawberry.input
class RemoveMemberInput:
    member_id: strawberry.ID


@strawberry.input
class BanMemberInput:
    member_id: strawberry.ID


@strawberry.input
class UnbanMemberInput:
    member_id: strawberry.ID


@strawberry.input
class SetSlowModeInput:
    room_id: strawberry.ID
    seconds: int = strawberry.field(description="Between two messages of one member, up to a day; 0 ends it.")


@strawberry.type
class MuteMemberPayload:
    member: Member


@strawberry.type
class UnmuteMemberPayload:
    member: Member


@strawberry.type
class RemoveMemberPayload:
    member: Member


@strawberry.type
class BanMemberPayload:
    member: Member


@strawberry.type
class UnbanMemberPayload:
    member: Member


@strawberry.type
class SetSlowModePayload:
    room: Room


@strawberry.type
class Moderation:
    @strawberry.mutation(
        description=(
            "Let a member neither send nor edit until then; what they try is refused with FORBIDDEN and"
            " `extensions.mutedUntil`. This and all that follows is for the room's moderators, over plain members; for"
            " its owners, over all but staff; and for staff."
        )
    )
    async def mute_member(self, info: Info, input: MuteMemberInput) -> MuteMemberPayload:
        member = await _change(info, moderation.mute_member, input.member_id, until=input.until)
        return MuteMemberPayload(member=member)

    @strawberry.mutation(description="Let a member speak again.")
    async def unmute_member(self, info: Info, input: UnmuteMemberInput) -> UnmuteMemberPayload:
        return UnmuteMemberPayload(member=await _change(info, moderation.unmute_member, input.member_id))

    @strawberry.mutation(
        description="End a membership. They may join again where the room's access lets them, and a mute goes on then."
    )
    async def remove_member(self, info: Info, input: RemoveMemberInput) -> RemoveMemberPayload:
        return RemoveMemberPayload(member=await _change(info, moderation.remove_member, input.member_id))

    @strawberry.mutation(
        description=(
            "End a membership, if it has not ended, and keep them out: an account, or a guest together with everybody"
            " who comes from the same address without an account. What they try is refused with FORBIDDEN and"
            " `extensions.isBanned`."
        )
    )
    async def ban_member(self, info: Info, input: BanMemberInput) -> BanMemberPayload:
        return BanMemberPayload(member=await _change(info, moderation.ban_member, input.member_id))

    @strawberry.mutation(description="Lift a ban. They may join again as any stranger may.")
    async def unban_member(self, info: Info, input: UnbanMemberInput) -> UnbanMemberPayload:
        return UnbanMemberPayload(member=await _change(info, moderation.unban_member, input.member_id))

    @strawberry.mutation(
        description=(
            "Let each member send once in so many seconds, moderators and owners excepted; what comes too soon is"
            " refused with RATE_LIMITED and `extensions.retryAfter`."
        )
    )
    async def set_slow_mode(self, info: Info, input: SetSlowModeInput) -> SetSlowModePayload:
        room: Any = await in_database(
            moderation.set_slow_mode,
            actor=info.context.viewer,
            room_id=decode_id("Room", input.room_id, field="roomId"),
            seconds=input.seconds,
        )
        return SetSlowModePayload(room=room)


async def _change(info: Info, change: Callable[..., models.Member], member_id: str, **arguments: Any) -> Any:
    key = decode_id("Member", member_id, field="memberId")
    return await in_database(change, actor=info.context.viewer, member_id=key, **arguments)
