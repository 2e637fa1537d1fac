"""Salas itself as a child process, embedded or scaled out, at a port of its own that it keeps over restarts."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, ParamSpec, TypeVar
from unittest.mock import patch
from urllib.parse import urlsplit

from config.installation import derived_prefix
from tests.services.service import STOP_SECONDS, Service

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

ROOT = Path(__file__).resolve().parents[2]
LIFTED = (  # one guest at 127.0.0.1 does here what hundreds do elsewhere
    "ADDRESS_JOINS_PER_SECOND",
    "JOINS_PER_SECOND",
    "SENDS_PER_SECOND",
    "SOCKETS",
    "SOCKETS_PER_ADDRESS",
    "SOCKETS_PER_VIEWER",
    "WRITES_PER_SECOND",
)
P = ParamSpec("P")
T = TypeVar("T")


class Salas(Service):
    """``environment`` is added to that of the test run; ``unblocked`` lifts pytest-django's ban on databases.

    ``serve`` are options of ``manage.py serve``, which then serves; without, it is plain Daphne.
    """

    name = "server"
    listening: ClassVar[re.Pattern[str]] = re.compile(r"Listening on TCP address 127\.0\.0\.1:(\d+)")

    def __init__(
        self,
        database_url: str,
        redis_url: str = "",
        environment: Mapping[str, str] | None = None,
        unblocked: Callable[[], AbstractContextManager[None]] = nullcontext,
        serve: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.database_url = database_url
        self.redis_url = redis_url
        self.port = 0
        self._environment = dict(environment or {})
        self._log_before_start = 0
        self._unblocked = unblocked
        self._serve = serve

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def graphql_url(self) -> str:
        return f"{self.url}/graphql/"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql/"

    def command(self) -> list[str]:
        self._log_before_start = len(self.log)
        return self.program()

    def program(self) -> list[str]:
        if self._serve is not None:
            return [sys.executable, "manage.py", "serve", f"--port={self.port}", *self._serve]
        return [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "config.asgi:application"]

    def is_ready(self) -> bool:
        if found := self.listening.search(self.log, self._log_before_start):
            self.port = int(found[1])
        return found is not None

    def ended(self) -> int:
        """Wait until it has ended, as it was told to; return the exit status."""
        self._reap(STOP_SECONDS)
        return self._running().returncode

    def environment(self) -> dict[str, str]:
        return server_environment(self.database_url, self.redis_url) | self._environment

    def working_directory(self) -> Path:
        return ROOT

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in this process, with the server's database as Django's default one."""
        with self._unblocked(), default_database(self.database_url), the_server_s_hashers(), self._layer():
            return function(*args, **kwargs)

    @contextmanager
    def _layer(self) -> Iterator[None]:
        """Within, what this process announces is heard by the server's."""
        from channels import DEFAULT_CHANNEL_LAYER
        from channels.layers import channel_layers
        from channels_redis.pubsub import RedisPubSubChannelLayer

        if not self.redis_url:
            yield
            return
        layer = RedisPubSubChannelLayer(hosts=[self.redis_url], prefix=self._redis_prefix)
        before = channel_layers.set(DEFAULT_CHANNEL_LAYER, layer)
        try:
            yield
        finally:
            channel_layers.set(DEFAULT_CHANNEL_LAYER, before or channel_layers.make_backend(DEFAULT_CHANNEL_LAYER))

    @property
    def _redis_prefix(self) -> str:
        environment, name = self.environment(), urlsplit(self.database_url).path.removeprefix("/")
        return environment.get("REDIS_PREFIX") or derived_prefix(environment["SECRET_KEY"], name)

    async def acall(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the same from an asynchronous test."""
        return await asyncio.to_thread(partial(self.call, function, *args, **kwargs))


def server_environment(database_url: str, redis_url: str) -> dict[str, str]:
    """An empty ``REDIS_URL`` says "in memory" and, unlike none, stands above a developer's ``.env``."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "the-same-in-all-processes-of-a-test-run",
        "LOG_LEVEL": "INFO",  # Daphne names its port at this level
        **{f"SALAS_LIMIT_{name}": "0" for name in LIFTED},
    }


def migrate(database_url: str) -> None:
    """Do it in this process, which has loaded Django, and in a thread, as a loop may be running in this one.

    A new process would take four times as long.
    """
    with ThreadPoolExecutor() as pool:
        pool.submit(migrate_here, database_url).result()


def migrate_here(database_url: str) -> None:
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command

    with default_database(database_url):
        call_command("migrate", verbosity=0, interactive=False)
    ContentType.objects.clear_cache()  # it holds the ids of the database that was just left


@contextmanager
def the_server_s_hashers() -> Iterator[None]:
    """Within, a password is hashed so that the server can check it: tests otherwise hash quickly."""
    from django.conf import global_settings
    from django.test.utils import override_settings

    with override_settings(PASSWORD_HASHERS=global_settings.PASSWORD_HASHERS):
        yield


@contextmanager
def default_database(url: str) -> Iterator[None]:
    """Within, Django's default connection of this thread leads to ``url``, without a pool."""
    from django.db import connections

    before, connections["default"] = connections["default"], connection_to(url)
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = before


def connection_to(url: str) -> BaseDatabaseWrapper:
    from django.db.utils import ConnectionHandler

    from config.settings import database

    with patch.dict(os.environ, {"DATABASE_URL": url}):
        settings = database()
    settings["OPTIONS"].pop("pool", None)
    return ConnectionHandler({"default": settings})["default"]
