"""What a server must have been given before it answers to other names than those of its own machine.

A newcomer's server, at 127.0.0.1, needs nothing. One that others reach does not start with a fault that would show only
when it is used against somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]", ".localhost"})
SECRET_MIN_LENGTH = 50
SECRET_MIN_DIFFERENT = 10

DEBUG_IS_ON = "DEBUG shows anybody the settings and the code: leave it off."
ANY_HOST = "ALLOWED_HOSTS lists names; `*` is every name, an attacker's too."
NO_SECRET = (
    f"SECRET_KEY is at least {SECRET_MIN_LENGTH} random characters, the same for all processes, and so is each of "
    "SECRET_KEY_FALLBACKS: `python3 -c 'import secrets; print(secrets.token_urlsafe(50))'` prints one."
)
NO_PROXIES = (
    "TRUSTED_PROXIES lists the addresses of the proxy that speaks HTTPS for this server, such as 127.0.0.1 (`none` "
    "where the server itself does; HTTPS=off where nobody does, so that whoever listens can steal a session)."
)


def is_production(allowed_hosts: Sequence[str]) -> bool:
    """Whether somebody beyond this machine is to be answered."""
    return not LOOPBACK_NAMES.issuperset(allowed_hosts)


def require_fit(
    *, allowed_hosts: Sequence[str], debug: bool, secret_keys: Sequence[str], https: bool, proxies: Sequence[Any] | None
) -> None:
    """Raise ImproperlyConfigured, with all that is missing in one paragraph.

    ``secret_keys`` are the key and those it has replaced; ``proxies`` is None where nothing was said of them.
    """
    faults = {
        DEBUG_IS_ON: debug,
        ANY_HOST: "*" in allowed_hosts,
        NO_SECRET: not all(map(is_secret, secret_keys)),
        NO_PROXIES: https and proxies is None,
    }
    if any(faults.values()):
        missing = " ".join(text for text, is_there in faults.items() if is_there)
        hosts = ", ".join(allowed_hosts)
        raise ImproperlyConfigured(
            f"Salas does not start: it is to answer to {hosts}, and so to others than this machine. {missing} "
            "See docs/security.md."
        )


def is_secret(key: str) -> bool:
    """Whether nobody guesses it, as far as one can see: Django's own measure, and a little more."""
    is_long = len(key) >= SECRET_MIN_LENGTH and len(set(key)) >= SECRET_MIN_DIFFERENT
    return is_long and not key.startswith("django-insecure-")
