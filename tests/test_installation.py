"""What an installation calls its own in a Redis that it shares."""

from __future__ import annotations

import re

import pytest

from config.installation import derived_prefix

SECRET = "k" * 50


def test_all_processes_of_an_installation_derive_the_same_prefix() -> None:
    assert derived_prefix(SECRET, "salas") == derived_prefix(SECRET, "salas")
    assert re.fullmatch(r"salas-[0-9a-f]{12}", derived_prefix(SECRET, "salas"))


@pytest.mark.parametrize(("secret", "database"), [("l" * 50, "salas"), (SECRET, "salas_staging")])
def test_another_secret_or_another_database_is_another_installation(secret: str, database: str) -> None:
    assert derived_prefix(secret, database) != derived_prefix(SECRET, "salas")
