"""The operator's own identity provider: what ``AUTH_JWT_…`` says of its tokens, checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from rooms.keys import ALGORITHMS, HS256, Key, KeyUnfit, keys_in_jwks, public_key, secret_key

from .environment import Environment
from .values import items

PREFIX = "AUTH_JWT_"
DEFAULT_LEEWAY_SECONDS = 30.0
MAX_LEEWAY_SECONDS = 300.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_SOURCES: dict[str, Callable[[str], tuple[Key, ...]]] = {
    "SECRET": lambda value: (secret_key(value),),
    "PUBLIC_KEY": lambda value: (public_key(value.replace("\\n", "\n")),),
    "PUBLIC_KEY_FILE": lambda value: (public_key(Path(value).read_text()),),
    "JWKS_FILE": lambda value: keys_in_jwks(Path(value).read_text()),
    "JWKS_URL": lambda _: (),
}
_OTHERS = ("ISSUER", "AUDIENCE", "ALGORITHMS", "LEEWAY")


@dataclass(frozen=True)
class JwtSettings:
    """Whose tokens count, and for whom. ``keys`` is empty where they are at ``jwks_url``."""

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    keys: tuple[Key, ...] = field(default=(), repr=False)
    jwks_url: str = ""
    leeway_seconds: float = DEFAULT_LEEWAY_SECONDS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> JwtSettings | None:
        """None where no ``AUTH_JWT_…`` is set. Raises ImproperlyConfigured, and never says what a secret is."""
        reader = Environment(environment)
        given = reader.named(PREFIX)
        reader.require_no_faults()
        if not given:
            return None
        for name in given:
            if name not in _SOURCES and name not in _OTHERS:
                raise ImproperlyConfigured(f"{PREFIX}{name}: there is no such setting")
        source = _source(given)
        algorithms = _algorithms(given, source)
        return cls(
            issuer=_required(given, "ISSUER"),
            audience=_listed("AUDIENCE", _required(given, "AUDIENCE")),
            algorithms=algorithms,
            keys=_keys(source, given[source], algorithms),
            jwks_url=_jwks_url(given.get("JWKS_URL", "")),
            leeway_seconds=_leeway(given.get("LEEWAY", str(DEFAULT_LEEWAY_SECONDS))),
        )


def _source(given: Mapping[str, str]) -> str:
    named = [name for name in _SOURCES if name in given]
    if len(named) != 1:
        choices = ", ".join(f"{PREFIX}{name}" for name in _SOURCES)
        raise ImproperlyConfigured(f"exactly one of {choices} says how a JWT is verified, not {len(named)} of them")
    return named[0]


def _required(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise ImproperlyConfigured(f"{PREFIX}{name} is missing: a JWT counts only from one issuer and for us")
    return given[name]


def _algorithms(given: Mapping[str, str], source: str) -> tuple[str, ...]:
    fitting = (HS256,) if source == "SECRET" else tuple(each for each in ALGORITHMS if each != HS256)
    named = _listed("ALGORITHMS", given["ALGORITHMS"]) if "ALGORITHMS" in given else fitting
    for name in named:
        if name not in fitting:
            raise ImproperlyConfigured(
                f"{PREFIX}ALGORITHMS: with {PREFIX}{source} it is of {', '.join(fitting)}, not {name!r}"
            )
    return named


def _keys(source: str, value: str, algorithms: tuple[str, ...]) -> tuple[Key, ...]:
    try:
        found = _SOURCES[source](value)
    except (OSError, UnicodeError) as error:
        raise ImproperlyConfigured(f"{PREFIX}{source} cannot be read: {type(error).__name__}") from error
    except KeyUnfit as error:
        raise ImproperlyConfigured(f"{PREFIX}{source}: {error}") from error
    keys = tuple(key for key in found if key.algorithm in algorithms)
    if found and not keys:
        raise ImproperlyConfigured(f"{PREFIX}{source} holds no key for {', '.join(algorithms)}")
    return keys


def _jwks_url(url: str) -> str:
    if url and not _is_safe(url):
        raise ImproperlyConfigured(f"{PREFIX}JWKS_URL is an https:// address, or an http:// one on this machine")
    return url


def _is_safe(url: str) -> bool:
    """Whether nobody in between can bring keys of their own."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return (parts.scheme == "https" and bool(parts.hostname)) or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _leeway(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= MAX_LEEWAY_SECONDS:
        raise ImproperlyConfigured(f"{PREFIX}LEEWAY is from 0 to {MAX_LEEWAY_SECONDS:.0f} seconds")
    return seconds


def _listed(name: str, value: str) -> tuple[str, ...]:
    """Raises ImproperlyConfigured for a list without members: it would let every JWT through, or none."""
    try:
        return tuple(items(value))
    except ValueError as error:
        raise ImproperlyConfigured(f"{PREFIX}{name}: {error}") from error
