"""What tells this installation from others that share a Redis with it."""

from __future__ import annotations

import hashlib
import hmac


def derived_prefix(secret_key: str, database_name: str) -> str:
    """The beginning of every key and channel in Redis, where the operator names none.

    It is made of what all processes of an installation have in common, and no other installation has.
    """
    digest = hmac.digest(secret_key.encode(), f"redis {database_name}".encode(), hashlib.sha256)
    return f"salas-{digest.hex()[:12]}"
