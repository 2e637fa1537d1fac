"""The mutations: each hands its input to one service."""

from __future__ import annotations

from typing import Any

import strawberry

from rooms import services
from rooms.group_commit import send_message
from rooms.identity import Viewer
from rooms.sending import Changed
from rooms.services import Joined
from rooms.threads import in_database, in_hashing

from .accounts import AccountMutations
from .context import Context, Info
from .cursors import log_cursor
from .ids import decode_id
from .moderation import Moderation
from .types import Member, Message, Room


@strawberry.input
class JoinRoomInput:
    slug: str
    display_name: str
    password: str | None = None


@strawberry.type
class JoinRoomPayload:
    room: Room
    member: Member
    token: str | None = strawberry.field(
        description="The guest's bearer token; null for accounts, which have their own. Keep it: it is shown only here."
    )


@strawberry.input
class LeaveRoomInput:
    room_id: strawberry.ID


@strawberry.type
class LeaveRoomPayload:
    room: Room


@strawberry.input
class SendMessageInput:
    room_id: strawberry.ID
    text: str
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="Your own name for this message, such as a UUID; makes it safe to send again. 1–200 characters.",
    )


@strawberry.input
class EditMessageInput:
    message_id: strawberry.ID
    text: str


@strawberry.input
class DeleteMessageInput:
    message_id: strawberry.ID


@strawberry.type
class SendMessagePayload:
    message: Message
    cursor: str = strawberry.field(description="The position of this change in the room's log.")


@strawberry.type
class EditMessagePayload:
    message: Message
    cursor: str = strawberry.field(description="The position of this change in the room's log.")


@strawberry.type
class DeleteMessagePayload:
    message: Message
    cursor: str = strawberry.field(description="The position of this change in the room's log.")


@strawberry.type
class Mutation(Moderation, AccountMutations):
    @strawberry.mutation(
        description=(
            "Enter a room. Without an account it makes a guest, who may enter other rooms with the same identity: a"
            " session cookie for browsers, `token` for everyone else. Entering again changes the display name and"
            " nothing more."
        )
    )
    async def join_room(self, info: Info, input: JoinRoomInput) -> JoinRoomPayload:
        joined = await (in_database if input.password is None else in_hashing)(_join, info.context, input)
        room: Any = joined.room
        member: Any = joined.member
        return JoinRoomPayload(room=room, member=member, token=joined.token)

    @strawberry.mutation(description="Leave a room. What you said there stays.")
    async def leave_room(self, info: Info, input: LeaveRoomInput) -> LeaveRoomPayload:
        room_id = decode_id("Room", input.room_id, field="roomId")
        room: Any = await in_database(services.leave_room, viewer=info.context.viewer, room_id=room_id)
        return LeaveRoomPayload(room=room)

    @strawberry.mutation(
        description=(
            "Durable once answered. The same author and idempotencyKey give the same message, however often it is sent."
            " Who is muted is refused with FORBIDDEN and `extensions.mutedUntil`, and who sends too soon in slow mode"
            " with RATE_LIMITED and `extensions.retryAfter` in seconds."
        )
    )
    async def send_message(self, info: Info, input: SendMessageInput) -> SendMessagePayload:
        changed = await send_message(
            viewer=info.context.viewer,
            room_id=decode_id("Room", input.room_id, field="roomId"),
            text=input.text,
            idempotency_key=input.idempotency_key,
        )
        return SendMessagePayload(message=_message(changed), cursor=_cursor(changed))

    @strawberry.mutation(description="Change the text of a message of your own.")
    async def edit_message(self, info: Info, input: EditMessageInput) -> EditMessagePayload:
        changed = await in_database(
            services.edit_message,
            viewer=info.context.viewer,
            message_id=decode_id("Message", input.message_id, field="messageId"),
            text=input.text,
        )
        return EditMessagePayload(message=_message(changed), cursor=_cursor(changed))

    @strawberry.mutation(
        description=(
            "Empty a message, for good: its author may, the room's moderators, and staff. Deleting it again changes"
            " nothing."
        )
    )
    async def delete_message(self, info: Info, input: DeleteMessageInput) -> DeleteMessagePayload:
        changed = await in_database(
            services.delete_message,
            viewer=info.context.viewer,
            message_id=decode_id("Message", input.message_id, field="messageId"),
        )
        return DeleteMessagePayload(message=_message(changed), cursor=_cursor(changed))


def _join(context: Context, input: JoinRoomInput) -> Joined:
    joined = services.join_room(
        viewer=context.viewer,
        slug=input.slug,
        display_name=input.display_name,
        password=input.password,
        address=context.address,
    )
    if joined.guest is not None and context.viewer.guest is None:
        context.become(Viewer(guest=joined.guest, token=joined.token))
    return joined


def _message(changed: Changed) -> Message:
    message: Any = changed.message
    return message  # type: ignore[no-any-return]


def _cursor(changed: Changed) -> str:
    return log_cursor(changed.message.room_id, changed.sequence, changed.message.room.epoch)
