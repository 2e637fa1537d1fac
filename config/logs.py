"""How a log is written: lines for people, or with ``LOG_FORMAT=json`` an object on each line for programs.

Only what is listed here is written of a record, whatever else a library has put on it, and of the database's errors
only what cannot hold what somebody wrote.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from django.core.exceptions import SuspiciousOperation

from schema.tracing import FIELDS

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
DATABASE_MODULES = ("django.db", "psycopg", "sqlite3")


class DiscreetFormatter(logging.Formatter):
    """For people: a line, and below it the traceback if there is one.

    Of what a client did, such as naming another server, the line says all: anybody could fill the log with more.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler's formatter may have left its own
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        request_id = getattr(record, "request_id", "")
        return super().formatMessage(record) + (f" [{request_id}]" if request_id else "")

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802
        if isinstance(ei[1], SuspiciousOperation):
            return ""
        return "\n".join(_described(error) for error in reversed(list(_chain(ei[1]))))


class JsonFormatter(DiscreetFormatter):
    """For programs. ``time`` is ISO 8601 in UTC, ``seconds`` how long it took."""

    def format(self, record: logging.LogRecord) -> str:
        written: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        found = {name: getattr(record, name, "") for name in FIELDS}
        written |= {
            name: value for name, value in found.items() if isinstance(value, str | int | float) and value != ""
        }
        if record.exc_info and (told := self.formatException(record.exc_info)):
            written["exception"] = told
        return json.dumps(written, ensure_ascii=False)


FORMATTERS: dict[str, dict[str, Any]] = {
    "plain": {"()": DiscreetFormatter, "format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    "json": {"()": JsonFormatter},
}
FORMS = tuple(FORMATTERS)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def logging_settings(*, level: str, form: str) -> dict[str, Any]:
    """Return ``LOGGING``: everything to stderr. ``level`` is one of LEVELS, ``form`` one of FORMS."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": FORMATTERS[form]},
        "filters": {"request_id": {"()": "schema.tracing.RequestIdFilter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["request_id"]}},
        "root": {"handlers": ["stderr"], "level": level},
    }


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and what led to it, as Python's own tracebacks have it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}: {_said(error)}".rstrip(": ")


def _said(error: BaseException) -> str:
    """What may be written of an error. PostgreSQL shows rows and statements after the first line of its own."""
    if not type(error).__module__.startswith(DATABASE_MODULES):
        return str(error)
    if type(error).__name__ == "DataError":
        return "(what it says quotes the value)"
    return str(error).partition("\n")[0]
