"""Between installing and serving: the database is brought up to date, and a newcomer is told where to go."""

from __future__ import annotations

import errno
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.db import transaction
from django.db.models import EmailField
from django.urls import reverse
from django.utils.crypto import get_random_string

from rooms.models import Room
from rooms.services import create_room

ADMIN = "admin"
LOBBY = "lobby"
PASSWORD_LENGTH = 16


class Command(BaseCommand):
    help = "Migrate; on an empty database make an open room and an admin; print where everything is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.LISTEN_HOST, help="where the server will listen: else $HOST")
        parser.add_argument("--port", default=settings.LISTEN_PORT, type=int, help="the same: else $PORT")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        require_free(host, port)
        call_command("migrate", verbosity=0, interactive=False)
        made = furnish()
        self.stdout.write(welcome(address(host, port), *made) if made else directions(address(host, port)))


def require_free(host: str, port: int) -> None:
    """Raise CommandError where nothing could listen, before anything is told about that place."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"port {port} is taken: `make run PORT={port + 1}` takes another") from None
        raise CommandError(f"cannot listen on {host} port {port}: {error.strerror} (HOST=… says where)") from None


@transaction.atomic
def furnish() -> tuple[str, str] | None:
    """Make a room and an admin where there is neither user nor room; return the admin's name and password, else None.

    An operator's user model that wants more than these is left to ``createsuperuser``.
    """
    users = get_user_model()
    if users._default_manager.exists() or Room.objects.exists():
        return None
    create_room(slug=LOBBY, name="Lobby")
    if not {"email", users.USERNAME_FIELD}.issuperset(users.REQUIRED_FIELDS):
        return None
    is_address = isinstance(users._meta.get_field(users.USERNAME_FIELD), EmailField)
    name, password = f"{ADMIN}@localhost" if is_address else ADMIN, get_random_string(PASSWORD_LENGTH)
    users._default_manager.create_superuser(**{users.USERNAME_FIELD: name, "password": password})
    return name, password


def address(host: str, port: int) -> str:
    """Return what a browser on this machine calls it."""
    here = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{here}]' if ':' in here else here}:{port}"


def welcome(base: str, name: str, password: str) -> str:
    return f"""
Welcome to Salas. A room for everyone and an admin were made:

    the room    {base}{reverse("room", args=[LOBBY])}
    the admin   {base}{reverse("admin:index")}
                user {name}, password {password}
    GraphiQL    {base}{reverse("graphql")}

The password is shown this once. Ctrl-C ends the server.
"""


def directions(base: str) -> str:
    return f"""
    rooms       {base}{reverse("enter")}
    the admin   {base}{reverse("admin:index")}
    GraphiQL    {base}{reverse("graphql")}

Ctrl-C ends the server.
"""
