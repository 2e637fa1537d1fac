"""Passwords in one form (RFC 8265, *OpaqueString*), so that two ways of typing the same one are the same.

Whatever sets a password, a form, a command or a shell, has it hashed by ``Argon2PasswordHasher`` in that form. What was
hashed as it was typed, before there was one, goes on to count and is hashed anew when it is next used.

Concurrency: any thread.
Invariants: a wrong password costs as many hashes where there is nothing to compare it with.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import hashers
from django.utils.translation import gettext

from . import texts, validation


class Argon2PasswordHasher(hashers.Argon2PasswordHasher):
    def encode(self, password: str, salt: str) -> str:
        return super().encode(spellings(password)[0], salt)


class FitValidator:
    """Django's validator of new passwords: what has no normal form is refused with the reason."""

    def validate(self, password: str, user: object = None) -> None:
        """Raises ValidationError."""
        validation.password(password)

    def get_help_text(self) -> str:
        return gettext("Your password can’t contain control characters.")


def spellings(password: str) -> tuple[str, ...]:
    """The normal form of ``password`` and, if that is another text, itself. What has no normal form stays as it is."""
    try:
        normal = texts.opaque(password, validation.PASSWORD_MAX_LENGTH)
    except texts.Unfit:
        return (password,)
    return (normal,) if normal == password else (normal, password)


def is_right(password: str, encoded: str, renew: Callable[[str], None]) -> bool:
    """Whether ``encoded`` is the hash of ``password``; ``""`` is nobody's. ``renew`` stores what it is given, hashed
    anew, for an old hash or one of another spelling."""
    if not texts.is_storable(password):
        hashers.check_password("", "")
        return False
    normal, *others = spellings(password)
    if hashers.check_password(normal, encoded, renew):
        return True
    if any(hashers.check_password(each, encoded) for each in others):
        renew(normal)
        return True
    return False
