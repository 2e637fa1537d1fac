from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from pytest_django import Settings

from rooms.management.commands.first_run import address
from rooms.models import Room, RoomAccess
from rooms.services import create_room

pytestmark = pytest.mark.django_db


def first_run(port: int = 0, host: str = "127.0.0.1") -> str:
    """Return what a newcomer reads."""
    output = StringIO()
    call_command("first_run", host=host, port=port, stdout=output)
    return output.getvalue()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_an_empty_database_gets_an_open_lobby() -> None:
    first_run()
    lobby = Room.objects.get()
    assert (lobby.slug, lobby.name, lobby.access) == ("lobby", "Lobby", RoomAccess.OPEN)


def test_the_printed_password_is_the_admins() -> None:
    printed = re.search(r"user (\S+), password (\S+)", first_run())
    assert printed
    user = authenticate(username=printed[1], password=printed[2])
    assert user
    assert user.is_superuser


def test_every_first_run_makes_another_password() -> None:
    one = first_run()
    Room.objects.all().delete()
    get_user_model().objects.all().delete()
    assert one != first_run()


def test_the_first_run_prints_where_to_go() -> None:
    printed = first_run()
    for path in ("/salas/lobby/", "/admin/", "/graphql/"):
        assert f"http://127.0.0.1:0{path}\n" in printed


def test_a_second_run_makes_nothing_and_prints_no_password() -> None:
    first_run()
    second = first_run()
    assert "password" not in second
    assert "http://127.0.0.1:0/entrar/\n" in second
    assert Room.objects.count() == get_user_model().objects.count() == 1


def test_a_room_without_users_is_no_empty_database() -> None:
    create_room(slug="kept", name="Kept")
    assert "password" not in first_run()
    assert not get_user_model().objects.exists()


def test_a_user_without_rooms_is_no_empty_database() -> None:
    get_user_model().objects.create_user("ana")
    assert "password" not in first_run()
    assert not Room.objects.exists()


def test_a_taken_port_is_named_before_anything_is_made(taken_port: int) -> None:
    with pytest.raises(CommandError, match=f"port {taken_port} is taken: `make run PORT={taken_port + 1}`"):
        first_run(taken_port)
    assert not Room.objects.exists()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CommandError, match=r"cannot listen on 192\.0\.2\.1"):
        first_run(host="192.0.2.1")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("salas.example", "http://salas.example:8000"),
    ],
)
def test_links_lead_to_this_machine(host: str, expected: str) -> None:
    assert address(host, 8000) == expected


def test_it_is_where_the_settings_say(settings: Settings, taken_port: int) -> None:
    settings.LISTEN_PORT = taken_port
    with pytest.raises(CommandError, match=f"port {taken_port} is taken"):
        call_command("first_run")
