"""What is done in more than one place under a room's row lock (``selectors.room_to_change``)."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from . import broker
from .identity import Viewer
from .models import AuditAction, AuditEntry, Member, Message, Room

ACTOR_NAME_MAX_LENGTH = 150


def count_members(room: Room, change: int) -> None:
    Room.objects.filter(pk=room.pk).update(member_count=F("member_count") + change)
    room.member_count += change


def end_membership(room: Room, member: Member) -> None:
    """What they were told and what they wrote stays; a running mute too, for when they come back."""
    member.left_at = timezone.now()
    member.save(update_fields=["left_at"])
    count_members(room, -1)
    revoke(room, member.viewer_key)


def revoke(room: Room, viewer_key: str | None = None) -> None:
    """Have it checked anew who may follow the room: that viewer, or everybody.

    To be called by whatever may take the right to read from somebody. The version is for whoever misses what is
    announced: they see that it has grown.
    """
    room.access_version += 1
    room.save(update_fields=["access_version"])
    tell_after_commit(broker.announce_access, room_id=room.pk, version=room.access_version, viewer_key=viewer_key)


def tell_after_commit(announce: Callable[..., None], **what: object) -> None:
    """Announce ``what`` once it is stored; an announcement that fails is logged and fails nothing.

    By a function of its own, because Django logs its name: a partial has none, and the logging itself would fail.
    """

    def tell() -> None:
        announce(**what)

    transaction.on_commit(tell, robust=True)


def record(
    actor: Viewer,
    room: Room,
    action: AuditAction,
    *,
    member: Member | None = None,
    message: Message | None = None,
    detail: str = "",
) -> None:
    """Write into the audit log what ``actor`` does by their office, in the transaction that does it."""
    AuditEntry.objects.create(
        room=room,
        action=action,
        actor_user=actor.user,
        actor_guest=actor.guest,
        actor_name=(actor.display_name or "")[:ACTOR_NAME_MAX_LENGTH],
        member=member,
        message=message,
        detail=detail,
    )
