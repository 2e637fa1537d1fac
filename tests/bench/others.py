"""Those that Salas is compared with: the stock recipe, servers on Node, and broadcasts that know nothing of GraphQL.

Each is what its documentation shows; peers/ has them. They store messages in tables of their own, of the same shape,
and know their members by a bearer token in the database.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from string import Template
from typing import LiteralString

from tests.services.postgres import Postgres
from tests.services.redis import Redis, free_port
from tests.services.service import Service

from .contestants import Contestant, SeededRoom, Server, preferred
from .cores import on_server_core

PEERS = Path(__file__).with_name("peers")
NODE_PEERS = ("graphql-ws", "graphql-yoga", "mercurius")
NCHAN_PROGRAM = Path(os.environ.get("NCHAN_NGINX", "/usr/sbin/nginx"))
NCHAN_MODULE = Path(os.environ.get("NCHAN_MODULE", "/usr/lib/nginx/modules/ngx_nchan_module.so"))

ROOM: LiteralString = "INSERT INTO room DEFAULT VALUES RETURNING id"
MEMBERS: LiteralString = "COPY member (room_id, display_name, token) FROM STDIN"

_room_number = count(1)


class Program(Service):
    """Some server that listens at ``PORT``."""

    name = "peer"

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        super().__init__()
        self.port = free_port()
        self.arguments = [part.replace("{port}", str(self.port)) for part in command]
        self._environment = dict(environment)
        self._working_directory = directory

    def command(self) -> list[str]:
        return self.arguments

    def environment(self) -> dict[str, str]:
        return os.environ | self._environment | {"PORT": str(self.port)}

    def working_directory(self) -> Path:
        return self._working_directory

    def is_ready(self) -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class Peer(Contestant):
    """One that speaks GraphQL and stores in PostgreSQL. ``needs_redis`` for its channel layer."""

    def __init__(
        self,
        postgres: Postgres,
        name: str,
        command: Sequence[str],
        *,
        directory: Path = PEERS,
        needs_redis: bool = False,
        is_stored: bool = True,
    ) -> None:
        self.name = name
        self.kind = "peer" if is_stored else "memory"
        self._command = command
        self._directory = directory
        self._needs_redis = needs_redis
        self._environment = {} if is_stored else {"STORE": "nothing"}
        self._postgres = postgres
        self._database = "bench_" + "".join(filter(str.isalnum, name.lower()))
        self._environment["DATABASE_URL"] = postgres.create_database(self._database)
        with postgres.connection(self._database) as connection:
            connection.execute((PEERS / "schema.sql").read_bytes())

    def rooms(self, number: int, *, members: int, messages: int = 0, everywhere: int = 0) -> list[SeededRoom]:
        assert not messages
        assert not everywhere
        made = []
        with self._postgres.connection(self._database) as connection:
            for _ in range(number):
                row = connection.execute(ROOM).fetchone()
                assert row is not None
                tokens = [secrets.token_urlsafe(32) for _ in range(members)]
                with connection.cursor() as cursor, cursor.copy(MEMBERS) as copy:
                    for which, token in enumerate(tokens):
                        copy.write_row((row[0], f"Follower {which}", token))
                made.append(SeededRoom(str(row[0]), tokens))
            connection.execute("ANALYZE room, member")  # as for Salas, not what is empty
        return made

    @contextmanager
    def serving(self, workers: int = 1) -> Iterator[Server]:
        assert workers == 1
        environment, beside = dict(self._environment), []
        with ExitStack() as stack:
            with on_server_core():
                if self._needs_redis:
                    redis = stack.enter_context(closing(Redis().start()))
                    environment["REDIS_URL"] = redis.url
                    beside = [redis.pid]
                program = Program(self._command, environment, self._directory).start()
            stack.enter_context(closing(program))
            yield preferred(Server(program.address, program.pid, beside))


class Broadcast(Contestant):
    """One that hands frames on as they are. ``follow`` and ``speak`` are where paths begin."""

    kind = "raw"

    def __init__(self, name: str, command: Sequence[str], *, follow: str = "/", speak: str = "/") -> None:
        self.name = name
        self._command = command
        self._follow = follow
        self._speak = speak

    def rooms(self, number: int, *, members: int, messages: int = 0, everywhere: int = 0) -> list[SeededRoom]:
        assert not messages
        assert not everywhere
        return [SeededRoom(f"room-{next(_room_number)}", [""] * members) for _ in range(number)]

    def program(self) -> Program:
        return Program(self._command, {}, PEERS)

    @contextmanager
    def serving(self, workers: int = 1) -> Iterator[Server]:
        assert workers == 1
        with on_server_core():
            started = self.program().start()
        with closing(started):
            server = Server(started.address, started.pid, headers={}, is_raw=True)
            yield preferred(replace(server, follow_path=self._follow, speak_path=self._speak))


class Nchan(Broadcast):
    """nginx with Debian's nchan, where they are: in C."""

    def __init__(self) -> None:
        super().__init__("nchan (C), raw", [], follow="/sub/", speak="/pub/")

    def program(self) -> Program:
        program = Program([], {}, PEERS)
        configuration = program.directory / "nginx.conf"
        wanted = {"module": NCHAN_MODULE, "directory": program.directory, "port": program.port}
        configuration.write_text(Template((PEERS / "nchan.conf").read_text()).substitute(wanted))
        options = ["-e", "stderr", "-p", str(program.directory), "-c", str(configuration)]
        program.arguments = [str(NCHAN_PROGRAM), *options]
        return program


def others(postgres: Postgres) -> list[Contestant]:
    """All of them, the stock recipe first."""
    daphne = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "asgi:application"]
    uvicorn = [sys.executable, "-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "asgi:application"]
    return [
        Peer(postgres, "stock recipe, Daphne", daphne, directory=PEERS / "stock", needs_redis=True),
        Peer(postgres, "stock recipe, uvicorn", uvicorn, directory=PEERS / "stock", needs_redis=True),
        *(Peer(postgres, name, ["node", f"{name}.mjs"]) for name in NODE_PEERS),
        *(Peer(postgres, f"{name}, storing nothing", ["node", f"{name}.mjs"], is_stored=False) for name in NODE_PEERS),
        Broadcast("ws (Node), raw", ["node", "ws.mjs"]),
        Broadcast("picows (Python), raw", [sys.executable, "raw_picows.py"]),
        *([Nchan()] if NCHAN_PROGRAM.exists() and NCHAN_MODULE.exists() else []),
    ]
