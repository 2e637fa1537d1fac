"""Names of any kind have one rule, whichever way they come in."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, transaction
from django.test import Client

from rooms import provider, services, texts
from rooms.exceptions import BadUserInput
from rooms.identity import NOBODY, OPERATOR, Viewer
from rooms.models import Guest, Member, MemberRole, Room, RoomAccess
from tests.people import make_guest, make_member, make_room, make_user, member_of
from tests.rooms.admin_pages import add_room, change_room, form_at, page, submit

UNFIT = {
    "blank": " \u3000 ",
    "zero width": "\u200b\u200d\u2060",
    "fillers": "\u3164\u115f\u2800",
    "marks alone": "\u0301\ufe0f",
    "override": "Ana\u202egnp.exe",
    "isolate": "Ana\u2067",
    "new line": "Ana\nBia",
    "line separator": "Ana\u2028Bia",
    "control": "Ana\x1b[31m",
    "NUL": "Ana\0",
    "thirty marks": "Z" + "\u030d" * 30,
    "thirty marks in places": "Z" + "\u0301\u0316\u0334" * 10,
}
FIT = {
    "Portuguese": "São João",
    "Persian with a non-joiner": "نامه\u200cای",  # noqa: RUF001
    "Bengali with a joiner": "র\u200d\u09cdযাব",
    "Hindi with a joiner": "क्\u200dष",
    "family": "👨\u200d👩\u200d👧",
    "heart": "👩\u200d❤\ufe0f\u200d👨",
    "flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "shaking head": "🙂\u200d↔\ufe0f",
    "an emoji of tomorrow": "\U0001faea",
    "Hebrew with points": "בְּרֵאשִׁ֖ית",
    "Tibetan": "ཧྐྵྨླྺྼྻྂ",
}
MAPPED = {
    "Jose\u0301": "José",
    "  Ana \u00a0 Lima ": "Ana Lima",
    "An\u200ba\u00ad": "Ana",
    "Ana\u200f": "Ana",
    "e\u200b\u0301": "é",
    "Ana\u200d": "Ana",
    "\ufeffAna\u3164": "Ana",
    "A\U000e0041na": "Ana",
}


def joined(name: str) -> str:
    return services.join_room(viewer=NOBODY, slug=make_room().slug, display_name=name).member.display_name


def added(name: str) -> str:
    user = make_user().user
    assert user is not None
    room = make_room()
    return services.add_member(actor=OPERATOR, room_id=room.pk, user_id=user.pk, display_name=name).display_name


def renamed(name: str) -> str:
    room = make_room()
    member = member_of(make_member(room), room)
    return services.update_member(
        actor=OPERATOR, member_id=member.pk, display_name=name, role=MemberRole.MEMBER
    ).display_name


def made_room(name: str) -> str:
    return make_room(name=name).name


def changed_room(name: str) -> str:
    room = make_room()
    open_to_all = RoomAccess.OPEN
    return services.update_room(
        actor=OPERATOR, room_id=room.pk, slug=room.slug, name=name, description="", access=open_to_all
    ).name


WAYS: dict[str, Callable[[str], str]] = {
    "joining": joined,
    "adding a member": added,
    "renaming a member": renamed,
    "making a room": made_room,
    "changing a room": changed_room,
}


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_no_name_is_refused_with_a_reason(way: str, kind: str) -> None:
    with pytest.raises((BadUserInput, ValidationError)) as refusal:
        WAYS[way](UNFIT[kind])
    assert str(refusal.value)


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
def test_every_script_has_names(way: str) -> None:
    for name in FIT.values():
        assert WAYS[way](name) == name


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
def test_a_name_is_stored_in_one_form(way: str) -> None:
    for typed, stored in MAPPED.items():
        assert WAYS[way](typed) == stored


def refused(change: Callable[[], object]) -> None:
    with pytest.raises((IntegrityError, DataError, ValueError)), transaction.atomic():
        change()


@pytest.mark.django_db
@pytest.mark.parametrize("kind", UNFIT)
def test_the_database_refuses_what_is_no_name(kind: str) -> None:
    make_guest(make_room())
    for change in (
        lambda: Guest.objects.update(display_name=UNFIT[kind]),
        lambda: Member.objects.update(display_name=UNFIT[kind]),
        lambda: Room.objects.update(name=UNFIT[kind]),
    ):
        refused(change)


@pytest.mark.django_db
@pytest.mark.parametrize("typed", [typed for typed in MAPPED if "\u0301" not in typed and "\U000e0041" not in typed])
def test_the_database_refuses_what_is_not_in_the_one_form(typed: str) -> None:
    room = make_room()
    if texts.name(typed, 40) != typed and not typed.endswith("\u200d"):  # joiners are more than a pattern can tell
        refused(lambda: Room.objects.filter(pk=room.pk).update(name=typed))


@pytest.mark.django_db
def test_a_name_that_every_way_takes_is_one_for_the_database() -> None:
    room = make_room()
    for name in [*FIT.values(), *MAPPED.values()]:
        Room.objects.filter(pk=room.pk).update(name=name)
        Room.objects.get(pk=room.pk).full_clean()


@pytest.mark.django_db
def test_postgresql_wants_names_in_nfc() -> None:
    room = make_room()
    change = Room.objects.filter(pk=room.pk).update
    if connection.vendor == "postgresql":
        refused(lambda: change(name="Jose\u0301"))
    else:
        assert change(name="Jose\u0301")  # SQLite cannot tell


# The admin


@pytest.mark.django_db
@pytest.mark.parametrize("kind", UNFIT)
def test_the_admin_tells_what_is_wrong_with_a_name(admin_client: Client, kind: str) -> None:
    assert list(add_room(admin_client, name=UNFIT[kind])) == ["name"]
    room = make_room()
    assert list(change_room(admin_client, room, name=UNFIT[kind])) == ["name"]
    member = member_of(make_member(room), room)
    assert list(submit(admin_client, page("member_change", member.pk), display_name=UNFIT[kind])) == ["display_name"]


@pytest.mark.django_db
def test_the_admin_stores_names_in_one_form(admin_client: Client) -> None:
    add_room(admin_client, name=" Cafe\u0301  b\u200bar", slug="Cafe-Bar", description="a\u0301\r\nb")
    room = Room.objects.get()
    assert (room.name, room.slug, room.description) == ("Café bar", "cafe-bar", "á\nb")


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["\u202eevil", "a\x1bb", "Z" + "\u030d" * 30])
def test_a_description_has_a_rule_too(admin_client: Client, text: str) -> None:
    assert list(add_room(admin_client, description=text)) == ["description"]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [kind for kind in UNFIT if kind != "blank"])
def test_the_names_of_an_account_have_the_same_rule(admin_client: Client, kind: str) -> None:
    user = User.objects.create_user("rosa")
    url = f"/admin/auth/user/{user.pk}/change/"
    lists = dict.fromkeys(("groups", "user_permissions"), "")
    fields = {name: value for name, value in form_at(admin_client, url).items() if name not in lists}
    answer = admin_client.post(url, fields | {"first_name": UNFIT[kind]})
    assert list(answer.context["adminform"].form.errors) == ["first_name"]
    assert admin_client.post(url, fields | {"first_name": " Rosa\u0301 "}).status_code == 302
    assert User.objects.get(pk=user.pk).first_name == "Ros\u00e1"


# Accounts


@pytest.mark.django_db
def test_an_account_is_shown_by_a_name_whatever_wrote_it() -> None:
    user = User(username="rosa", first_name="\u202eRo\x1bsa", last_name="\u200b")
    assert Viewer(user=user).display_name == "Ro sa"
    assert Viewer(user=User(username="rosa", first_name="\u200b")).display_name == "rosa"
    assert Viewer(user=User(username="\u200b")).display_name == texts.REPLACEMENT


@pytest.mark.parametrize("kind", UNFIT)
def test_a_token_of_the_provider_names_nobody_so(kind: str) -> None:
    assert provider._shown(UNFIT[kind]) == ""


def test_a_token_of_the_provider_gives_a_name_in_its_one_form() -> None:
    assert [provider._shown(typed) for typed in MAPPED] == list(MAPPED.values())


@pytest.mark.django_db
def test_the_first_room_is_made_by_the_same_rule() -> None:
    from rooms.management.commands import first_run

    with patch.object(first_run, "LOBBY", "\u200b"), pytest.raises(ValidationError):
        first_run.furnish()
