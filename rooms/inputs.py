"""What people type, checked before it is stored or searched for. A field is named as the schema spells it."""

from __future__ import annotations

import re
import unicodedata

from .exceptions import BadUserInput
from .models import (
    DISPLAY_NAME_MAX_LENGTH,
    IDEMPOTENCY_KEY_MAX_LENGTH,
    TEXT_MAX_LENGTH,
    TEXT_MAX_LENGTH_WITH_WHITE_SPACE,
)

SEARCH_MAX_LENGTH = 200
MARKS_IN_A_ROW = 8
"""On one letter. Tibetan stacks nine letters, eight of them marks to Unicode; pointed and accented Hebrew has five."""
MARKS_IN_ONE_PLACE = 4
"""Of those, in one place: above, say (a canonical combining class). Vietnamese has two, phonetic script three."""

_SLUG = re.compile("[-a-zA-Z0-9_]{1,80}")
_SHOWS_NOTHING = "\u115f\u1160\u2800\u3164\uffa0\U0001d159"  # Hangul fillers, the empty Braille pattern and notehead
_CONTROL_BUT_NEW_LINE_AND_TAB = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")
_UNFIT_FOR_A_NAME = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # controls, new lines, overrides
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def message_text(text: str) -> str:
    """Return ``text`` in NFC and with LF for CRLF and CR, else as it was typed. Raises BadUserInput."""
    text = _nfc("text", text.replace("\r\n", "\n").replace("\r", "\n"))
    _require_length("text", text.strip(), TEXT_MAX_LENGTH)
    _require_length("text", text, TEXT_MAX_LENGTH_WITH_WHITE_SPACE)
    _require_few_marks("text", text)
    if not _is_visible(text):
        raise BadUserInput("text", "A message has some text.")
    if _CONTROL_BUT_NEW_LINE_AND_TAB.search(text):
        raise BadUserInput("text", "Of control characters, only new line and tab are text.")
    return text


def display_name(name: str) -> str:
    """Return ``name`` in NFC and without white space around it. Raises BadUserInput."""
    name = _nfc("displayName", name.strip())
    _require_length("displayName", name, DISPLAY_NAME_MAX_LENGTH)
    _require_few_marks("displayName", name)
    if not _is_visible(name):
        raise BadUserInput("displayName", "Tell the name to be shown.")
    if _UNFIT_FOR_A_NAME.search(name):
        raise BadUserInput("displayName", "A name is one line, and does not turn what follows around.")
    return name


def idempotency_key(key: str | None) -> str | None:
    """Raises BadUserInput."""
    if key is None:
        return None
    if key == "":
        raise BadUserInput("idempotencyKey", "A key is not empty; leave it out to send without one.")
    _require_length("idempotencyKey", key, IDEMPOTENCY_KEY_MAX_LENGTH)
    return _storable("idempotencyKey", key)


def search_words(search: str) -> list[str]:
    """Return the words to look for. Raises BadUserInput."""
    _require_length("search", search, SEARCH_MAX_LENGTH)
    return _nfc("search", search).split()


def is_slug(text: str) -> bool:
    """Whether a room may have this slug: ask for no other, which the database may not even be able to take."""
    return _SLUG.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Whether this is text at all: neither NUL, which PostgreSQL cannot store, nor half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def _nfc(field: str, text: str) -> str:
    """Return ``text`` in normalisation form C (Unicode Standard Annex 15)."""
    return unicodedata.normalize("NFC", _storable(field, text))


def _require_few_marks(field: str, text: str) -> None:
    if not text.isascii() and _has_piled_marks(text):
        raise BadUserInput(field, "Too many marks on one letter.")


def _has_piled_marks(text: str) -> bool:
    marks: list[int] = []
    for each in text:
        category = unicodedata.category(each)
        if category[0] == "M":
            marks.append(unicodedata.combining(each))
            if len(marks) > MARKS_IN_A_ROW or (marks[-1] and marks.count(marks[-1]) > MARKS_IN_ONE_PLACE):
                return True
        elif category != "Cf":  # joiners and the like do not begin another letter
            marks.clear()
    return False


def _is_visible(text: str) -> bool:
    """Whether any of it can be seen: more than controls, formats, separators, marks alone and empty letters."""
    return any(unicodedata.category(each)[0] not in "CZM" and each not in _SHOWS_NOTHING for each in text)


def _require_length(field: str, text: str, max_length: int) -> None:
    if len(text) > max_length:
        raise BadUserInput(field, f"At most {max_length:,} characters, not {len(text):,}.")


def _storable(field: str, text: str) -> str:
    if not is_storable(text):
        raise BadUserInput(field, "NUL and halves of surrogate pairs are not text.")
    return text
