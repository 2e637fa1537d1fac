"""What people type, checked before it is stored or searched for. A field is named as the schema spells it."""

from __future__ import annotations

import re
import unicodedata

from .exceptions import BadUserInput
from .models import DISPLAY_NAME_MAX_LENGTH, IDEMPOTENCY_KEY_MAX_LENGTH, TEXT_MAX_LENGTH

SEARCH_MAX_LENGTH = 200

_SLUG = re.compile("[-a-zA-Z0-9_]{1,80}")
_INVISIBLE_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # Hangul fillers, the empty Braille pattern
_UNFIT_FOR_A_NAME = re.compile(
    "[\u0001-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]"
)  # controls, new lines, overrides
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def message_text(text: str) -> str:
    """Return ``text`` as it was typed. Raises BadUserInput for blank and overlong text."""
    if not _is_visible(text):
        raise BadUserInput("text", "A message has some text.")
    return _storable("text", text, TEXT_MAX_LENGTH)


def display_name(name: str) -> str:
    """Return ``name`` without white space around it. Raises BadUserInput."""
    if not _is_visible(name := name.strip()):
        raise BadUserInput("displayName", "Tell the name to be shown.")
    if _UNFIT_FOR_A_NAME.search(name):
        raise BadUserInput("displayName", "A name is one line, and does not turn what follows around.")
    return _storable("displayName", name, DISPLAY_NAME_MAX_LENGTH)


def idempotency_key(key: str | None) -> str | None:
    """Raises BadUserInput."""
    if key == "":
        raise BadUserInput("idempotencyKey", "A key is not empty; leave it out to send without one.")
    return None if key is None else _storable("idempotencyKey", key, IDEMPOTENCY_KEY_MAX_LENGTH)


def search_words(search: str) -> list[str]:
    """Return the words to look for. Raises BadUserInput."""
    return _storable("search", search, SEARCH_MAX_LENGTH).split()


def is_slug(text: str) -> bool:
    """Whether a room may have this slug: ask for no other, which the database may not even be able to take."""
    return _SLUG.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Whether this is text at all: neither NUL, which PostgreSQL cannot store, nor half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def _is_visible(text: str) -> bool:
    """Whether any of it can be seen: neither control, format, separator nor one of the letters that show nothing."""
    return any(unicodedata.category(each)[0] not in "CZ" and each not in _INVISIBLE_LETTERS for each in text)


def _storable(field: str, text: str, max_length: int) -> str:
    if len(text) > max_length:
        raise BadUserInput(field, f"At most {max_length:,} characters, not {len(text):,}.")
    if not is_storable(text):
        raise BadUserInput(field, "NUL and halves of surrogate pairs are not text.")
    return text
