"""How a record is written."""

from __future__ import annotations

import json
import logging
import sys

import psycopg
import pytest
from django.core.exceptions import DisallowedHost
from django.db import DataError, IntegrityError

from config.logs import DiscreetFormatter, JsonFormatter


def record(error: BaseException | None = None, **extra: object) -> logging.LogRecord:
    info = None
    if error is not None:
        try:
            raise error
        except BaseException:  # noqa: BLE001
            info = sys.exc_info()
    made = logging.LogRecord("rooms", logging.ERROR, __file__, 1, "It %s", ("failed",), info)
    vars(made).update(extra)
    return made


def test_a_line_of_json_has_what_is_listed_and_nothing_else() -> None:
    line = json.loads(JsonFormatter().format(record(request_id="1a", seconds=0.5, request="secret", viewer="")))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "ERROR",
        "logger": "rooms",
        "message": "It failed",
        "request_id": "1a",
        "seconds": 0.5,
    }


def test_a_line_for_people_ends_with_the_request() -> None:
    assert DiscreetFormatter("%(message)s").format(record(request_id="1a")) == "It failed [1a]"
    assert DiscreetFormatter("%(message)s").format(record(request_id="")) == "It failed"


@pytest.mark.parametrize("kind", [IntegrityError, psycopg.errors.CheckViolation])
def test_a_database_s_error_is_told_without_the_row(kind: type[Exception]) -> None:
    written = DiscreetFormatter().format(record(kind("violates a check\nDETAIL: Failing row: (secret\nsecret)")))
    assert "violates a check" in written
    assert "secret" not in written


@pytest.mark.parametrize("kind", [DataError, psycopg.DataError])
def test_what_quotes_a_value_is_told_without_it(kind: type[Exception]) -> None:
    written = DiscreetFormatter().format(record(kind("invalid input syntax: secret")))
    assert "DataError: (what it says quotes the value)" in written
    assert "secret" not in written


def test_what_led_to_an_error_is_told_first() -> None:
    error = RuntimeError("second")
    error.__cause__ = ValueError("first")
    written = json.loads(JsonFormatter().format(record(error)))["exception"]
    assert written.index("ValueError: first") < written.index("RuntimeError: second")
    assert "test_logs.py" in written


@pytest.mark.parametrize("formatter", [DiscreetFormatter("%(message)s"), JsonFormatter()], ids=["plain", "json"])
def test_what_a_client_did_is_told_in_a_line(formatter: logging.Formatter) -> None:
    written = formatter.format(record(DisallowedHost("evil.example")))
    assert "It failed" in written
    assert "Traceback" not in written
    assert "\n" not in written
