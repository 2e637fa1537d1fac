"""What people type, checked before it is stored or searched for. A field is named as the schema spells it.

What each kind of text is, ``texts`` says: here are their lengths, and the refusals that clients see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import texts
from .exceptions import BadUserInput
from .models import (
    DISPLAY_NAME_MAX_LENGTH,
    IDEMPOTENCY_KEY_MAX_LENGTH,
    TEXT_MAX_LENGTH,
    TEXT_MAX_LENGTH_WITH_WHITE_SPACE,
)

SEARCH_MAX_LENGTH = 200


def message_text(text: str) -> str:
    """Return ``text`` in NFC and with LF for CRLF and CR, else as it was typed. Raises BadUserInput."""
    with _refused_as("text"):
        return texts.message(text, TEXT_MAX_LENGTH, TEXT_MAX_LENGTH_WITH_WHITE_SPACE)


def display_name(name: str) -> str:
    """Return ``name`` in its normal form (``texts.name``). Raises BadUserInput."""
    with _refused_as("displayName"):
        return texts.name(name, DISPLAY_NAME_MAX_LENGTH)


def idempotency_key(key: str | None) -> str | None:
    """Return ``key`` as keys are compared (``texts.opaque``). Raises BadUserInput."""
    if key is None:
        return None
    if key == "":
        raise BadUserInput("idempotencyKey", "A key is not empty; leave it out to send without one.")
    with _refused_as("idempotencyKey"):
        return texts.opaque(key, IDEMPOTENCY_KEY_MAX_LENGTH)


def search_words(search: str) -> list[str]:
    """Return the words to look for, as the search has them (``texts.folded``). Raises BadUserInput."""
    with _refused_as("search"):
        return texts.folded(texts.opaque(search, SEARCH_MAX_LENGTH)).split()


@contextmanager
def _refused_as(field: str) -> Iterator[None]:
    try:
        yield
    except texts.Unfit as refusal:
        raise BadUserInput(field, str(refusal)) from refusal
