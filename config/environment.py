"""Environment variables: the one reader of every setting.

Each method reads one variable, named by its first argument, and returns a checked value. White space and one pair of
quotes around a value are not part of it, and an empty variable counts as unset: `docker run --env-file` passes quotes
on, and compose files pass empty variables. A wrong value is a fault, one line that names the variable and says what is
wrong and what is right; the default stands in until `require_no_faults` raises all faults at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from dotenv.parser import parse_stream

from . import service_urls, values
from .base_path import base_path

T = TypeVar("T")


class Environment:
    """``variables`` is read at every call, so that a later change of it counts."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.faults: list[str] = []

    @classmethod
    def with_file(cls, variables: MutableMapping[str, str], path: Path) -> Environment:
        """Add what the file ``path`` (``.env``) sets to ``variables``, where they do not have it; read both."""
        environment = cls(variables)
        try:
            settings = settings_in(path)
        except ValueError as error:
            environment.faults.append(f"{path.name}: {error}")
        else:
            variables.update({name: value for name, value in settings.items() if name not in variables})
        return environment

    def text(self, name: str, default: str = "") -> str:
        return self._read(name, values.text, default)

    def flag(self, name: str, *, default: bool) -> bool:
        return self._read(name, values.flag, default)

    def whole_number(self, name: str, default: int, *, least: int = 0, most: int = values.MOST) -> int:
        return self._read(name, partial(values.whole_number, least=least, most=most), default)

    def number(self, name: str, default: float, *, least: float = 0, most: float = values.MOST) -> float:
        return self._read(name, partial(values.number, least=least, most=most), default)

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """The choice that is named, in whatever case."""
        return self._read(name, partial(values.one_of, choices=choices), default)

    def secret_list(self, name: str) -> list[str]:
        return self._read(name, values.items, [])

    def hosts(self, name: str, default: list[str]) -> list[str]:
        """Host names as ``ALLOWED_HOSTS`` has them."""
        return self._read(name, partial(values.each, values.host), default)

    def listening_host(self, name: str, default: str) -> str:
        """An address or a name of this machine, to listen at."""
        return self._read(name, values.listening_host, default)

    def origins(self, name: str) -> list[str]:
        """Origins in their normal form (RFC 6454, section 6.2)."""
        return self._read(name, partial(values.each, values.origin), [])

    def networks(self, name: str) -> list[values.Network] | None:
        """IP networks; none where the variable says ``none``. None where it is unset."""
        return self._read(name, values.networks, None)

    def time_zone(self, name: str, default: str) -> str:
        return self._read(name, values.time_zone, default)

    def directory(self, name: str) -> str | None:
        """An absolute path at which there is a directory, or nothing yet."""
        return self._read(name, values.directory, None)

    def database(self, name: str, default: str) -> dict[str, Any]:
        """A member of Django's ``DATABASES``, from a ``postgres:`` or ``sqlite:`` URL."""
        return self._read(name, service_urls.database, service_urls.database(default))

    def redis(self, name: str) -> str:
        """A URL that redis-py takes; empty where the variable is unset."""
        return self._read(name, service_urls.redis, "")

    def redis_prefix(self, name: str) -> str:
        """The beginning of names in Redis, as it stands in a Redis ACL; empty where the variable is unset."""
        return self._read(name, values.redis_prefix, "")

    def base_path(self, name: str) -> str:
        """``/chat``, or empty for the root."""
        return self._read(name, base_path, "")

    def named(self, prefix: str) -> dict[str, str]:
        """The set variables whose names begin with ``prefix``, by the rest of their names."""
        names = [name for name in self.variables if name.startswith(prefix)]
        found = {name.removeprefix(prefix): self.text(name) for name in names}
        return {name: value for name, value in found.items() if value}

    def checked(self, check: Callable[[], T], default: T) -> T:
        """What ``check`` returns; where it raises ImproperlyConfigured, that is a fault."""
        try:
            return check()
        except ImproperlyConfigured as error:
            self.faults += str(error).splitlines()
            return default

    def require_no_faults(self) -> None:
        """Raise ImproperlyConfigured with a line for each fault."""
        if self.faults:
            raise ImproperlyConfigured("\n".join(self.faults))

    def _read(self, name: str, kind: Callable[[str], T], default: T) -> T:
        """``kind`` raises ValueError for a wrong value, and never quotes a secret."""
        try:
            value = values.bare(self.variables.get(name, ""))
            return kind(value) if value else default
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
            return default


def settings_in(path: Path) -> dict[str, str]:
    """The variables in a ``.env`` file; none without a file. ``$`` in a value is a ``$``. Raises ValueError."""
    if not os.path.lexists(path):
        return {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            bindings = list(parse_stream(file))
    except UnicodeDecodeError as error:
        raise ValueError("the file is not UTF-8 text") from error
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from error
    if wrong := [str(each.original.line) for each in bindings if each.error]:
        raise ValueError(f"line {', '.join(wrong)} cannot be read: a line is NAME=value, or a comment after #")
    return {each.key: each.value or "" for each in bindings if each.key}
