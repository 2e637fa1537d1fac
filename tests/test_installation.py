"""What an installation calls its own in a Redis that it shares."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.installation import redis_prefix

ONE = {"secret_key": "k" * 50, "database_name": "salas"}


def test_all_processes_of_an_installation_derive_the_same_prefix() -> None:
    assert redis_prefix("", **ONE) == redis_prefix("", **ONE)
    assert re.fullmatch(r"salas-[0-9a-f]{12}", redis_prefix("", **ONE))


@pytest.mark.parametrize("other", [{"secret_key": "l" * 50}, {"database_name": "salas_staging"}])
def test_another_secret_or_another_database_is_another_installation(other: dict[str, str]) -> None:
    assert redis_prefix("", **(ONE | other)) != redis_prefix("", **ONE)


@pytest.mark.parametrize("given", ["chat", "chat.example:1", "A-z_0"])
def test_a_prefix_of_the_operator_s_own_is_taken(given: str) -> None:
    assert redis_prefix(given, **ONE) == given


@pytest.mark.parametrize("given", ["chat*", "chat?", "[chat]", "chat room", "é", "x" * 65, "chat\n"])
def test_a_prefix_that_an_acl_would_read_as_a_pattern_is_refused(given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="REDIS_PREFIX"):
        redis_prefix(given, **ONE)
