"""Real Salas servers for end-to-end tests, each on a migrated database that is copied and not made anew.

Every test that asks for one of these is marked ``end_to_end``; what a server has logged is shown with a failure.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

import pytest
from pytest_django import DjangoDbBlocker

from tests.plugins.services import database_server_key, redis_url_key
from tests.services.postgres import DatabaseServer
from tests.services.salas import Salas, migrate

T = TypeVar("T")

END_TO_END_FIXTURES = {"make_servers", "embedded_server", "scaled_servers", "server", "browser", "new_page"}


class MakeServers(Protocol):
    """Start ``processes`` servers on one new database; more than one only where it is scaled out."""

    def __call__(
        self, *, scaled: bool = False, processes: int = 1, environment: Mapping[str, str] | None = None
    ) -> list[Salas]: ...


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if END_TO_END_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("end_to_end")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for server in servers_of(item):
            report.sections.append((f"log of {server.url}", server.log[-10_000:]))
    return report


def servers_of(item: pytest.Item) -> Iterator[Salas]:
    for value in getattr(item, "funcargs", {}).values():
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Salas))


class Databases:
    """Copies of one migrated database of each kind, which is made when first asked for."""

    def __init__(self, directory: Path, server: Callable[[], DatabaseServer], blocker: DjangoDbBlocker) -> None:
        self._directory = directory
        self._server = server
        self._unblocked = blocker.unblock
        self._number = count(1)
        self._prefix = f"salas_{uuid4().hex[:8]}"

    def new(self, stack: ExitStack, *, scaled: bool) -> str:
        """Return the URL of a new one, which ``stack`` removes."""
        return self._new_postgres(stack) if scaled else self._new_sqlite(stack)

    def _new_sqlite(self, stack: ExitStack) -> str:
        directory = self._directory / str(next(self._number))
        directory.mkdir()
        stack.callback(shutil.rmtree, directory)
        shutil.copy(self._migrated_file, directory)
        return f"sqlite:///{directory / self._migrated_file.name}"

    def _new_postgres(self, stack: ExitStack) -> str:
        name = f"{self._prefix}_{next(self._number)}"
        stack.callback(self._server().drop_database, name)
        return self._server().create_database(name, self._migrated_database)

    @cached_property
    def _migrated_file(self) -> Path:
        file = self._directory / "db.sqlite3"
        with self._unblocked():
            migrate(f"sqlite:///{file}")
        return file

    @cached_property
    def _migrated_database(self) -> str:
        url = self._server().create_database(self._prefix)
        with self._unblocked():
            migrate(url)
        return self._prefix

    def close(self) -> None:
        if "_migrated_database" in vars(self):
            self._server().drop_database(self._prefix)


@pytest.fixture(scope="session")
def databases(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Databases]:
    directory = tmp_path_factory.mktemp("databases")
    found = Databases(directory, lambda: pytestconfig.stash[database_server_key], django_db_blocker)
    yield found
    found.close()


@pytest.fixture(scope="session")
def shared_servers(
    pytestconfig: pytest.Config, databases: Databases, django_db_blocker: DjangoDbBlocker
) -> Iterator[MakeServers]:
    """What starts servers that live as long as the run."""
    with ExitStack() as stack:
        yield maker(stack, pytestconfig, databases, django_db_blocker)


@pytest.fixture
def make_servers(
    pytestconfig: pytest.Config, databases: Databases, django_db_blocker: DjangoDbBlocker
) -> Iterator[MakeServers]:
    """What starts servers for one test, which may kill them or give them an environment."""
    with ExitStack() as stack:
        yield maker(stack, pytestconfig, databases, django_db_blocker)


@pytest.fixture(scope="session")
def embedded_server(shared_servers: MakeServers) -> Salas:
    """One process, SQLite, the layer in memory. Shared by all tests: let each make rooms of its own."""
    return shared_servers()[0]


@pytest.fixture(scope="session")
def scaled_servers(shared_servers: MakeServers) -> list[Salas]:
    """Two processes on one PostgreSQL and one Redis. Shared by all tests: let each make rooms of its own."""
    return shared_servers(scaled=True, processes=2)


@pytest.fixture(scope="session", params=["embedded", "scaled"])
def server(request: pytest.FixtureRequest) -> Salas:
    """Each way to run in turn."""
    if request.param == "scaled":
        return request.getfixturevalue("scaled_servers")[0]  # type: ignore[no-any-return]
    return request.getfixturevalue("embedded_server")  # type: ignore[no-any-return]


def at_once(function: Callable[[Salas], T], servers: list[Salas]) -> list[T]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(function, servers))


def maker(stack: ExitStack, config: pytest.Config, databases: Databases, blocker: DjangoDbBlocker) -> MakeServers:
    def make(*, scaled: bool = False, processes: int = 1, environment: Mapping[str, str] | None = None) -> list[Salas]:
        database_url = databases.new(stack, scaled=scaled)
        redis_url = config.stash[redis_url_key] if scaled else ""
        servers = [Salas(database_url, redis_url, environment, blocker.unblock) for _ in range(processes)]
        stack.callback(at_once, Salas.close, servers)
        return at_once(Salas.start, servers)

    return make
