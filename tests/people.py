"""Rooms and people for tests, made as in life: by the services."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from rooms import moderation, services
from rooms.identity import NOBODY, OPERATOR, Viewer
from rooms.models import Member, MemberRole, Room, RoomAccess
from rooms.sending import Changed

PASSWORD = "open sesame"


def queries_to_store() -> int:
    """What storing new messages takes: one statement, or three on SQLite."""
    return 1 if connection.vendor == "postgresql" else 3


_number = count(1)


def make_room(access: RoomAccess = RoomAccess.OPEN, *, slug: str = "", name: str = "") -> Room:
    """A room; where it has a password that is ``PASSWORD``."""
    slug = slug or f"room-{next(_number)}"
    password = PASSWORD if access == RoomAccess.PASSWORD else ""
    return services.create_room(slug=slug, name=name or slug, access=access, password=password)


def archive(room: Room) -> None:
    services.archive_room(actor=OPERATOR, room_id=room.pk)


def member_of(viewer: Viewer, room: Room) -> Member:
    return Member.objects.get(room=room, user=viewer.user, guest=viewer.guest)


def remove(viewer: Viewer, room: Room) -> None:
    moderation.remove_member(actor=OPERATOR, member_id=member_of(viewer, room).pk)


def ban(viewer: Viewer, room: Room) -> None:
    moderation.ban_member(actor=OPERATOR, member_id=member_of(viewer, room).pk)


def mute(viewer: Viewer, room: Room) -> datetime:
    """Let a member say nothing for an hour; return until when."""
    until = timezone.now() + timedelta(hours=1)
    moderation.mute_member(actor=OPERATOR, member_id=member_of(viewer, room).pk, until=until)
    return until


def make_guest(room: Room, name: str = "Ana") -> Viewer:
    """Somebody without an account who has joined ``room`` from an address of their own."""
    address = f"2001:db8::{next(_number):x}"
    joined = services.join_room(viewer=NOBODY, slug=room.slug, display_name=name, password=PASSWORD, address=address)
    return Viewer(guest=joined.guest, token=joined.token)


def make_user(name: str = "") -> Viewer:
    """Somebody with an account and no room."""
    return Viewer(user=User.objects.create_user(name or f"user-{next(_number)}"))


def make_member(room: Room, role: MemberRole = MemberRole.MEMBER, name: str = "Bia") -> Viewer:
    """Somebody with an account whom the admin added to ``room``."""
    viewer = make_user()
    assert viewer.user is not None
    services.add_member(actor=OPERATOR, room_id=room.pk, user_id=viewer.user.pk, display_name=name, role=role)
    return viewer


def make_staff() -> Viewer:
    """Somebody who may do anything in the admin."""
    return Viewer(user=User.objects.create_superuser(f"staff-{next(_number)}"))


def send(viewer: Viewer, room: Room, text: str = "hello", key: str | None = None) -> Changed:
    return services.send_message(viewer=viewer, room_id=room.pk, text=text, idempotency_key=key)
