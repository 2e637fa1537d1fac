"""Which pages may speak for a browser's user: those of this server, by a name that it answers to, and listed ones."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed_host(host: str) -> bool:
    """Whether ``host``, with or without a port, is a name that this server answers to."""
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def is_trusted_origin(origin: str, host: str) -> bool:
    """Whether ``origin`` (RFC 6454, section 7) is this very ``host``, or listed in the settings."""
    listed = {*settings.CORS_ALLOWED_ORIGINS, *settings.CSRF_TRUSTED_ORIGINS}
    return origin in listed or _is_of_host(origin, host)


def _is_of_host(origin: str, host: str) -> bool:
    try:
        of_origin, of_host = urlsplit(origin), urlsplit(f"{urlsplit(origin).scheme}://{host}")
        port, default = of_origin.port, DEFAULT_PORTS.get(of_origin.scheme)
        return bool(of_origin.hostname) and (of_origin.hostname, port or default) == (
            of_host.hostname,
            of_host.port or default,
        )
    except ValueError:
        return False
