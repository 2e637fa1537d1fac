"""What tells this installation from others that share a Redis with it."""

from __future__ import annotations

import hashlib
import hmac
import re

from django.core.exceptions import ImproperlyConfigured

REDIS_PREFIX = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def redis_prefix(given: str, *, secret_key: str, database_name: str) -> str:
    """The beginning of every key and channel in Redis: ``given``, or derived from the secret and the database.

    Raises ImproperlyConfigured for a prefix that the pattern of a Redis ACL could not name as it stands.
    """
    if not given:
        digest = hmac.digest(secret_key.encode(), f"redis {database_name}".encode(), hashlib.sha256)
        return f"salas-{digest.hex()[:12]}"
    if REDIS_PREFIX.fullmatch(given) is None:
        raise ImproperlyConfigured(f"REDIS_PREFIX={given!r}: 1 to 64 of the characters A-Z a-z 0-9 . _ : -")
    return given
