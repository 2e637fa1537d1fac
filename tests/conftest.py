from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.conf import settings
from django.test.utils import override_settings


@pytest.fixture(autouse=True, scope="session")
def quick_passwords() -> Iterator[None]:
    """Hashing slowly is a virtue of Django's that its own tests show."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def quick_people() -> Iterator[None]:
    """What people do in minutes and from everywhere tests do at once from here; those of a limit put it back."""
    none = dict.fromkeys(("sends_per_second", "logins_per_account", "logins_per_address"), 0)
    with override_settings(LIMITS=replace(settings.LIMITS, **none)):
        yield
