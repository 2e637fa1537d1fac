"""Gives every test run its PostgreSQL and Redis, before Django reads its settings.

The default run is Salas scaled out: with the PostgreSQL and Redis that ``DATABASE_URL`` and ``REDIS_URL`` name, or else
our own. ``--database=sqlite`` is Salas embedded: a SQLite file and the layer in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from tests.services.guard import new_directory
from tests.services.postgres import DatabaseServer, Postgres
from tests.services.redis import Redis
from tests.services.service import Service, ServiceError

Kind = TypeVar("Kind", bound=Service)

database_server_key = pytest.StashKey[DatabaseServer]()
redis_url_key = pytest.StashKey[str]()
own_key = pytest.StashKey[list[Service]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("postgres", "sqlite"),
        default="postgres",
        help="run scaled out (postgres, with Redis) or embedded (sqlite, with the layer in memory)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Run before pytest-django's hook of this name, which imports the settings."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # node may live in there
    early_config.stash[own_key] = []
    options = early_config.known_args_namespace
    if options.database == "sqlite":
        use_sqlite(early_config)
    elif not (options.help or options.version):
        use_postgres_and_redis(early_config)
    yield


def pytest_unconfigure(config: pytest.Config) -> None:
    for service in config.stash.get(own_key, []):
        service.close()


def pytest_report_header(config: pytest.Config) -> str:
    own = ", ".join(service.name for service in config.stash[own_key])
    return f"database: {config.option.database} (started for this run: {own or 'nothing'})"


@pytest.fixture(scope="session")
def database_server(pytestconfig: pytest.Config) -> DatabaseServer:
    """The PostgreSQL of this run."""
    return pytestconfig.stash[database_server_key]


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config) -> str:
    """The Redis of this run."""
    return pytestconfig.stash[redis_url_key]


def use_sqlite(config: pytest.Config) -> None:
    os.environ |= {"DATABASE_URL": f"sqlite:///{new_directory('sqlite')}/db.sqlite3", "REDIS_URL": ""}


def use_postgres_and_redis(config: pytest.Config) -> None:
    """Start both at once; leave neither when one fails."""
    try:
        with ThreadPoolExecutor() as pool:
            database = pool.submit(find_or_start_postgres, config)
            redis = pool.submit(find_or_start_redis, config)
            config.stash[database_server_key], config.stash[redis_url_key] = database.result(), redis.result()
    except ServiceError as error:
        pytest_unconfigure(config)
        pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
    os.environ["DATABASE_URL"] = config.stash[database_server_key].url("salas")
    os.environ["REDIS_URL"] = config.stash[redis_url_key]


def find_or_start_postgres(config: pytest.Config) -> DatabaseServer:
    """A ``DATABASE_URL`` of another engine is no database for a run that is scaled out."""
    if (url := os.environ.get("DATABASE_URL", "")).startswith(("postgres:", "postgresql:")):
        return DatabaseServer(url)
    return started(config, Postgres())


def find_or_start_redis(config: pytest.Config) -> str:
    return os.environ.get("REDIS_URL", "") or started(config, Redis()).url


def started(config: pytest.Config, service: Kind) -> Kind:
    config.stash[own_key].append(service)
    return service.start()
