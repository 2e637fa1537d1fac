"""Rooms and people for tests, made as in life: by the services."""

from __future__ import annotations

from itertools import count

from django.contrib.auth.models import User

from rooms import services
from rooms.identity import NOBODY, Viewer
from rooms.models import MemberRole, Room, RoomAccess

PASSWORD = "open sesame"

_number = count(1)


def make_room(access: RoomAccess = RoomAccess.OPEN, *, slug: str = "", name: str = "") -> Room:
    """A room; where it has a password that is ``PASSWORD``."""
    slug = slug or f"room-{next(_number)}"
    password = PASSWORD if access == RoomAccess.PASSWORD else ""
    return services.create_room(slug=slug, name=name or slug, access=access, password=password)


def archive(room: Room) -> None:
    services.archive_room(room_id=room.pk)


def make_guest(room: Room, name: str = "Ana") -> Viewer:
    """Somebody without an account who has joined ``room``."""
    joined = services.join_room(viewer=NOBODY, slug=room.slug, display_name=name, password=PASSWORD)
    return Viewer(guest=joined.guest, token=joined.token)


def make_user(name: str = "") -> Viewer:
    """Somebody with an account and no room."""
    return Viewer(user=User.objects.create_user(name or f"user-{next(_number)}"))


def make_member(room: Room, role: MemberRole = MemberRole.MEMBER, name: str = "Bia") -> Viewer:
    """Somebody with an account whom the admin added to ``room``."""
    viewer = make_user()
    assert viewer.user is not None
    services.add_member(room_id=room.pk, user_id=viewer.user.pk, display_name=name, role=role)
    return viewer


def make_staff() -> Viewer:
    """Somebody who may do anything in the admin."""
    return Viewer(user=User.objects.create_superuser(f"staff-{next(_number)}"))


def send(viewer: Viewer, room: Room, text: str = "hello", key: str | None = None) -> services.Changed:
    return services.send_message(viewer=viewer, room_id=room.pk, text=text, idempotency_key=key)
