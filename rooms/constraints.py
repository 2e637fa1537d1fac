"""What the database itself checks of a text, the same as ``inputs`` does before, as far as each engine can."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, CharField, CheckConstraint, F, Func, Q, Value
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.utils.translation import gettext_lazy as _

WHITE_SPACE = (
    "\t\n \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What ``str.strip`` takes off a text without control characters."""

CONTROLS_BUT_NEW_LINE_AND_TAB = r"[\u0001-\u0008\u000b-\u001f\u007f-\u009f]"
"""For PostgreSQL and for Python, which is what SQLite matches with. NUL stands apart: PostgreSQL knows none."""


_MARKS = r"\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f"
_OTHER_SPACES = r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_IGNORED = r"\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"
_NOT_IN_NAMES = (
    rf"[\u0001-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069{_OTHER_SPACES}{_IGNORED}]|^ | $|  |[{_MARKS}]{{9}}"
)
_SEEN_IN_NAMES = rf"[^ {_MARKS}\u200c\u200d\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]"
_SLUG = r"^[-a-z0-9_]+\Z"


class Trimmed(Func):
    """A text without ``WHITE_SPACE`` around it."""

    function = "BTRIM"
    output_field = CharField()

    def __init__(self, text: Any) -> None:
        super().__init__(text, Value(WHITE_SPACE))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="TRIM", **context)


class WithoutNul(Func):
    """Whether a text has no NUL, which ends it for SQLite's own functions. PostgreSQL stores none."""

    template = "(%(expressions)s IS NOT NULL)"
    output_field = BooleanField()
    arity = 1

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="INSTR(%(expressions)s, CHAR(0)) = 0", **context)


class Nfc(Func):
    """Whether a text is in Unicode's normalisation form C. SQLite cannot tell."""

    template = "(%(expressions)s IS NFC NORMALIZED)"
    output_field = BooleanField()
    arity = 1

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s IS NOT NULL)", **context)


def fit(field: str, name: str, *, controls: str, max_length: int) -> CheckConstraint:
    """1 to ``max_length`` code points between white space, NFC, none of ``controls``. NULL is fit."""
    length = Length(Trimmed(F(field)))
    return CheckConstraint(
        name=name,
        condition=Q(**{f"{field}__isnull": True})
        | (
            Q(GreaterThanOrEqual(length, 1))
            & Q(LessThanOrEqual(length, max_length))
            & Q(WithoutNul(F(field)))
            & Q(Nfc(F(field)))
            & ~Q(**{f"{field}__regex": controls})
        ),
    )


def named(field: str, name: str, *, max_length: int) -> CheckConstraint:
    """A name as ``texts.name`` has it, as far as a pattern can tell: NFC, one line, one space between words, something
    to see, few marks in a row."""
    length = Length(F(field))
    return CheckConstraint(
        name=name,
        condition=Q(GreaterThanOrEqual(length, 1))
        & Q(LessThanOrEqual(length, max_length))
        & Q(WithoutNul(F(field)))
        & Q(Nfc(F(field)))
        & ~Q(**{f"{field}__regex": _NOT_IN_NAMES})
        & Q(**{f"{field}__regex": _SEEN_IN_NAMES}),
        violation_error_message=_(
            "A name is one line with something to see, without control characters and overrides of direction."
        ),
    )


def slugged(field: str, name: str) -> CheckConstraint:
    """In lower case, so that no two differ by case alone."""
    return CheckConstraint(
        name=name,
        condition=Q(**{f"{field}__regex": _SLUG}),
        violation_error_message=_("A slug has small letters, digits, hyphens and underscores only."),
    )
