"""What may be said: the same is refused by the services and by the database, and no script is shut out."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DataError, IntegrityError, connection, transaction

from rooms import services
from rooms.exceptions import BadUserInput
from rooms.identity import NOBODY
from rooms.inputs import search_words
from rooms.models import Guest, Member, Message
from tests.people import make_guest, make_room, send
from tests.services.salas import default_database

SCRIPTS = {
    "Vietnamese": "Tiếng Việt: Ngủ ngon nhé, chữ ễ ậ ọ",
    "Thai": "ที่นี่ น้ำ ผู้ใหญ่ กตัญญู",
    "Hebrew with points and accents": "בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים אֵ֥ת הַשָּׁמַ֖יִם יְרוּשָׁלִַ֔ם",
    "Arabic with vowels": "بِسْمِ ٱللَّهِ ٱلرَّحْمَـٰنِ ٱلرَّحِيمِ وَلَا ٱلضَّآلِّينَ",
    "Devanagari": "क्षत्रिय, हिन्दी, संस्कृतम्, र्त्स्न्य",
    "Tibetan, stacked nine high": "ཧྐྵྨླྺྼྻྂ བསྒྲུབས ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ",
    "Burmese": "ကျွှိုံး မြန်မာ",
    "Khmer": "ស្ត្រី ភាសាខ្មែរ",
    "phonetic": "ɛ̃́ː t͡ʃ ũ̯̀",  # noqa: RUF001
    "emoji": "👩🏽‍❤️‍💋‍👨🏿 🏴󠁧󠁢󠁳󠁣󠁴󠁿 👨‍👩‍👧‍👦 1️⃣ ❤️",
    "both ways": "שלום Ana \u2067مرحبا\u2069!",  # noqa: RUF001
}
REFUSED = {
    "blank": " \n\t ",
    "invisible": "\u200b\u2800\u3164\u00ad\U0001d159",
    "marks alone": "\u0301\ufe0f",
    "too long": "x" * 4001,
    "too much white space": "x" + "\n" * 8000,
    "NUL": "a\0b",
    "escape": "a\x1b[31mb",
    "vertical tab": "a\x0bb",
    "delete": "a\x7f",
    "C1 control": "a\x85b",
    "half a pair": "a\ud83d",
    "piled above": "Z" + "\u030d" * 5,
    "piled all around": "Z" + "\u030d\u0316\u0334\u0327" * 3,
    "piled over joiners": "Z" + "\u0334\u200d" * 9,
}
REFUSED_BY_THE_DATABASE = [
    name for name in REFUSED if name not in {"invisible", "marks alone", "half a pair"} and "piled" not in name
]


@pytest.mark.django_db
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_every_script_is_stored(text: str) -> None:
    room = make_room()
    stored = Message.objects.get(pk=send(make_guest(room), room, text).message.pk)
    assert stored.text == unicodedata.normalize("NFC", text)


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["x" * 4000, " \n" * 1000 + "x" * 4000 + "\u3000" * 2000, "  as\ttyped\n", "<b>&amp;"])
def test_white_space_is_kept_and_not_counted(text: str) -> None:
    room = make_room()
    assert Message.objects.get(pk=send(make_guest(room), room, text).message.pk).text == text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("typed", "stored"), [("a\r\nb\rc\n", "a\nb\nc\n"), ("cafe\u0301", "café"), ("\u212b", "\u00c5"), ("각", "각")]
)
def test_text_is_nfc_with_unix_new_lines(typed: str, stored: str) -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room, typed, key="k").message
    assert Message.objects.get(pk=message.pk).text == stored
    assert send(ana, room, typed, key="k").message.pk == message.pk
    assert services.edit_message(viewer=ana, message_id=message.pk, text=typed).message.text == stored


@pytest.mark.django_db
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_text_is_refused(text: str) -> None:
    room = make_room()
    with pytest.raises(BadUserInput) as refusal:
        send(make_guest(room), room, text)
    assert refusal.value.field == "text"


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in REFUSED if "white space" not in name])
def test_what_is_no_text_is_no_name(name: str) -> None:
    with pytest.raises(BadUserInput) as refusal:
        services.join_room(viewer=NOBODY, slug=make_room().slug, display_name=REFUSED[name])
    assert refusal.value.field == "displayName"


@pytest.mark.django_db
def test_a_name_is_nfc() -> None:
    joined = services.join_room(viewer=NOBODY, slug=make_room().slug, display_name=" Jose\u0301 ")
    assert Member.objects.get(pk=joined.member.pk).display_name == "José"


def test_words_are_looked_for_without_case_and_accents() -> None:
    assert search_words("Cafe\u0301  X \uff21\u00e7\u00e3o") == ["cafe", "x", "acao"]


def refused(change: Callable[[], object]) -> None:
    with pytest.raises((IntegrityError, DataError, ValueError)), transaction.atomic():
        change()


@pytest.mark.django_db
@pytest.mark.parametrize("name", REFUSED_BY_THE_DATABASE)
def test_the_database_refuses_it_too(name: str) -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    refused(lambda: Message.objects.filter(pk=message.pk).update(text=REFUSED[name]))
    if "white space" not in name:
        refused(lambda: Guest.objects.update(display_name=REFUSED[name]))
        refused(lambda: Member.objects.update(display_name=REFUSED[name]))


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a\nb", "a\tb"])
def test_the_database_wants_a_name_on_one_line(name: str) -> None:
    make_guest(make_room())
    refused(lambda: Guest.objects.update(display_name=name))
    refused(lambda: Member.objects.update(display_name=name))


@pytest.mark.django_db
def test_postgresql_refuses_what_is_not_nfc() -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    change = Message.objects.filter(pk=message.pk).update
    if connection.vendor == "postgresql":
        refused(lambda: change(text="cafe\u0301"))
    else:
        assert change(text="cafe\u0301")  # SQLite cannot tell


@pytest.mark.django_db
def test_what_is_there_already_is_mended_by_the_upgrade(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    with default_database(f"sqlite:///{file}"):
        call_command("migrate", "rooms", "0002", verbosity=0)
    with closing(sqlite3.connect(file)) as old, old:
        old.execute("INSERT INTO rooms_guest VALUES (1, ?, '2026-01-01', NULL)", ("Jose\u0301\tx",))
    with default_database(f"sqlite:///{file}"):
        call_command("migrate", "rooms", verbosity=0)
        assert Guest.objects.get().display_name == "José x"
