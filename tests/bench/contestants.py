"""Who is measured. Each has a database of its own in the one PostgreSQL, and a server that is started for each figure.

A server and its Redis run on the servers' core. PostgreSQL is as it comes, so a commit waits for the disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tests.services.postgres import OPTIONS, Postgres
from tests.services.redis import Redis
from tests.services.salas import ROOT, Salas, server_environment

from .cores import on_server_core, prefer, with_descendants

SEED_SECONDS = 120
PREFIX = "SALAS_LIMIT_"
NOT_DURABLE = ("fsync", "full_page_writes")
LIFTED = {
    f"SALAS_LIMIT_{name}": "0"
    for name in (
        "ADDRESS_JOINS_PER_SECOND",
        "JOINS_PER_SECOND",
        "SEND_BURST",
        "SENDS_PER_SECOND",
        "SOCKET_FRAMES_PER_SECOND",
        "SOCKETS_PER_ADDRESS",
        "SOCKETS_PER_VIEWER",
        "WRITES_PER_SECOND",
    )
}


class DurablePostgres(Postgres):
    """With PostgreSQL's own defaults: what it has confirmed survives a power cut."""

    options: ClassVar[Mapping[str, str]] = {name: value for name, value in OPTIONS.items() if name not in NOT_DURABLE}


@dataclass(frozen=True)
class SeededRoom:
    """Its members are known by ``tokens``, and by those of who is a member of every room that was made with it.

    ``start`` is the cursor before its first message, ``middle`` that of the one in the midst of those it began with.
    """

    id: str
    tokens: list[str]
    everywhere: list[str] = field(default_factory=list)
    slug: str = ""
    start: str = ""
    middle: str = ""


@dataclass(frozen=True)
class Server:
    """One that runs. ``beside`` are processes that share its core and work for it: its Redis."""

    address: str
    pid: int
    beside: list[int] = field(default_factory=list)
    path: str = "/graphql/"
    headers: dict[str, str] = field(default_factory=lambda: {"Sec-WebSocket-Protocol": "graphql-transport-ws"})
    is_raw: bool = False
    follow_path: str = "/"
    speak_path: str = "/"

    @property
    def graphql_url(self) -> str:
        return f"http://{self.address}{self.path}"

    def follow_url(self, room: str) -> str:
        return f"ws://{self.address}{self.follow_path}{room}" if self.is_raw else f"ws://{self.address}{self.path}"

    def speak_url(self, room: str) -> str:
        return f"ws://{self.address}{self.speak_path}{room}" if self.is_raw else f"ws://{self.address}{self.path}"

    @property
    def own_pids(self) -> list[int]:
        return with_descendants(self.pid)

    @property
    def pids(self) -> list[int]:
        return [*self.own_pids, *self.beside]


def preferred(server: Server) -> Server:
    for pid in server.pids:
        prefer(pid)
    return server


class Contestant(ABC):
    """``kind``: ``salas``, a ``peer``, one that stores nothing (``memory``), or a ``raw`` broadcast."""

    name: str
    kind: str = "peer"

    @abstractmethod
    def rooms(self, number: int, *, members: int, messages: int = 0, everywhere: int = 0) -> list[SeededRoom]:
        """New rooms, each with members of its own, and ``everywhere`` that are members of all of them.

        Only Salas has messages to begin with, and members of more than one room.
        """

    @abstractmethod
    def serving(self, workers: int = 1) -> AbstractContextManager[Server]: ...


def known_in(tree: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the code in ``tree`` knows: with other limits an older one refuses to start."""
    limits = (tree / "config" / "limits.py").read_text()
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(PREFIX) or f" {name.removeprefix(PREFIX).lower()}:" in limits
    }


class BenchedSalas(Salas):
    """``tree`` is where its code is. The log is at its default level."""

    stop_seconds = 60.0  # it may still be letting go of ten thousand sockets

    def __init__(self, tree: Path, database_url: str, redis_url: str, workers: int) -> None:
        environment = LIFTED | {"LOG_LEVEL": "WARNING", "PYTHONPATH": str(tree)}
        super().__init__(database_url, redis_url, environment, serve=[f"--workers={workers}"])
        self._tree = tree

    def environment(self) -> dict[str, str]:
        return known_in(self._tree, super().environment())

    def working_directory(self) -> Path:
        return self._tree


class SalasContestant(Contestant):
    """Scaled out, by ``manage.py serve``; only limits on rates and numbers are lifted, by their variables."""

    kind = "salas"

    def __init__(self, postgres: Postgres, name: str = "Salas", tree: Path = ROOT) -> None:
        self.name = name
        self._tree = tree
        self._database_url = postgres.create_database(f"bench_{''.join(filter(str.isalnum, name.lower()))}")
        self._run(["manage.py", "migrate", "--verbosity=0"])

    def rooms(self, number: int, *, members: int, messages: int = 0, everywhere: int = 0) -> list[SeededRoom]:
        wanted = {"rooms": number, "members": members, "messages": messages, "everywhere": everywhere}
        made = self._run([str(Path(__file__).with_name("seed.py")), json.dumps(wanted)])
        return [SeededRoom(**room) for room in json.loads(made)]

    @contextmanager
    def serving(self, workers: int = 1) -> Iterator[Server]:
        with ExitStack() as stack:
            with on_server_core():
                redis = stack.enter_context(closing(Redis().start()))
                salas = BenchedSalas(self._tree, self._database_url, redis.url, workers)
                server = stack.enter_context(closing(salas.start()))
            yield preferred(Server(f"127.0.0.1:{server.port}", server.pid, [redis.pid]))

    def _run(self, arguments: list[str]) -> str:
        environment = known_in(self._tree, server_environment(self._database_url, "") | {"LOG_LEVEL": "WARNING"})
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self._tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=SEED_SECONDS,
            check=True,
        )
        return done.stdout
