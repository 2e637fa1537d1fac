"""The servers that are measured: started for the run, on databases of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.salas import Salas, migrate


@contextmanager
def embedded() -> Iterator[Salas]:
    """One process on SQLite."""
    with ExitStack() as stack:
        directory = stack.enter_context(TemporaryDirectory(prefix="salas-bench-"))
        yield stack.enter_context(serving(f"sqlite:///{Path(directory) / 'db.sqlite3'}"))


@contextmanager
def scaled_out() -> Iterator[Salas]:
    """One process on PostgreSQL and Redis."""
    with ExitStack() as stack:
        postgres = stack.enter_context(closing(Postgres().start()))
        redis = stack.enter_context(closing(Redis().start()))
        yield stack.enter_context(serving(postgres.create_database("bench"), redis.url))


@contextmanager
def serving(database_url: str, redis_url: str = "") -> Iterator[Salas]:
    migrate(database_url)
    with closing(Salas(database_url, redis_url).start()) as server:
        yield server
