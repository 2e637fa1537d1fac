"""Which pages may speak for a browser's user: those of this server, by a name that it answers to, and listed ones."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed_host(host: str) -> bool:
    """Whether ``host``, with or without a port, is a name that this server answers to."""
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def is_trusted_origin(origin: str, host: str) -> bool:
    """Whether ``origin`` (RFC 6454, section 7) is this very ``host``, or listed in the settings."""
    asked = _parts(origin)
    if asked is None:
        return False
    listed = map(_parts, (*settings.CORS_ALLOWED_ORIGINS, *settings.CSRF_TRUSTED_ORIGINS))
    return asked in listed or asked == _parts(f"{asked.scheme}://{host}")


class _Parts(NamedTuple):
    """An origin in its one normal form."""

    scheme: str
    host: str
    port: int | None


@lru_cache(maxsize=256)
def _parts(origin: str) -> _Parts | None:
    """None for what is no origin: ``null``, nonsense."""
    try:
        found = urlsplit(origin.strip().lower())
        port = found.port or DEFAULT_PORTS.get(found.scheme)
    except ValueError:
        return None
    if not found.scheme or not found.hostname or found.path.strip("/") or found.query or found.username is not None:
        return None
    return _Parts(found.scheme, found.hostname.rstrip("."), port)
