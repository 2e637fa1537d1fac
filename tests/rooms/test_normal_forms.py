"""What work a text makes: its length is checked before it is normalised, which may take the square of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from rooms import accounts, inputs, passwords, selectors, texts, validation
from rooms.exceptions import BadUserInput
from rooms.identity import NOBODY
from rooms.paging import Span

SIZE = 256 * 1024
NASTY = {
    "marks": "\u0301",
    "marks in disorder": "\u0301\u0316",
    "marks that decompose": "\u0344",
    "letters with many marks": "a" + "\u0301\u0316" * 40,
    "letters in pieces": "e\u0302\u0301",
    "Hangul in pieces": "\u1112\u1161\u11ab",
    "long compatibility forms": "\ufdfa",
    "joiners": "\u200d",
    "joiners between emoji": "\U0001f468\u200d",
    "white space": " ",
    "new lines": "\r\n",
    "carriage returns": "\r",
    "zero width": "\u200b",
    "tags": "\U000e0061",
    "flags": "\U0001f3f4\U000e0061",
    "NUL": "\0",
    "halves of pairs": "\ud800",
    "capitals": "LOBBY",
    "spaces of another kind": "\u2003",
}
READERS: dict[str, Callable[[str], object]] = {
    "message_text": inputs.message_text,
    "display_name": inputs.display_name,
    "idempotency_key": inputs.idempotency_key,
    "search_words": inputs.search_words,
    "slug": texts.slug,
    "mended_name": lambda text: texts.mended_name(text, 40),
    "mended_description": lambda text: texts.mended_description(text, 1000),
    "room_name": validation.room_name,
    "description": validation.description,
    "part_of_name": lambda text: validation.part_of_name(text, 150),
    "password": validation.password,
    "password_spellings": passwords.spellings,
    "username_spellings": accounts.username_spellings,
    "room_by_slug": lambda text: selectors.room_by_slug(viewer=NOBODY, slug=text),
    "rooms_slice": lambda text: selectors.rooms_slice(viewer=NOBODY, span=Span(1), search=text),
}
MOST_TO_NORMALISE = texts.LONGEST_SPELLING * 8_000  # a message with white space, the longest text that there is
CHARACTERS = st.one_of(
    st.characters(),
    st.sampled_from("\u200d\u200c\u0301\u0334\u2800\u3164 a\u094d\u0915\u0627\u200b\u200e\u2126e\u212b"),
    st.sampled_from("\U0001f600\U0001f3f4\U000e0067"),
)
FORMS: dict[str, Callable[[str], str]] = {
    "message": lambda text: texts.message(text, 40, 80),
    "description": lambda text: texts.description(text, 40),
    "name": lambda text: texts.name(text, 40),
    "opaque": lambda text: texts.opaque(text, 40),
    "password": lambda text: texts.password(text, 40),
    "mended_name": lambda text: texts.mended_name(text, 40),
    "mended_description": lambda text: texts.mended_description(text, 40),
    "folded": texts.folded,
}


class Normaliser:
    """``unicodedata.normalize``, which keeps a count of what it was given."""

    def __init__(self) -> None:
        self.characters = self.longest_run = 0
        self._normalise = unicodedata.normalize

    def __call__(self, form: str, text: str) -> str:
        self.characters += len(text)
        self.longest_run = max(self.longest_run, *map(len, runs_of_marks(text)), 0)
        return self._normalise(form, text)  # type: ignore[arg-type]


def runs_of_marks(text: str) -> list[str]:
    marks = "".join("m" if unicodedata.combining(each) else " " for each in text)
    return ["", *marks.split()]


def sized(shape: str, size: int = SIZE) -> str:
    return (shape * (size // len(shape.encode("utf-8", "surrogatepass")) + 1))[:size]


@pytest.fixture
def normaliser(monkeypatch: pytest.MonkeyPatch) -> Normaliser:
    counting = Normaliser()
    monkeypatch.setattr(unicodedata, "normalize", counting)
    return counting


@pytest.mark.django_db
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", NASTY)
def test_a_text_of_any_size_is_normalised_in_little_work(reader: str, shape: str, normaliser: Normaliser) -> None:
    with suppress(BadUserInput, ValidationError):
        READERS[reader](sized(NASTY[shape]))
    assert normaliser.characters <= 2 * MOST_TO_NORMALISE
    assert normaliser.longest_run <= texts.MARKS_TO_NORMALISE


@pytest.mark.django_db
@pytest.mark.parametrize("reader", READERS)
def test_a_text_that_is_within_its_length_has_no_long_run_normalised(reader: str, normaliser: Normaliser) -> None:
    for length in (40, 80, 150, 200, 1000, 4000):
        with suppress(BadUserInput, ValidationError):
            READERS[reader]("a" + "\u0301\u0316" * (length // 2 - 1))
    assert normaliser.longest_run <= texts.MARKS_TO_NORMALISE


@pytest.mark.django_db
def test_the_admins_login_normalises_no_long_user_name(client: Client, normaliser: Normaliser) -> None:
    client.post("/admin/login/", {"username": sized("\u0301", 60_000), "password": sized("\u0316", 60_000)})
    assert normaliser.longest_run <= texts.MARKS_TO_NORMALISE


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(CHARACTERS, max_size=60))
def test_a_normal_form_is_its_own_normal_form(form: str, text: str) -> None:
    with suppress(texts.Unfit):
        normal = FORMS[form](text)
        assert FORMS[form](normal) == normal


@given(text=st.text(CHARACTERS, max_size=60))
def test_equivalent_texts_have_one_name(text: str) -> None:
    with suppress(texts.Unfit):
        assert texts.name(unicodedata.normalize("NFD", texts.name(text, 40)), 40) == texts.name(text, 40)


@given(text=st.text(CHARACTERS, max_size=120))
def test_whatever_there_was_is_mended_to_a_name(text: str) -> None:
    assert texts.name(texts.mended_name(text, 40), 40) == texts.mended_name(text, 40)


def test_as_many_marks_as_a_script_has_are_normalised_in_any_spelling() -> None:
    assert texts.normal("e\u0302\u0301" * 40, 40) == "\u1ebf" * 40  # the longest spellings
    assert texts.normal("\u1fb7" * 40, 40) == texts.normal(unicodedata.normalize("NFD", "\u1fb7" * 40), 40)
