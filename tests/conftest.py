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
    """What people do in a minute a test does at once; tests of that limit put it back."""
    with override_settings(LIMITS=replace(settings.LIMITS, sends_per_second=0)):
        yield
