"""Two ways of typing one password are the same, wherever it is set and wherever it is asked for."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from config import settings as configured
from rooms import accounts, services
from rooms.exceptions import Unauthenticated, WrongPassword
from rooms.identity import NOBODY, OPERATOR
from rooms.models import Room, RoomAccess
from rooms.passwords import spellings
from tests.people import make_room
from tests.rooms.admin_pages import add_room, change_room

pytestmark = pytest.mark.django_db

NFC, NFD = "caf\u00e9 com leite", "cafe\u0301\u00a0com\u2003leite"


@pytest.fixture
def argon2(settings: Settings) -> None:
    """The hashers that an operator has."""
    settings.PASSWORD_HASHERS = configured.PASSWORD_HASHERS


def join(room: Room, password: str) -> None:
    services.join_room(viewer=NOBODY, slug=room.slug, display_name="Ana", password=password)


def log_in(name: str, password: str) -> User | None:
    return accounts.log_in(username=name, password=password, address=None).viewer.user


def test_the_normal_form_is_that_of_rfc_8265() -> None:
    assert spellings(NFD) == (NFC, NFD)
    assert spellings(NFC) == (NFC,)
    assert spellings("Caf\u00c9") == ("Caf\u00c9",)  # case counts
    assert spellings("\ufb01") == ("\ufb01",)  # no compatibility mapping
    assert spellings(" a ") == (" a ",)


# Rooms


@pytest.mark.parametrize(("stored", "typed"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
def test_a_rooms_password_is_known_in_every_spelling(admin_client: Client, stored: str, typed: str) -> None:
    again = {NFC: NFD, NFD: NFC}[stored]
    fields = {"access": "PASSWORD", "new_password": stored, "new_password_again": again}
    assert add_room(admin_client, slug="a", **fields) == {}
    room = make_room()
    assert change_room(admin_client, room, **fields) == {}
    for each in Room.objects.all():
        join(each, typed)


def test_a_rooms_password_of_before_goes_on_to_count_and_is_hashed_anew() -> None:
    room = make_room(RoomAccess.PASSWORD)
    Room.objects.filter(pk=room.pk).update(password=make_password(NFD))
    with pytest.raises(WrongPassword):
        join(room, NFC)
    join(room, NFD)
    join(room, NFC)
    assert check_password(NFC, Room.objects.get(pk=room.pk).password)


@pytest.mark.parametrize("password", ["a\tb", "a\0b", "x" * 129, "Z" + "\u0301" * 40])
def test_what_is_no_password_is_refused_where_it_is_set(admin_client: Client, password: str) -> None:
    fields = {"access": "PASSWORD", "new_password": password, "new_password_again": password}
    assert "new_password" in add_room(admin_client, **fields)
    if len(password) != 129:
        with pytest.raises(ValidationError):
            services.create_room(slug="b", name="b", access=RoomAccess.PASSWORD, password=password)
        room, access = make_room(), RoomAccess.PASSWORD
        with pytest.raises(ValidationError):
            services.update_room(
                actor=OPERATOR, room_id=room.pk, slug="b", name="b", description="", access=access, password=password
            )


# Accounts


@pytest.mark.usefixtures("argon2")
def test_whatever_sets_an_accounts_password_sets_its_normal_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NFD)
    call_command("createsuperuser", "--noinput", username="made", email="", stdout=io.StringIO())
    User.objects.create_user("created", password=NFD)
    User(username="set").save()
    user = User.objects.get(username="set")
    user.set_password(NFD)
    user.save()
    for name in ("made", "created", "set"):
        assert log_in(name, NFC)
        assert log_in(name, NFD)


@pytest.mark.usefixtures("argon2")
def test_the_admins_forms_take_every_spelling(admin_client: Client, admin_user: User) -> None:
    new = {"username": "rosa", "usable_password": "true", "password1": NFD, "password2": NFC}
    assert admin_client.post("/admin/auth/user/add/", new).status_code == 302
    assert log_in("rosa", NFC)
    rosa = User.objects.get(username="rosa").pk
    other = {"usable_password": "true", "password1": f"{NFC}!", "password2": f"{NFD}!"}
    assert admin_client.post(f"/admin/auth/user/{rosa}/password/", other).status_code == 302
    assert log_in("rosa", f"{NFD}!")


@pytest.mark.usefixtures("argon2")
def test_who_changes_their_own_password_knows_it_in_every_spelling(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss", password=NFC))
    change = {"old_password": NFD, "new_password1": f"{NFD}!", "new_password2": f"{NFC}!"}
    assert client.post("/admin/password_change/", change | {"old_password": "wrong"}).status_code == 200
    assert client.post("/admin/password_change/", change).status_code == 302
    assert log_in("boss", f"{NFC}!")


@pytest.mark.usefixtures("argon2")
def test_an_accounts_password_of_before_goes_on_to_count_and_is_hashed_anew() -> None:
    old = make_password(NFD, hasher="pbkdf2_sha256")
    user = User.objects.create(username="old", password=old)
    with pytest.raises(Unauthenticated):
        log_in("old", NFC)
    assert log_in("old", NFD)
    assert log_in("old", NFC)
    user.refresh_from_db()
    assert user.password.startswith("argon2$")


def test_a_long_password_of_before_goes_on_to_count() -> None:
    User.objects.create(username="old", password=make_password("x" * 10_000))
    assert log_in("old", "x" * 10_000)


@pytest.mark.parametrize("password", ["correct\thorse battery", "\u0301" * 40, "correct horse" * 400])
def test_what_is_no_password_is_no_new_password_of_an_account(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password)


# User names


def test_a_user_name_is_known_in_every_spelling() -> None:
    User.objects.create_user("jos\u00e9", password="right password")
    for spelling in ("jos\u00e9", "jose\u0301", "\uff4aos\u00e9", " jos\u00e9 "):
        assert log_in(spelling, "right password")
        assert authenticate(None, username=spelling, password="right password")
    with pytest.raises(Unauthenticated):
        log_in("Jos\u00e9", "right password")  # case counts, as in Django


def test_a_user_name_that_is_stored_in_no_normal_form_is_known_as_it_is() -> None:
    user = User.objects.create(username="jose\u0301", password=make_password("right password"))
    assert log_in("jose\u0301", "right password") == user
    other = User.objects.create_user("jos\u00e9", password="right password")
    assert log_in("jose\u0301", "right password") == other


def test_no_account_is_renamed_to_anothers_name_in_capitals(admin_client: Client) -> None:
    User.objects.create_user("rosa")
    user = User.objects.create_user("bia")
    answer = admin_client.post(f"/admin/auth/user/{user.pk}/change/", {"username": "Rosa"})
    assert "username" in answer.context["adminform"].form.errors
