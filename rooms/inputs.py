"""What people type, checked before it is stored or searched for. A field is named as the schema spells it."""

from __future__ import annotations

import re

from .exceptions import BadUserInput
from .models import DISPLAY_NAME_MAX_LENGTH, IDEMPOTENCY_KEY_MAX_LENGTH, TEXT_MAX_LENGTH

SEARCH_MAX_LENGTH = 200

_SLUG = re.compile("[-a-zA-Z0-9_]{1,80}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def message_text(text: str) -> str:
    """Return ``text`` as it was typed. Raises BadUserInput for blank and overlong text."""
    if not text.strip():
        raise BadUserInput("text", "A message has some text.")
    return _storable("text", text, TEXT_MAX_LENGTH)


def display_name(name: str) -> str:
    """Return ``name`` without white space around it. Raises BadUserInput."""
    if not (name := name.strip()):
        raise BadUserInput("displayName", "Tell the name to be shown.")
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


def _storable(field: str, text: str, max_length: int) -> str:
    if len(text) > max_length:
        raise BadUserInput(field, f"At most {max_length:,} characters, not {len(text):,}.")
    if not is_storable(text):
        raise BadUserInput(field, "NUL and halves of surrogate pairs are not text.")
    return text
