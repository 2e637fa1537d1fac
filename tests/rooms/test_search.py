"""``rooms(search:)``: the same rooms whatever the database, the case, the accents and the spelling."""

from __future__ import annotations

import pytest

from rooms import services
from rooms.identity import NOBODY, OPERATOR
from rooms.models import RoomAccess, SearchText
from rooms.paging import Span
from rooms.selectors import rooms_slice
from tests.people import make_room

pytestmark = pytest.mark.django_db


def found(search: str) -> list[str]:
    return [room.name for room in rooms_slice(viewer=NOBODY, span=Span(10), search=search).items]


@pytest.mark.parametrize("search", ["ação", "AÇÃO", "acao", "Acao", "ac\u0327a\u0303o", "\uff21\uff23\uff21\uff2f"])
def test_case_and_accents_do_not_count(search: str) -> None:
    make_room(name="Filmes de Ação")
    make_room(name="Outra")
    assert found(search) == ["Filmes de Ação"]


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("ПРИВЕТ", "привет"),
        ("Ελλάς", "ΕΛΛΑΣ"),
        ("Straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("ﬁlmes", "filmes"),
        ("カフェ", "ｶﾌｪ"),
        ("نامه\u200cها", "نامهها"),  # noqa: RUF001
    ],
)
def test_every_script_is_searched_alike(name: str, search: str) -> None:
    make_room(name=name)
    assert found(search) == [name]


def test_what_makes_another_letter_counts() -> None:
    make_room(name="かき")
    assert found("がき") == []


@pytest.mark.parametrize("search", ["100%", "a_b", "\\"])
def test_wild_cards_are_letters(search: str) -> None:
    make_room(name="100% a_b \\")
    make_room(name="1000 axb /")
    assert found(search) == ["100% a_b \\"]


def test_each_word_is_in_the_name_or_the_description() -> None:
    room = make_room(name="Poesia")
    services.update_room(
        actor=OPERATOR, room_id=room.pk, slug=room.slug, name="Poesia", description="Às terças", access=RoomAccess.OPEN
    )
    assert found("tercas poes") == ["Poesia"]
    assert found("tercas prosa") == []
    assert found("poesia\nas") == ["Poesia"]


def test_a_room_of_a_process_of_before_is_found_as_before() -> None:
    make_room(name="Poesia")
    SearchText.objects.all().delete()
    assert found("poesia") == ["Poesia"]


def test_a_search_for_nothing_that_shows_finds_all() -> None:
    make_room(name="Poesia")
    assert found("\u0301 \u200b") == ["Poesia"]
