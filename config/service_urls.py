"""The URLs of the database and of Redis. No message quotes a URL: it may hold a password."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

POSTGRES = ("postgres", "postgresql")
REDIS = ("redis", "rediss", "unix")
DJANGO_NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
PORTS = re.compile(r"\d{1,5}(,\d{1,5})*")
LIKE_THIS = "it is written postgres://user:password@host:5432/name"
ENCODE = "in a password, write / as %2F, ? as %3F and # as %23"


def database(url: str) -> dict[str, Any]:
    """A member of ``DATABASES``. Raises ValueError."""
    scheme, separator, _ = url.partition("://")
    if separator and scheme.lower() in POSTGRES:
        return postgres(url)
    if separator and scheme.lower() == "sqlite":
        return sqlite(url)
    raise ValueError("the URL begins with postgres:// or sqlite:///")


def postgres(url: str) -> dict[str, Any]:
    """Read by libpq, so that whatever it understands is understood, and nothing else."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    scheme, _, rest = url.partition("://")
    try:
        found = conninfo_to_dict(f"{scheme.lower()}://{_with_plain_authority(rest)}")
    except (ProgrammingError, UnicodeError) as error:
        raise ValueError(f"{_said_by_libpq(error)}; {LIKE_THIS}; {ENCODE}") from None
    settings = {django: found.pop(name, "") for name, django in DJANGO_NAMES.items()}
    if settings["PORT"] and not PORTS.fullmatch(str(settings["PORT"])):
        raise ValueError(f"the port is not a number; {ENCODE}")
    if "@" in str(settings["NAME"]) and "%40" not in rest:
        raise ValueError(f"there is an @ after the host; {ENCODE}, and in the name of a database @ as %40")
    if not settings["NAME"] and "service" not in found:
        raise ValueError(f"the URL names no database; {LIKE_THIS}")
    return {"ENGINE": "django.db.backends.postgresql", **settings, "OPTIONS": found}


def _said_by_libpq(error: Exception) -> str:
    """What may be told of it: an unknown parameter's name, and of the rest, which may be a password, nothing."""
    unknown = re.search(r'invalid URI query parameter: "([\w.-]+)"', str(error))
    return f"libpq knows no parameter {unknown[1]}" if unknown else "libpq cannot read the URL: something is wrong"


def _with_plain_authority(rest: str) -> str:
    """``user:password@host/…`` with each character of user and password encoded that has another meaning there.

    Up to the last @ before the first slash or question mark there can be nothing but user and password.
    """
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    credentials, at, _ = authority.rpartition("@")
    plain = quote(STRAY_PERCENT.sub("%25", credentials), safe="%:!$&'()*+,;=~")
    return plain + at + rest.removeprefix(credentials + at)


def sqlite(url: str) -> dict[str, Any]:
    path = unquote(url.partition("://")[2].removeprefix("/"))
    if not re.match(r"sqlite:///[^?]+$", url, re.IGNORECASE) or path == ":memory:":
        raise ValueError(
            "for SQLite write sqlite:/// and the path of a file, without options, such as sqlite:////srv/salas.db; "
            "a database in memory would be another one for each thread"
        )
    _require_place(Path(path))
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": {}}


def _require_place(path: Path) -> None:
    """Raises ValueError where SQLite could not make or open the file."""
    if path.is_dir():
        raise ValueError(f"{path} is a directory: name a file in it")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"the directory {path.absolute().parent} does not exist: make it, or name another")


def redis(url: str) -> str:
    """The URL as redis-py reads it. Raises ValueError."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in REDIS:
        raise ValueError("the URL begins with redis://, with rediss:// for TLS or with unix:// for a socket's path")
    plain = f"{scheme.lower()}://{_with_plain_authority(rest)}"
    _require(lambda: urlsplit(plain).port is None or True, f"the port is not a number; {ENCODE}")
    if scheme.lower() != "unix" and not re.fullmatch(r"/?\d*", urlsplit(plain).path):
        raise ValueError(f"after the host stands the number of a database, such as redis://host:6379/0; {ENCODE}")
    if urlsplit(plain).fragment:
        raise ValueError(f"there is a # in it; {ENCODE}")
    _require(
        lambda: _connection_to(plain), "redis-py knows no such option, or not with this value, after the ? of the URL"
    )
    return plain


def _connection_to(url: str) -> object:
    """Not yet connected: made to see that each option is one."""
    from redis import ConnectionPool

    return ConnectionPool.from_url(url).make_connection()


def _require(attempt: Callable[[], object], message: str) -> None:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001  # redis-py raises what it comes upon
        raise ValueError(f"{message} ({type(error).__name__})") from None
