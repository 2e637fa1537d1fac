"""The only writers. Each checks what the viewer may do, changes everything in one transaction or nothing at all.

A change to messages appends one entry to the room's log. Its sequence is taken under the room's row lock in the
transaction that makes the change, so commit order is sequence order and the log has no holes.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import inputs, rates, validation
from .appending import append
from .attempts import Attempt, attempt, network_of
from .epochs import current_epoch
from .exceptions import BadUserInput, Banned, Forbidden, NotFound, RateLimited, RoomArchived, WrongPassword
from .hashing import hashing_slot
from .identity import Viewer
from .locked import count_members, end_membership, record, revoke
from .models import (
    AuditAction,
    Ban,
    EntryKind,
    Guest,
    Member,
    MemberRole,
    Message,
    Room,
    RoomAccess,
    RoomSlug,
)
from .moderation import CHANGE_ROOMS
from .passwords import is_right
from .selectors import (
    CHANGE_MEMBERS,
    Standing,
    former_slugs,
    has_memberships,
    is_banned_address,
    is_own,
    member_to_change,
    message_to_change,
    room_by_slug,
    room_to_change,
    standing,
    turned_away,
)
from .sending import Changed, Send, require_open_log, require_voice, send_messages, wait_for_turns
from .texts import slug as slug_in
from .tokens import issue_token

ADD_MEMBERS = "rooms.add_member"
DELETE_ANY_MESSAGE = "rooms.delete_message"

SLUG_LEADS = _("This slug was another room’s, and leads there. Take another, or free it on the page of that room.")
SLUG_TAKEN = _("Another room has taken this slug just now.")

_STRICTNESS = (RoomAccess.OPEN, RoomAccess.PASSWORD, RoomAccess.MEMBERS)


@dataclass(frozen=True)
class Joined:
    """``guest`` and ``token`` (the guest's bearer token) are None for accounts."""

    room: Room
    member: Member
    guest: Guest | None
    token: str | None


# Rooms


def create_room(
    *, slug: str, name: str, description: str = "", access: RoomAccess = RoomAccess.OPEN, password: str = ""
) -> Room:
    """Raises ValidationError where the room would break an invariant."""
    room = Room(access=access, password=_hashed(password), epoch=current_epoch())
    _describe(room, slug, name, description)
    _store(room)
    return room


def update_room(
    *, actor: Viewer, room_id: int, slug: str, name: str, description: str, access: RoomAccess, password: str = ""
) -> Room:
    """Change a room, as the admin does. An empty ``password`` keeps the one it has; any other access forgets it.

    Raises NotFound, Forbidden, and ValidationError where the room would break an invariant.
    """
    hashed = _hashed(password)  # takes long, so not under the lock
    with transaction.atomic():
        room = _room_of_staff(actor, room_id)
        before = RoomAccess(room.access)
        RoomSlug.objects.get_or_create(slug=room.slug, defaults={"room": room})  # a process of before kept none
        room.access, room.password = access, (hashed or room.password) if access == RoomAccess.PASSWORD else ""
        _describe(room, slug, name, description)
        _store(room, "slug", "name", "description", "access", "password")
        _note_access(actor, room, before, has_new_password=bool(hashed))
    return room


def free_slug(*, actor: Viewer, room_id: int, slug: str) -> None:
    """Let a former slug of the room lead nowhere, and be taken by another. Raises NotFound, Forbidden."""
    with transaction.atomic():
        room = _room_of_staff(actor, room_id)
        former_slugs(room=room).filter(slug=slug).delete()


def archive_room(*, actor: Viewer, room_id: int) -> None:
    """Let nothing be added to a room, and end following it. Raises NotFound, Forbidden."""
    with transaction.atomic():
        room = _room_of_staff(actor, room_id)
        if room.archived_at is None:
            room.archived_at = timezone.now()
            room.save(update_fields=["archived_at"])
            record(actor, room, AuditAction.ROOM_ARCHIVED)
            revoke(room)


def reopen_room(*, actor: Viewer, room_id: int) -> None:
    """Raises NotFound, Forbidden."""
    with transaction.atomic():
        room = _room_of_staff(actor, room_id)
        if room.archived_at is not None:
            room.archived_at = None
            room.save(update_fields=["archived_at"])
            record(actor, room, AuditAction.ROOM_REOPENED)


def _hashed(password: str) -> str:
    return make_password(validation.password(password)) if password else ""


def _describe(room: Room, slug: str, name: str, description: str) -> None:
    """Raises ValidationError, by field, for what is no such text."""
    given = {"slug": slug, "name": name, "description": description}
    checks = {"slug": validation.slug, "name": validation.room_name, "description": validation.description}
    faults = {}
    for field, text in given.items():
        try:
            setattr(room, field, checks[field](text))
        except ValidationError as error:
            faults[field] = error
    if faults:
        raise ValidationError(faults)


def _store(room: Room, *fields: str) -> None:
    """Raises ValidationError, also where another room has taken the slug just now."""
    room.full_clean()
    try:
        require_free_slug(room.slug, room.pk)
    except ValidationError as error:
        raise ValidationError({"slug": error}) from error
    try:
        with transaction.atomic():
            room.save(update_fields=fields or None)
    except IntegrityError as error:
        raise ValidationError({"slug": SLUG_TAKEN}) from error


def require_free_slug(slug: str, room_id: int | None) -> None:
    """Raises ValidationError where this is a former slug of another room."""
    if RoomSlug.objects.filter(slug=slug).exclude(room=room_id).exclude(room__slug=slug).exists():
        raise ValidationError(SLUG_LEADS)


def _room_of_staff(actor: Viewer, room_id: int) -> Room:
    room = room_to_change(viewer=actor, room_id=room_id, permission=CHANGE_ROOMS)
    if not actor.has_permission(CHANGE_ROOMS):
        raise turned_away(actor, "Only staff may change a room.")
    return room


def _note_access(actor: Viewer, room: Room, before: RoomAccess, *, has_new_password: bool) -> None:
    access = RoomAccess(room.access)
    if access != before:
        record(actor, room, AuditAction.ACCESS_CHANGED, detail=f"{before.value} to {access.value}")
    elif has_new_password:
        record(actor, room, AuditAction.ACCESS_CHANGED, detail="another password")
    if _STRICTNESS.index(access) > _STRICTNESS.index(before):
        revoke(room)


# Members


def join_room(
    *, viewer: Viewer, slug: str, display_name: str, password: str | None = None, address: str | None = None
) -> Joined:
    """Make the viewer a member; a member only gets the new display name, and nothing is written where that is the old.

    Somebody without an account becomes a guest, or stays the guest they are. ``address`` is the IP address that they
    come from, for bans of guests and to count joins and tries at passwords.
    Raises NotFound, RoomArchived, WrongPassword, Forbidden (Banned), BadUserInput, RateLimited.
    """
    name = inputs.display_name(display_name)
    _keep_join_rates(viewer, address)
    seen, is_right = _room_to_join(viewer, slug, password, address)
    if seen is None:
        raise NotFound
    member = _require_admitted(viewer, seen, is_right, address).member
    if member is not None and _is_as_before(viewer, member, name, address):
        return Joined(seen, member, viewer.guest, viewer.token if viewer.guest else None)
    with transaction.atomic():
        room = room_to_change(viewer=viewer, room_id=seen.pk)
        _require_still_admitted(viewer, room, seen, address)
        guest = None if viewer.user is not None else _named_guest(viewer.guest, name, address)
        member = _entered(room, Viewer(user=viewer.user, guest=guest), name)
        token = None if guest is None else viewer.token or issue_token(guest).secret
    return Joined(room, member, guest, token)


def leave_room(*, viewer: Viewer, room_id: int) -> Room:
    """End the viewer's membership; leaving a room that one is not in changes nothing. Raises NotFound."""
    with transaction.atomic():
        room = room_to_change(viewer=viewer, room_id=room_id)
        member = standing(viewer, room).member
        if member is not None:
            end_membership(room, member)
    return room


def add_member(
    *, actor: Viewer, room_id: int, user_id: int, display_name: str, role: MemberRole = MemberRole.MEMBER
) -> Member:
    """Make an account a member, as the admin does, with that role.

    Raises BadUserInput for the display name, NotFound, and Forbidden, also for who is banned.
    """
    name = inputs.display_name(display_name)
    with transaction.atomic():
        room = room_to_change(viewer=actor, room_id=room_id, permission=ADD_MEMBERS)
        if not actor.has_permission(ADD_MEMBERS):
            raise turned_away(actor, "Only staff may add members.")
        if Ban.objects.filter(room=room, user_id=user_id).exists():
            raise Forbidden("The account is banned from this room. Lift the ban first.")
        member = Member.objects.filter(room=room, user_id=user_id).first() or Member(room=room, user_id=user_id)
        member = _enter(room, member, name, role)
        if role != MemberRole.MEMBER:
            record(actor, room, AuditAction.ROLE_CHANGED, member=member, detail=f"added as {role.value}")
    return member


def update_member(*, actor: Viewer, member_id: int, display_name: str, role: MemberRole) -> Member:
    """Change how a member is called and what they may do, as the admin does.

    Raises BadUserInput for the display name, Forbidden, and NotFound for who has left.
    """
    name = inputs.display_name(display_name)
    with transaction.atomic():
        room_id = member_to_change(viewer=actor, member_id=member_id).room_id
        room = room_to_change(viewer=actor, room_id=room_id, permission=CHANGE_MEMBERS)
        if not actor.has_permission(CHANGE_MEMBERS):
            raise turned_away(actor, "Only staff may change members.")
        member = Member.objects.filter(pk=member_id, left_at=None).first()
        if member is None:
            raise NotFound
        before, member.display_name, member.role = MemberRole(member.role), name, role
        member.save(update_fields=["display_name", "role"])
        if role != before:
            detail = f"{before.value} to {role.value}"
            record(actor, room, AuditAction.ROLE_CHANGED, member=member, detail=detail)
    return member


def _keep_join_rates(viewer: Viewer, address: str | None) -> None:
    """Raises RateLimited. The viewer first, so that one alone does not use up what its network has."""
    limits = settings.LIMITS
    if viewer.key is not None:
        (wait,) = rates.take(f"join {viewer.key}", burst=limits.join_burst, per_second=limits.joins_per_second)
        if wait:
            raise RateLimited(wait, "You join rooms too often. Wait a little, then try again.")
    burst, per_second = limits.address_join_burst, limits.address_joins_per_second
    (wait,) = rates.take(f"join from {network_of(address)}", burst=burst, per_second=per_second)
    if wait:
        raise RateLimited(wait, "Too many joins from your network just now. Wait a little, then try again.")


def _is_as_before(viewer: Viewer, member: Member, name: str, address: str | None) -> bool:
    """Whether there is nothing to write. A guest that was known by a session has a token to come."""
    if member.display_name != name:
        return False
    guest = viewer.guest
    return guest is None or (viewer.token is not None and (guest.display_name, guest.address) == (name, address))


def _room_to_join(viewer: Viewer, slug: str, password: str | None, address: str | None) -> tuple[Room | None, bool]:
    """The room, and whether this is its password. A password is hashed once, and counted, room or no room."""
    if password is None:
        return room_by_slug(viewer=viewer, slug=slug), False
    slug = slug_in(slug) or ""
    who = viewer.key if viewer.user is not None else network_of(address)
    with attempt(f"room.{slug}.{who}", address) as made, hashing_slot():
        room = room_by_slug(viewer=viewer, slug=slug)
        if room is None or room.slug == slug:
            return room, _is_password(password, room, made)
        # By a former slug: the guesses are those at the room, else each slug that it had would give some more.
        with attempt(f"room.{room.slug}.{who}", address) as made_there:
            is_password = _is_password(password, room, made_there)
            made.has_succeeded = made_there.has_succeeded
            return room, is_password


def _is_password(password: str, room: Room | None, made: Attempt) -> bool:
    """As many hashes are made where there is nothing to compare with. An old hash is replaced by a better one."""

    def improve(password: str) -> None:
        if room is not None:
            better = make_password(password)
            if Room.objects.filter(pk=room.pk, password=room.password).update(password=better):
                room.password = better

    is_password = is_right(password, room.password if room is not None else "", improve)
    if is_password or (room is not None and room.access == RoomAccess.OPEN):
        made.succeeded()
    return is_password


def _require_admitted(viewer: Viewer, room: Room, is_right: bool, address: str | None) -> Standing:
    found = _require_welcome(viewer, room, address)
    if found.member is not None or room.access == RoomAccess.OPEN:
        return found
    if room.access == RoomAccess.MEMBERS:
        raise Forbidden("Members of this room are added in the admin.")
    if not is_right:
        raise WrongPassword
    return found


def _require_still_admitted(viewer: Viewer, room: Room, seen: Room, address: str | None) -> None:
    """Under the room's lock: what was true of the room as it was ``seen``, while the password was checked."""
    found = _require_welcome(viewer, room, address)
    is_as_seen = (room.access, room.password) == (seen.access, seen.password)
    if found.member is None and room.access != RoomAccess.OPEN and not is_as_seen:
        raise WrongPassword


def _require_welcome(viewer: Viewer, room: Room, address: str | None) -> Standing:
    """The viewer's standing, in a room that takes newcomers and would take this one."""
    found = standing(viewer, room)
    if not found.may_know:
        raise NotFound
    is_newcomer_without_account = found.member is None and viewer.user is None
    if found.is_banned or (is_newcomer_without_account and is_banned_address(room=room, address=address)):
        raise Banned
    if room.is_archived:
        raise RoomArchived
    return found


def _named_guest(guest: Guest | None, name: str, address: str | None) -> Guest:
    if guest is None:
        return Guest.objects.create(display_name=name, address=address)
    if (guest.display_name, guest.address) != (name, address):
        guest.display_name, guest.address = name, address
        guest.save(update_fields=["display_name", "address"])
    return guest


def _entered(room: Room, viewer: Viewer, name: str) -> Member:
    """Under the room's lock: the membership of ``viewer``, made, renewed or merely renamed."""
    member = Member.objects.filter(room=room, user=viewer.user, guest=viewer.guest).first()
    if member is None or member.left_at is not None:
        _require_few_memberships(viewer)
    if member is None:
        return _enter(room, Member(room=room, user=viewer.user, guest=viewer.guest), name, MemberRole.MEMBER)
    if member.left_at is not None:
        return _enter(room, member, name, MemberRole.MEMBER)
    member.room = room
    member.display_name = name
    member.save(update_fields=["display_name"])
    return member


def _require_few_memberships(viewer: Viewer) -> None:
    """Joins of one viewer that are made at the same moment may exceed it by as many."""
    limit = settings.LIMITS.memberships_per_viewer
    if limit and has_memberships(viewer, limit):
        raise Forbidden(f"You are in {limit:,} rooms, as many as one may be in. Leave one of them first.")


def _enter(room: Room, member: Member, name: str, role: MemberRole) -> Member:
    """Under the room's lock. A role does not outlive the membership, a mute does: who comes back has ``role``."""
    is_new = member._state.adding or member.left_at is not None
    member.room, member.display_name, member.role, member.left_at = room, name, role, None
    if is_new:
        member.joined_at = timezone.now()
        count_members(room, +1)
    member.save()
    return member


# Messages


def send_message(*, viewer: Viewer, room_id: int, text: str, idempotency_key: str | None = None) -> Changed:
    """Append a message, as ``send_messages`` does many. Raises why there is none."""
    (outcome,) = send_messages(room_id=room_id, sends=[Send(viewer, text, idempotency_key)])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def edit_message(*, viewer: Viewer, message_id: int, text: str) -> Changed:
    """Change the text of one's own message. Edits are limited as sends are, in all rooms together.

    Raises NotFound, Unauthenticated, Forbidden, RoomArchived, RateLimited, BadUserInput.
    """
    text = inputs.message_text(text)
    (wait,) = wait_for_turns([("edit", viewer)])
    if wait:
        raise RateLimited(wait)
    with transaction.atomic():
        message, member = _locked_message(viewer, message_id)
        if member is None or message.author_id != member.pk:
            raise turned_away(viewer, "Only its author may edit a message.")
        require_open_log(message.room)
        require_voice(member)
        if message.deleted_at is not None:
            raise BadUserInput("messageId", "The message was deleted.")
        message.text, message.edited_at = text, timezone.now()
        return _change(message, EntryKind.EDITED, "text", "edited_at")


def delete_message(*, viewer: Viewer, message_id: int) -> Changed:
    """Empty a message, in an archived room too. Deleting it again changes nothing, so no other limit is needed.

    Its author may, also after leaving the room, moderators of its room, and staff with that permission.
    Raises NotFound, Unauthenticated, Forbidden.
    """
    with transaction.atomic():
        message, member = _locked_message(viewer, message_id)
        if not _may_delete(viewer, message, member):
            raise turned_away(viewer, "Only its author and moderators may delete a message.")
        if message.deleted_at is not None:
            return Changed(message, message.changed_sequence)
        if not is_own(viewer, message.author):
            record(viewer, message.room, AuditAction.MESSAGE_DELETED, member=message.author, message=message)
        message.text, message.deleted_at = None, timezone.now()
        return _change(message, EntryKind.DELETED, "text", "deleted_at")


def _locked_message(viewer: Viewer, message_id: int) -> tuple[Message, Member | None]:
    """A message that the viewer may read or has written, under its room's lock, with their membership if any."""
    room_id = message_to_change(viewer=viewer, message_id=message_id).room_id
    room = Room.objects.select_for_update(no_key=True).get(pk=room_id)  # of one's own, perhaps no longer known
    message = message_to_change(viewer=viewer, message_id=message_id)
    message.room = message.author.room = room
    return message, standing(viewer, room).member


def _may_delete(viewer: Viewer, message: Message, member: Member | None) -> bool:
    if is_own(viewer, message.author) or (member is not None and member.is_moderator):
        return True
    return viewer.has_permission(DELETE_ANY_MESSAGE)


def _change(message: Message, kind: EntryKind, *fields: str) -> Changed:
    message.changed_sequence = message.room.sequence + 1
    message.save(update_fields=[*fields, "changed_sequence"])
    append(kind, [message])
    return Changed(message, message.changed_sequence)
