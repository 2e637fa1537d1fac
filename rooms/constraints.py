"""What the database itself checks of a text, the same as ``inputs`` does before, as far as each engine can."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, CharField, CheckConstraint, F, Func, Q, Value
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

WHITE_SPACE = (
    "\t\n \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What ``str.strip`` takes off a text without control characters."""

CONTROLS_BUT_NEW_LINE_AND_TAB = r"[\u0001-\u0008\u000b-\u001f\u007f-\u009f]"
CONTROLS = r"[\u0001-\u001f\u007f-\u009f]"
"""For PostgreSQL and for Python, which is what SQLite matches with. NUL stands apart: PostgreSQL knows none."""


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
