"""Which pages may speak for a browser's user: those of this server, by a name that it answers to, and listed ones."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

DEFAULT_PORTS = {"http": 80, "https": 443}
NOT_OF_PAGES = ("ws", "wss")  # a page's origin has its own scheme, whatever it opens
HOST = re.compile(r"[a-z0-9._-]+")


def is_allowed_host(host: str) -> bool:
    """Whether ``host``, with or without a port, is a name that this server answers to."""
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def is_trusted_origin(origin: str, host: str) -> bool:
    """Whether ``origin`` (RFC 6454, section 7) is this very ``host``, or listed in the settings."""
    try:
        normal = normal_origin(origin)
    except ValueError:
        return False
    return normal in {*settings.CORS_ALLOWED_ORIGINS, *settings.CSRF_TRUSTED_ORIGINS} or _is_of_host(normal, host)


@lru_cache(maxsize=1024)
def normal_origin(text: str) -> str:
    """The one form of an origin (RFC 6454, section 6.2), in which the settings list them and browsers send them.

    Scheme and host are in lower case, and a port is told where it is not the default; a slash at the end is left out.
    Raises ValueError for anything but an origin, ``null`` and wildcards included.
    """
    parts = urlsplit(text)
    is_bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    host = _host((parts.hostname or "").removesuffix("."))
    if not is_bare or not parts.scheme or parts.scheme in NOT_OF_PAGES or not host:
        raise ValueError("not an origin")
    is_default = parts.port in (None, DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"


def _host(name: str) -> str:
    """``name`` as it stands in an origin; empty for none."""
    if ":" in name:
        return f"[{IPv6Address(name).compressed}]"
    return name if HOST.fullmatch(name) else ""


def _is_of_host(origin: str, host: str) -> bool:
    """Whether the normal ``origin`` is at ``host``, a Host header."""
    scheme = origin.partition(":")[0]
    try:
        return origin == normal_origin(f"{scheme}://{host}")
    except ValueError:
        return False
