"""What a balancer is told of a process: whether its loop turns, and whether it can do its work."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache.backends.base import BaseCache
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from config.asgi import http_application, router
from config.probes import Probed
from rooms import hub
from rooms.readiness import BOUND_SECONDS, FRESH_SECONDS, LATE, NO_DATABASE, UNMIGRATED, Readiness

from .schema.loops import SkippingLoop, run_skipping
from .schema.test_middleware import Answer, ask

pytestmark = pytest.mark.django_db(transaction=True)

BY_ADDRESS = {"host": "10.1.2.3:8000"}


@pytest.fixture
def strict(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["chat.example"]
    settings.SECURE_SSL_REDIRECT = True


@pytest.fixture
def application() -> Probed:
    return Probed(http_application)


async def probe(application: Probed, path: str, method: str = "GET", **scope: Any) -> Answer:
    async def scoped(asked: Any, receive: Any, send: Any) -> None:
        await application(asked | scope, receive, send)

    return await ask(method, path, body=[], headers=BY_ADDRESS, application=scoped)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/livez/", "http://10.1.2.3:8000/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_probe_by_address_is_answered_and_not_logged(
    path: str, method: str, application: Probed, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await probe(application, path, method)
    assert (answer.status, answer.body) == (200, b"ok\n" if method == "GET" else b"")
    assert answer.headers["cache-control"] == "no-store"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.usefixtures("strict")
async def test_other_addresses_go_on_to_want_a_name(application: Probed) -> None:
    assert (await probe(application, "/entrar/")).status in (301, 400)


async def test_it_is_what_is_served() -> None:
    assert isinstance(router.application_mapping["http"], Probed)


async def test_probes_are_asked_by_get_or_head(application: Probed) -> None:
    answer = await probe(application, "/livez", "POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/livez", "/chat/livez", "/readyz", "/chat/readyz"])
async def test_under_a_prefix_they_are_at_the_root_too(path: str) -> None:
    assert (await probe(Probed(http_application, "/chat"), path)).status == 200


async def test_a_process_that_ends_is_alive_and_not_ready(application: Probed) -> None:
    draining: Any = {"extensions": {"salas.drain": {"has_begun": True}}}
    assert (await probe(application, "/livez", **draining)).status == 200
    assert (await probe(application, "/readyz", **draining)).status == 503


async def test_without_its_migrations_it_is_not_ready(application: Probed, caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(MigrationRecorder, "applied_migrations", return_value={("rooms", "0001_initial"): None}):
        answer = await probe(application, "/readyz")
    assert (answer.status, answer.body.decode()) == (503, f"{UNMIGRATED}\n")
    assert (await probe(application, "/livez")).status == 200


async def test_without_the_database_it_is_not_ready_and_says_nothing_of_it(application: Probed) -> None:
    with patch.object(MigrationRecorder, "applied_migrations", side_effect=OperationalError("password is secret")):
        answer = await probe(application, "/readyz")
    assert (answer.status, answer.body.decode()) == (503, f"{NO_DATABASE}\n")


async def test_redis_is_not_asked(application: Probed) -> None:
    with (
        patch.object(BaseCache, "get", side_effect=ConnectionError("away")),
        patch.object(hub.Hub, "start", side_effect=ConnectionError("away")),
    ):
        assert (await probe(application, "/readyz")).status == 200


# How often, and how long


class Database:
    """It answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.fault: str | Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self) -> str | None:
        self.asked += 1
        await self.answers.wait()
        if isinstance(self.fault, Exception):
            raise self.fault
        return self.fault


def test_a_flood_of_probes_is_one_question_a_second() -> None:
    async def course(loop: SkippingLoop) -> None:
        database = Database()
        ready = Readiness(database)
        assert await asyncio.gather(*(ready.fault() for _ in range(1_000))) == [None] * 1_000
        assert await ready.fault() is None
        assert database.asked == 1
        loop.skip_waits()
        await asyncio.sleep(FRESH_SECONDS)
        database.fault = UNMIGRATED
        assert await ready.fault() == UNMIGRATED
        assert database.asked == 2

    run_skipping(course)


def test_a_database_that_hangs_is_awaited_for_a_second_and_asked_once() -> None:
    async def course(loop: SkippingLoop) -> None:
        database = Database()
        database.answers.clear()
        ready = Readiness(database)
        loop.skip_waits()
        began = loop.time()
        assert await asyncio.gather(*(ready.fault() for _ in range(10))) == [LATE] * 10
        assert BOUND_SECONDS <= loop.time() - began < 2 * BOUND_SECONDS
        now = loop.time()
        assert await ready.fault() == LATE
        assert loop.time() - now < BOUND_SECONDS / 2
        assert database.asked == 1
        database.answers.set()
        await asyncio.sleep(FRESH_SECONDS)
        assert await ready.fault() is None

    run_skipping(course)


def test_what_is_wrong_is_logged_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    async def course(loop: SkippingLoop) -> None:
        database = Database()
        database.fault = OperationalError("gone")
        ready = Readiness(database)
        loop.skip_waits()
        for _ in range(5):
            assert await ready.fault() == NO_DATABASE
            await asyncio.sleep(FRESH_SECONDS)

    run_skipping(course)
    assert [record.getMessage() for record in caplog.records] == [f"Not ready: {NO_DATABASE}"]
