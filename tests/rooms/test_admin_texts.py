"""The texts of rooms, in English and in Portuguese."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.test import Client
from django.utils.translation.template import templatize
from pytest_django import Settings

import rooms
from tests.people import make_guest, make_room
from tests.rooms.admin_pages import page

PACKAGE = Path(rooms.__file__).parent
CATALOG = PACKAGE / "locale" / "pt_BR" / "LC_MESSAGES" / "django.po"
GETTEXTS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
CALL_IN_TEMPLATE = re.compile(r"\b(?:gettext|_)\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)")


@pytest.fixture
def portuguese(settings: Settings, tmp_path: Path) -> None:
    """The catalog as it is now, whether or not it was compiled."""
    compiled = tmp_path / "pt_BR" / "LC_MESSAGES" / "django.mo"
    compiled.parent.mkdir(parents=True)
    polib.pofile(str(CATALOG)).save_as_mofile(str(compiled))
    settings.LOCALE_PATHS = [str(tmp_path)]


def texts_of_code() -> Iterator[str]:
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GETTEXTS:
                count = 2 if node.func.id.startswith("ngettext") else 1
                yield from (str(ast.literal_eval(argument)) for argument in node.args[:count])


def texts_of_templates() -> Iterator[str]:
    for file in PACKAGE.rglob("*.html"):
        for text in CALL_IN_TEMPLATE.findall(templatize(file.read_text())):
            yield str(ast.literal_eval(text))


def answer(client: Client, url: str, language: str) -> str:
    return client.get(url, headers={"accept-language": language}).content.decode()


def test_every_text_of_rooms_is_translated() -> None:
    catalog = polib.pofile(str(CATALOG))
    known = {text for entry in catalog for text in (entry.msgid, entry.msgid_plural) if entry.translated()}
    wanted = {*texts_of_code(), *texts_of_templates()}
    assert "more than %(count)s %(name)s" in wanted
    assert wanted <= known


def test_the_catalog_holds_nothing_that_is_fuzzy_or_no_longer_used() -> None:
    catalog = polib.pofile(str(CATALOG))
    assert not catalog.fuzzy_entries()
    assert not catalog.untranslated_entries()
    assert not catalog.obsolete_entries()
    assert {entry.msgid for entry in catalog} <= {*texts_of_code(), *texts_of_templates()}


def test_a_translation_keeps_the_places_to_fill_in() -> None:
    for entry in polib.pofile(str(CATALOG)):
        for translated in [entry.msgstr, *entry.msgstr_plural.values()]:
            if translated:
                assert sorted(re.findall(r"%\(\w+\)\w", translated)) == sorted(re.findall(r"%\(\w+\)\w", entry.msgid))


@pytest.mark.django_db
@pytest.mark.usefixtures("portuguese")
def test_the_admin_answers_in_portuguese(admin_client: Client) -> None:
    room = make_room()
    make_guest(room)
    urls = ["/admin/", page("room_change", room.pk), page("member_changelist")]
    index, form, members = (answer(admin_client, url, "pt-BR") for url in urls)
    assert ">Visitantes<" in index
    assert "Senha, mais uma vez" in form
    assert "está na sala" in members
    assert "1 membro" in members


@pytest.mark.django_db
@pytest.mark.usefixtures("portuguese")
def test_the_admin_answers_in_english_otherwise(admin_client: Client) -> None:
    for language in ("en", "de", ""):
        assert ">Guests<" in answer(admin_client, "/admin/", language)


@pytest.mark.django_db
def test_the_admin_is_called_salas(admin_client: Client) -> None:
    assert "| Salas</title>" in admin_client.get("/admin/").content.decode()
