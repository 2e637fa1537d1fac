"""The options of ``manage.py serve``."""

from __future__ import annotations

import pytest
from django.core.management import CommandError
from pytest_django import Settings

from server.management.commands.serve import Command


def options(*arguments: str) -> dict[str, object]:
    parser = Command().create_parser("manage.py", "serve")
    return vars(parser.parse_args(arguments))


def test_the_settings_say_where_to_listen_and_the_options_come_first(settings: Settings) -> None:
    settings.LISTEN_HOST, settings.LISTEN_PORT = "192.0.2.1", 9000
    assert [options()[name] for name in ("host", "port")] == ["192.0.2.1", 9000]
    told = options("--host", "::1", "--port", "0")
    assert [told[name] for name in ("host", "port")] == ["::1", 0]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("--port", "65536"), "'65536' is not a port: a number from 0 to 65535"),
        (("--port", "http"), "'http' is not a port"),
        (("--workers", "0"), "'0' is not a whole number above 0"),
        (("--http-timeout", "0"), "'0' is not a whole number above 0"),
    ],
)
def test_an_option_that_cannot_be_is_refused(arguments: tuple[str, str], refusal: str) -> None:
    with pytest.raises(CommandError, match=refusal):
        options(*arguments)
