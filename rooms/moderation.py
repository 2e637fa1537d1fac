"""What moderators of a room, its owners and staff do to its members, and how often these may speak.

Whoever acts needs an office, and a higher one than whom it is done to: staff over all, an owner over all but staff, a
moderator over plain members. Nobody acts on themselves. Each act that changes something is in the audit log.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum

from django.db import transaction
from django.utils import timezone

from .exceptions import BadUserInput, Forbidden
from .identity import Viewer
from .locked import end_membership, record, revoke
from .models import AuditAction, Ban, Member, MemberRole, Room
from .selectors import CHANGE_MEMBERS, Standing, is_own, member_to_change, room_to_change, standing, turned_away

CHANGE_ROOMS = "rooms.change_room"
LONGEST_MUTE = timedelta(days=3660)
LONGEST_SLOW_MODE_SECONDS = 24 * 3600


class Office(IntEnum):
    NONE = 0
    MODERATOR = 1
    OWNER = 2
    STAFF = 3


_OFFICES = {MemberRole.MODERATOR: Office.MODERATOR, MemberRole.OWNER: Office.OWNER}


# Each of these raises NotFound, Unauthenticated, Forbidden.


def mute_member(*, actor: Viewer, member_id: int, until: datetime) -> Member:
    """Let a member say nothing until then, which is in the future and has a time zone. Raises BadUserInput."""
    _require_moment_ahead(until)
    with transaction.atomic():
        room, member = _locked_member(actor, member_id)
        if member.muted_until != until:
            _set_mute(member, until)
            detail = f"until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
            record(actor, room, AuditAction.MEMBER_MUTED, member=member, detail=detail)
    return member


def unmute_member(*, actor: Viewer, member_id: int) -> Member:
    with transaction.atomic():
        room, member = _locked_member(actor, member_id)
        if member.mute is not None:
            _set_mute(member, None)
            record(actor, room, AuditAction.MEMBER_UNMUTED, member=member)
    return member


def remove_member(*, actor: Viewer, member_id: int) -> Member:
    """End a membership. They may come back where the room's access lets them."""
    with transaction.atomic():
        room, member = _locked_member(actor, member_id)
        if member.left_at is None:
            end_membership(room, member)
            record(actor, room, AuditAction.MEMBER_REMOVED, member=member)
    return member


def ban_member(*, actor: Viewer, member_id: int) -> Member:
    """Keep somebody out of a room: an account, or a guest together with the address that they last joined one from.

    Their membership ends, if it has not already.
    """
    with transaction.atomic():
        room, member = _locked_member(actor, member_id)
        address = member.guest.address if member.guest is not None else None
        _, is_new = Ban.objects.get_or_create(
            room=room, user=member.user, guest=member.guest, defaults={"address": address}
        )
        if is_new:
            record(actor, room, AuditAction.MEMBER_BANNED, member=member)
        if member.left_at is None:
            end_membership(room, member)
        elif is_new:
            revoke(room, member.viewer_key)
    return member


def unban_member(*, actor: Viewer, member_id: int) -> Member:
    """Let somebody who was banned read and join again, as any stranger may. It does not make them a member."""
    with transaction.atomic():
        room, member = _locked_member(actor, member_id)
        lifted, _ = Ban.objects.filter(room=room, user=member.user, guest=member.guest).delete()
        if lifted:
            record(actor, room, AuditAction.MEMBER_UNBANNED, member=member)
    return member


def lift_ban(*, actor: Viewer, ban_id: int) -> None:
    """As ``unban_member``, by the ban; one that is lifted already stays so. For staff."""
    ban = Ban.objects.select_related("user", "guest").filter(pk=ban_id).first()
    member = ban and Member.objects.filter(room_id=ban.room_id, user=ban.user, guest=ban.guest).first()
    if member is not None:
        unban_member(actor=actor, member_id=member.pk)


def set_slow_mode(*, actor: Viewer, room_id: int, seconds: int) -> Room:
    """Let each member but moderators send once in so many seconds; 0 ends it. Raises BadUserInput."""
    if not 0 <= seconds <= LONGEST_SLOW_MODE_SECONDS:
        raise BadUserInput("seconds", f"From 0, for none, to {LONGEST_SLOW_MODE_SECONDS:,}.")
    with transaction.atomic():
        room = room_to_change(viewer=actor, room_id=room_id, permission=CHANGE_ROOMS)
        if not actor.has_permission(CHANGE_ROOMS):
            _require_office(actor, standing(actor, room))
        if room.slow_mode_seconds != seconds:
            room.slow_mode_seconds = seconds
            room.save(update_fields=["slow_mode_seconds"])
            record(actor, room, AuditAction.SLOW_MODE_SET, detail=f"{seconds} s")
    return room


def _locked_member(actor: Viewer, member_id: int) -> tuple[Room, Member]:
    """Somebody over whom ``actor`` has a say, under the room's lock."""
    found = member_to_change(viewer=actor, member_id=member_id)
    room = room_to_change(viewer=actor, room_id=found.room_id, permission=CHANGE_MEMBERS)
    office = _require_office(actor, standing(actor, room))
    member = Member.objects.select_related("user", "guest").get(pk=member_id)
    member.room = room
    if is_own(actor, member):
        raise Forbidden("Nobody does this to themselves. To go, leave the room.")
    if office <= _office_of(member) and office < Office.OWNER:
        raise Forbidden("Only owners and staff do this to a moderator.")
    if office < _office_of(member):
        raise Forbidden("Only staff do this to staff.")
    return room, member


def _require_office(actor: Viewer, found: Standing) -> Office:
    if actor.has_permission(CHANGE_MEMBERS):
        return Office.STAFF
    office = _OFFICES.get(MemberRole(found.member.role), Office.NONE) if found.member else Office.NONE
    if office == Office.NONE:
        raise turned_away(actor, "Only moderators of the room and staff may do this.")
    return office


def _office_of(member: Member) -> Office:
    """A role ends with the membership, what staff are permitted does not."""
    if Viewer(user=member.user).has_permission(CHANGE_MEMBERS):
        return Office.STAFF
    return _OFFICES.get(MemberRole(member.role), Office.NONE) if member.left_at is None else Office.NONE


def _set_mute(member: Member, until: datetime | None) -> None:
    member.muted_until = until
    member.save(update_fields=["muted_until"])


def is_moment_ahead(until: datetime) -> bool:
    """Whether this is a moment until which somebody may be muted."""
    now = timezone.now()
    return now < until <= now + LONGEST_MUTE


def _require_moment_ahead(until: datetime) -> None:
    if until.tzinfo is None:
        raise BadUserInput("until", "Say the time zone, such as Z.")
    if not is_moment_ahead(until):
        raise BadUserInput("until", "A moment ahead, ten years at most.")
