"""The ids of nodes: opaque texts that name a type and a row. Each row has exactly one spelling."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache

from rooms.exceptions import BadUserInput

MAX_KEY = 2**63 - 1

_ID = re.compile(r"([A-Z][A-Za-z]*):([1-9][0-9]{0,18})")


def opaque(plain: str) -> str:
    """Return ``plain`` as URL-safe base64 (RFC 4648, section 5) without padding."""
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def plain_of(text: str) -> str | None:
    """Return what ``opaque`` made ``text`` from, or None for anything else, other spellings of the same included."""
    try:
        plain = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode()
    except (UnicodeError, binascii.Error, ValueError):
        return None
    return plain if opaque(plain) == text else None


@lru_cache(4096)  # a few rooms and people are named again and again
def encode_id(type_name: str, key: int) -> str:
    return opaque(f"{type_name}:{key}")


@lru_cache(4096)  # as above; what is no id is not kept, however long it is
def _named_by(text: str) -> tuple[str, int]:
    match = _ID.fullmatch(plain_of(text) or "")
    if match is None or int(match[2]) > MAX_KEY:
        raise ValueError
    return match[1], int(match[2])


def decode_any_id(text: str, *, field: str) -> tuple[str, int]:
    """Return type name and key. Raises BadUserInput, naming ``field``."""
    try:
        return _named_by(text)
    except ValueError:
        raise BadUserInput(field, "This is not an id of this schema.") from None


def decode_id(type_name: str, text: str, *, field: str) -> int:
    """Return the key of a node of that type. Raises BadUserInput, naming ``field``."""
    found, key = decode_any_id(text, field=field)
    if found != type_name:
        raise BadUserInput(field, f"This is the id of a {found}, not of a {type_name}.")
    return key
