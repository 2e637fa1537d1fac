"""Puts rooms, guests and messages into Salas' database. Run as a script, in the tree whose server is measured.

It takes one argument, JSON: how many ``rooms``, how many ``members`` each has, how many ``messages`` it begins with,
how many guests are members ``everywhere``. It prints, as JSON, what ``contestants.SeededRoom`` holds of each room. The
guests are made many at a time; otherwise they are what ``joinRoom`` makes.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from rooms.models import Guest, Room

MESSAGES = """
INSERT INTO rooms_message (room_id, author_id, sequence, changed_sequence, text, sent_at, idempotency_key)
SELECT %(room)s, %(author)s, n, n, 'a message of about as many characters as people type', now(), NULL
FROM generate_series(1, %(number)s) AS n
"""
ENTRIES = """
INSERT INTO rooms_entry (room_id, sequence, kind, message_id, created_at)
SELECT room_id, sequence, 'SENT', id, sent_at FROM rooms_message WHERE room_id = %(room)s ORDER BY sequence
"""


class Wanted(TypedDict):
    rooms: int
    members: int
    messages: int
    everywhere: int


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.db import transaction

    wanted: Wanted = json.loads(sys.argv[1])
    with transaction.atomic():
        everywhere = guests_called("Guest", wanted["everywhere"])
        shown = with_tokens(everywhere)
        made = [seeded_room(wanted, everywhere) | {"everywhere": shown} for _ in range(wanted["rooms"])]
    analyse(("room", "guest", "member", "token", *(("message", "entry") if wanted["messages"] else ())))
    json.dump(made, sys.stdout)


def seeded_room(wanted: Wanted, everywhere: list[Guest]) -> dict[str, Any]:
    from rooms.services import create_room
    from schema.cursors import log_cursor
    from schema.ids import encode_id

    slug = f"bench-{secrets.token_hex(6)}"
    room = create_room(slug=slug, name=slug)
    members = guests_called("Follower", wanted["members"])
    with_members(room, members + everywhere)
    if wanted["messages"]:
        with_messages(room, wanted["messages"])
    return {
        "id": encode_id("Room", room.pk),
        "slug": slug,
        "start": log_cursor(room.pk, 0),
        "middle": log_cursor(room.pk, wanted["messages"] // 2),
        "tokens": with_tokens(members),
    }


def guests_called(name: str, number: int) -> list[Guest]:
    from rooms.models import Guest

    return Guest.objects.bulk_create(Guest(display_name=f"{name} {n}", address="127.0.0.1") for n in range(number))


def with_members(room: Room, guests: list[Guest]) -> None:
    from rooms.models import Member, Room

    Member.objects.bulk_create(Member(room=room, guest=guest, display_name=guest.display_name) for guest in guests)
    Room.objects.filter(pk=room.pk).update(member_count=len(guests))


def with_tokens(guests: list[Guest]) -> list[str]:
    from django.utils import timezone

    from rooms.models import Token
    from rooms.tokens import digest_of

    now = timezone.now()
    secret_of = {guest.pk: secrets.token_urlsafe(32) for guest in guests}
    Token.objects.bulk_create(
        Token(guest=guest, digest=digest_of(secret_of[guest.pk]), expires_at=now + timedelta(days=1), last_used_at=now)
        for guest in guests
    )
    return list(secret_of.values())


def with_messages(room: Room, number: int) -> None:
    from django.db import connection
    from django.utils import timezone

    from rooms.models import Member, Room

    given = {"room": room.pk, "author": Member.objects.filter(room=room).earliest("pk").pk, "number": number}
    with connection.cursor() as cursor:
        cursor.execute(MESSAGES, given)
        cursor.execute(ENTRIES, given)
    Room.objects.filter(pk=room.pk).update(sequence=number, message_count=number, last_used_at=timezone.now())


def analyse(names: tuple[str, ...]) -> None:
    """What autovacuum does a minute later, in a server that lives on.

    Not of an empty table, which it leaves alone too: where one is known to be empty, every row that refers to it is
    checked by reading all of it.
    """
    from django.db import connection

    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"VACUUM ANALYZE rooms_{name}")


if __name__ == "__main__":
    main()
