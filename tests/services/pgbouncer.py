"""PgBouncer in transaction mode. ``python -m tests.services.pgbouncer`` provides its program, or says what mends it.

``PGBOUNCER_PROGRAM`` names one to use.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from typing import ClassVar
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from tests.services.packages import install_package
from tests.services.postgres import unprivileged_user
from tests.services.redis import free_port
from tests.services.service import Service, ServiceError

PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
MENDING = (
    "no PgBouncer for the tests: install one (Debian: `sudo apt-get install pgbouncer`, macOS: `brew install "
    "pgbouncer`), or name it in PGBOUNCER_PROGRAM=/path"
)
SESSIONS = 3


class PgBouncer(Service):
    """In front of the server at ``upstream``, a URL. ``settings`` are added to what Debian's package comes with.

    It gives clients ``SESSIONS`` sessions of PostgreSQL in turn.
    """

    name = "pgbouncer"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM  # "immediately": it has nothing to keep

    def __init__(self, upstream: str, **settings: str) -> None:
        super().__init__()
        self._program = find_program()
        self._user = unprivileged_user() if os.geteuid() == 0 else None  # it refuses to run as root
        self._upstream = upstream
        self._settings = settings
        self.port = free_port()
        (self.directory / "pgbouncer.ini").write_text(self._configuration())
        if self._user is not None:
            for path in (self.directory, self.directory / "pgbouncer.ini"):
                os.chown(path, self._user, self._user)

    def url(self, database: str, **options: str) -> str:
        query = f"?{urlencode(options, quote_via=quote)}" if options else ""
        return f"postgres://anyone@127.0.0.1:{self.port}/{database}{query}"

    def command(self) -> list[str]:
        return [self._program, str(self.directory / "pgbouncer.ini")]

    def is_ready(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def user(self) -> int | None:
        return self._user

    def _configuration(self) -> str:
        place = conninfo_to_dict(self._upstream)
        upstream = " ".join(f"{name}={place[name]}" for name in ("host", "port", "user", "password") if place.get(name))
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": str(SESSIONS),
            **self._settings,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        return f"[databases]\n* = {upstream}\n[pgbouncer]\n{lines}"


def find_program() -> str:
    program = os.environ.get("PGBOUNCER_PROGRAM") or shutil.which("pgbouncer", path=PLACES)
    if program is None:
        raise ServiceError(MENDING)
    return program


def main() -> int:
    try:
        find_program()
    except ServiceError:
        print("Installing PgBouncer …", flush=True)
        install_package("pgbouncer")
        try:
            find_program()
        except ServiceError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
