"""The only writers. Each checks what the viewer may do, changes everything in one transaction or nothing at all.

A change to messages appends one entry to the room's log. Its sequence is taken under the room's row lock in the
transaction that makes the change, so commit order is sequence order and the log has no holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from . import broker, inputs, rates
from .exceptions import (
    BadUserInput,
    Forbidden,
    NotFound,
    RateLimited,
    Refusal,
    RoomArchived,
    Unauthenticated,
    WrongPassword,
)
from .identity import Viewer, issue_token
from .models import (
    Entry,
    EntryKind,
    Guest,
    Member,
    MemberRole,
    Message,
    Room,
    RoomAccess,
)
from .selectors import is_own, message_by_id, require_member, standing

DELETE_ANY_MESSAGE = "rooms.delete_message"


@dataclass(frozen=True)
class Joined:
    """``guest`` and ``token`` (the guest's bearer token) are None for accounts."""

    room: Room
    member: Member
    guest: Guest | None
    token: str | None


@dataclass(frozen=True)
class Changed:
    """A message as it is now, and the position of the change in the room's log."""

    message: Message
    sequence: int


# Rooms


def create_room(
    *, slug: str, name: str, description: str = "", access: RoomAccess = RoomAccess.OPEN, password: str = ""
) -> Room:
    """Raises ValidationError where the room would break an invariant."""
    room = Room(slug=slug, name=name, description=description, access=access)
    room.password = make_password(password) if password else ""
    room.full_clean()
    room.save()
    return room


def update_room(
    *, room_id: int, slug: str, name: str, description: str, access: RoomAccess, password: str = ""
) -> Room:
    """Change a room, as the admin does. An empty ``password`` keeps the one it has; any other access forgets it.

    Raises NotFound, and ValidationError where the room would break an invariant.
    """
    hashed = make_password(password) if password else ""  # takes long, so not under the lock
    with transaction.atomic():
        room = _locked_room(room_id)
        room.slug, room.name, room.description, room.access = slug, name, description, access
        room.password = (hashed or room.password) if access == RoomAccess.PASSWORD else ""
        room.full_clean()
        room.save(update_fields=["slug", "name", "description", "access", "password"])
    return room


def archive_room(*, room_id: int) -> None:
    Room.objects.filter(pk=room_id, archived_at=None).update(archived_at=timezone.now())


def reopen_room(*, room_id: int) -> None:
    Room.objects.filter(pk=room_id).update(archived_at=None)


# Members


def join_room(*, viewer: Viewer, slug: str, display_name: str, password: str | None = None) -> Joined:
    """Make the viewer a member; who is one already only gets the new display name.

    Somebody without an account becomes a guest, or stays the guest they are.
    Raises NotFound, RoomArchived, WrongPassword, Forbidden, BadUserInput.
    """
    name = inputs.display_name(display_name)
    room = Room.objects.filter(slug=slug).first() if inputs.is_slug(slug) else None
    if room is None:
        raise NotFound
    _require_admitted(viewer, room, password)
    with transaction.atomic():
        room = _locked_room(room.pk)
        guest = None if viewer.user is not None else _named_guest(viewer.guest, name)
        member = _entered(room, Viewer(user=viewer.user, guest=guest), name)
        token = None if guest is None else viewer.token or issue_token(guest)
    return Joined(room, member, guest, token)


def leave_room(*, viewer: Viewer, room_id: int) -> Room:
    """End the viewer's membership; leaving a room that one is not in changes nothing. Raises NotFound."""
    with transaction.atomic():
        room = _locked_room(room_id)
        found = standing(viewer, room)
        if not found.may_know:
            raise NotFound
        if found.member is not None:
            _leave(room, found.member)
    return room


def remove_member(*, member_id: int) -> None:
    """End somebody's membership, as the admin does."""
    with transaction.atomic():
        room = _locked_room(Member.objects.values_list("room_id", flat=True).get(pk=member_id))
        member = Member.objects.get(pk=member_id)
        if member.left_at is None:
            _leave(room, member)


def add_member(*, room_id: int, user_id: int, display_name: str, role: MemberRole = MemberRole.MEMBER) -> Member:
    """Make an account a member, as the admin does, with that role. Raises BadUserInput for the display name."""
    name = inputs.display_name(display_name)
    with transaction.atomic():
        room = _locked_room(room_id)
        member = Member.objects.filter(room=room, user_id=user_id).first() or Member(room=room, user_id=user_id)
        return _enter(room, member, name, role)


def update_member(*, member_id: int, display_name: str, role: MemberRole) -> Member:
    """Change how a member is called and what they may do, as the admin does.

    Raises BadUserInput for the display name, and NotFound for who has left.
    """
    name = inputs.display_name(display_name)
    with transaction.atomic():
        _locked_room(Member.objects.values_list("room_id", flat=True).get(pk=member_id))
        member = Member.objects.filter(pk=member_id, left_at=None).first()
        if member is None:
            raise NotFound
        member.display_name, member.role = name, role
        member.save(update_fields=["display_name", "role"])
    return member


def _require_admitted(viewer: Viewer, room: Room, password: str | None) -> None:
    found = standing(viewer, room)
    if not found.may_know:
        raise NotFound
    if room.is_archived:
        raise RoomArchived
    if found.member is not None or room.access == RoomAccess.OPEN:
        return
    if room.access == RoomAccess.MEMBERS:
        raise Forbidden("Members of this room are added in the admin.")
    if password is None or not inputs.is_storable(password) or not check_password(password, room.password):
        raise WrongPassword


def _named_guest(guest: Guest | None, name: str) -> Guest:
    if guest is None:
        return Guest.objects.create(display_name=name)
    if guest.display_name != name:
        guest.display_name = name
        guest.save(update_fields=["display_name"])
    return guest


def _entered(room: Room, viewer: Viewer, name: str) -> Member:
    """Under the room's lock: the membership of ``viewer``, made, renewed or merely renamed."""
    member = Member.objects.filter(room=room, user=viewer.user, guest=viewer.guest).first()
    if member is None:
        return _enter(room, Member(room=room, user=viewer.user, guest=viewer.guest), name, MemberRole.MEMBER)
    if member.left_at is not None:
        return _enter(room, member, name, MemberRole.MEMBER)
    member.room = room
    member.display_name = name
    member.save(update_fields=["display_name"])
    return member


def _enter(room: Room, member: Member, name: str, role: MemberRole) -> Member:
    """Under the room's lock. A role does not outlive the membership: who comes back comes back with ``role``."""
    is_new = member._state.adding or member.left_at is not None
    member.room, member.display_name, member.role, member.left_at = room, name, role, None
    if is_new:
        member.joined_at = timezone.now()
        _count_members(room, +1)
    member.save()
    return member


def _leave(room: Room, member: Member) -> None:
    member.left_at = timezone.now()
    member.save(update_fields=["left_at"])
    _count_members(room, -1)


def _count_members(room: Room, change: int) -> None:
    Room.objects.filter(pk=room.pk).update(member_count=F("member_count") + change)
    room.member_count += change


# Messages


def send_message(*, viewer: Viewer, room_id: int, text: str, idempotency_key: str | None = None) -> Changed:
    """Append a message. The same author and key give the message that is there already.

    What was sent before is answered however often it is asked for; new messages are limited by member and room.
    Raises NotFound, Unauthenticated, Forbidden, RoomArchived, RateLimited, BadUserInput (also for a known key with
    another text).
    """
    text = inputs.message_text(text)
    key = inputs.idempotency_key(idempotency_key)
    if wait := _wait_for_turn(viewer, f"send {room_id}"):
        if sent := _known(viewer, room_id, text, key):
            return sent
        raise RateLimited(wait)
    with transaction.atomic():
        room = _locked_room(room_id)
        author = require_member(viewer, standing(viewer, room))
        if sent := _sent_before(author, text, key):
            return sent
        _require_open_log(room)
        sequence = room.sequence + 1
        message = Message(
            room=room,
            author=author,
            sequence=sequence,
            changed_sequence=sequence,
            text=text,
            idempotency_key=key,
        )
        message.save(force_insert=True)
        _append(room, EntryKind.SENT, message)
    return Changed(message, sequence)


def edit_message(*, viewer: Viewer, message_id: int, text: str) -> Changed:
    """Change the text of one's own message. Edits are limited as sends are, in all rooms together.

    Raises NotFound, Unauthenticated, Forbidden, RoomArchived, RateLimited, BadUserInput.
    """
    text = inputs.message_text(text)
    if wait := _wait_for_turn(viewer, "edit"):
        raise RateLimited(wait)
    with transaction.atomic():
        message, member = _locked_message(viewer, message_id)
        if member is None or message.author_id != member.pk:
            raise _turned_away(viewer, "Only its author may edit a message.")
        _require_open_log(message.room)
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
            raise _turned_away(viewer, "Only its author and moderators may delete a message.")
        if message.deleted_at is not None:
            return Changed(message, message.changed_sequence)
        message.text, message.deleted_at = None, timezone.now()
        return _change(message, EntryKind.DELETED, "text", "deleted_at")


def _locked_room(room_id: int) -> Room:
    """The room, locked against every other change to its log and its members until the transaction ends."""
    room = Room.objects.select_for_update(no_key=True).filter(pk=room_id).first()
    if room is None:
        raise NotFound
    return room


def _locked_message(viewer: Viewer, message_id: int) -> tuple[Message, Member | None]:
    """A message that the viewer may read, under its room's lock, with the viewer's membership if any."""
    room = _locked_room(message_by_id(viewer=viewer, message_id=message_id).room_id)
    message = message_by_id(viewer=viewer, message_id=message_id)
    message.room = message.author.room = room
    return message, standing(viewer, room).member


def _may_delete(viewer: Viewer, message: Message, member: Member | None) -> bool:
    if is_own(viewer, message.author) or (member is not None and member.is_moderator):
        return True
    return viewer.has_permission(DELETE_ANY_MESSAGE)


def _turned_away(viewer: Viewer, message: str) -> Refusal:
    return Forbidden(message) if viewer.is_authenticated else Unauthenticated()


def _wait_for_turn(viewer: Viewer, what: str) -> float:
    """Return the seconds until the viewer may do this; 0.0 means now. Not to be called under a lock."""
    if viewer.key is None:
        return 0.0  # whoever nobody is may do nothing of the kind
    limits = settings.LIMITS
    return rates.take(f"{what} {viewer.key}", burst=limits.send_burst, per_second=limits.sends_per_second)


def _known(viewer: Viewer, room_id: int, text: str, key: str | None) -> Changed | None:
    """What a retry asks for, without the lock: a message never changes its author or key. Refuses as a send does."""
    if key is None:
        return None
    room = Room.objects.filter(pk=room_id).first()
    if room is None:
        raise NotFound
    return _sent_before(require_member(viewer, standing(viewer, room)), text, key)


def _sent_before(author: Member, text: str, key: str | None) -> Changed | None:
    """The message that ``author`` sent under ``key``. Raises BadUserInput where its text was another."""
    message = Message.objects.filter(author=author, idempotency_key=key).first() if key is not None else None
    if message is None:
        return None
    message.room, message.author = author.room, author
    is_as_sent = message.edited_at is None and message.deleted_at is None
    if is_as_sent and message.text != text:
        raise BadUserInput("idempotencyKey", "This key was used for a message with another text.")
    return Changed(message, message.sequence)


def _change(message: Message, kind: EntryKind, *fields: str) -> Changed:
    message.changed_sequence = message.room.sequence + 1
    message.save(update_fields=[*fields, "changed_sequence"])
    _append(message.room, kind, message)
    return Changed(message, message.changed_sequence)


def _append(room: Room, kind: EntryKind, message: Message) -> None:
    """Append one entry under the room's lock, and tell whoever follows once it is committed."""
    room.sequence += 1
    room.last_used_at = timezone.now()
    room.message_count += kind == EntryKind.SENT
    room.save(update_fields=["sequence", "last_used_at", "message_count"])
    Entry(room=room, sequence=room.sequence, kind=kind, message=message).save(force_insert=True)
    announce = partial(broker.announce, room_id=room.pk, sequence=room.sequence)
    transaction.on_commit(announce, robust=True)  # a hint that fails never fails the send


def _require_open_log(room: Room) -> None:
    if room.is_archived:
        raise RoomArchived
