from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Barrier

import pytest
from django.conf import settings
from django.test.utils import override_settings

from rooms import threads

REST_SECONDS = 30.0


@pytest.fixture(autouse=True, scope="session")
def quick_passwords() -> Iterator[None]:
    """Hashing slowly is a virtue of Django's that its own tests show."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True)
def database_at_rest(request: pytest.FixtureRequest, _django_db_marker: None) -> Iterator[None]:
    """What a test has begun in the database ends before that is emptied for the next one: a thread reads to its end
    though nobody waits for it any more."""
    yield
    if request.node.get_closest_marker("django_db"):
        for pool in threads.POOLS:
            all_of_them = Barrier(pool.size)
            for waiting in [pool.executor.submit(all_of_them.wait, REST_SECONDS) for _ in range(pool.size)]:
                waiting.result()


@pytest.fixture(autouse=True, scope="session")
def quick_people() -> Iterator[None]:
    """What people do in minutes and from everywhere tests do at once from here; those of a limit put it back."""
    rates = ("sends_per_second", "joins_per_second", "address_joins_per_second", "writes_per_second")
    none = dict.fromkeys((*rates, "logins_per_account", "logins_per_address"), 0)
    with override_settings(LIMITS=replace(settings.LIMITS, **none)):
        yield
