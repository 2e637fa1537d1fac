"""Shows, at the end of a test run, what came of each fault."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_django import DjangoDbBlocker

from tests.chaos.scene import Outcome
from tests.chaos.table import notes, table, verdict
from tests.chaos.world import World, a_world
from tests.services.salas import Salas

SEED = int(os.environ.get("CHAOS_SEED", "1"))

outcomes_key = pytest.StashKey[list[Outcome]]()


@pytest_asyncio.fixture(scope="module")
async def world(django_db_blocker: DjangoDbBlocker) -> AsyncIterator[World]:
    async with a_world(django_db_blocker.unblock) as world:
        yield world


@pytest.fixture
def servers(world: World) -> list[Salas]:
    """For the report of a failure, which shows their logs."""
    return list(world.servers)


@pytest.fixture(scope="session")
def outcomes(pytestconfig: pytest.Config) -> list[Outcome]:
    return pytestconfig.stash.setdefault(outcomes_key, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if outcomes := config.stash.get(outcomes_key, []):
        terminalreporter.section(f"faults, seed {SEED}")
        terminalreporter.write_line(f"{table(outcomes)}\n\n{notes(outcomes)}\n\n{verdict(outcomes)}")
