"""The recipe of https://strawberry.rocks/docs/integrations/channels: groups, ``listen_to_channel``, the ORM."""

import base64
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry
from channels.layers import get_channel_layer

from .models import Member as MemberRow
from .models import Message as MessageRow

sequences: Counter[str] = Counter()


@strawberry.type
class Member:
    display_name: str


@strawberry.type
class Message:
    id: strawberry.ID
    text: str
    sequence: int
    sent_at: datetime
    author: Member


@strawberry.type
class MessageEvent:
    cursor: str
    sequence: int
    kind: str
    message: Message


@strawberry.type
class SendMessagePayload:
    message: Message
    cursor: str


@strawberry.input
class SendMessageInput:
    room_id: strawberry.ID
    text: str
    idempotency_key: str | None = None


async def member_of(info: strawberry.Info, room_id: str) -> MemberRow:
    """Whom the bearer token belongs to, asked for each operation. Raises DoesNotExist."""
    request = info.context["request"]
    shown = (info.context.get("connection_params") or {}).get("authorization")
    shown = shown or request.headers.get("authorization", "")
    return await MemberRow.objects.aget(token=shown.removeprefix("Bearer "), room_id=room_id)


def event_of(sent: dict) -> MessageEvent:
    message = Message(
        id=sent["id"],
        text=sent["text"],
        sequence=sent["sequence"],
        sent_at=datetime.fromisoformat(sent["sent_at"]),
        author=Member(display_name=sent["author"]),
    )
    cursor = base64.urlsafe_b64encode(f"log:{sent['room_id']}:{sent['sequence']}".encode()).decode()
    return MessageEvent(cursor=cursor, sequence=sent["sequence"], kind="SENT", message=message)


@strawberry.type
class Query:
    @strawberry.field
    async def hello(self) -> str:
        return "world"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def send_message(self, info: strawberry.Info, input: SendMessageInput) -> SendMessagePayload:
        member = await member_of(info, input.room_id)
        row = await MessageRow.objects.acreate(
            room_id=member.room_id, author=member, text=input.text, idempotency_key=input.idempotency_key
        )
        sequences[input.room_id] += 1
        sent = {
            "type": "chat.message",
            "room_id": input.room_id,
            "id": str(row.pk),
            "text": row.text,
            "sequence": sequences[input.room_id],
            "sent_at": row.sent_at.isoformat(),
            "author": member.display_name,
        }
        await get_channel_layer().group_send(f"chat_{input.room_id}", sent)
        event = event_of(sent)
        return SendMessagePayload(message=event.message, cursor=event.cursor)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def messages(self, info: strawberry.Info, room_id: strawberry.ID) -> AsyncGenerator[MessageEvent, None]:
        await member_of(info, room_id)
        ws = info.context["ws"]
        async with ws.listen_to_channel("chat.message", groups=[f"chat_{room_id}"]) as messages:
            async for sent in messages:
                if sent["room_id"] == room_id:
                    yield event_of(sent)


schema = strawberry.Schema(Query, Mutation, Subscription)
