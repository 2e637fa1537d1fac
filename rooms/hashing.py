"""Passwords are hashed slowly and with much memory (Argon2: 100 MB each). How many at once is bounded here.

Concurrency: any thread. ``SLOTS`` hash, ``QUEUE`` more wait, before they hold a database connection; the rest are sent
away. Sockets wait in a pool of their own (``threads.in_hashing``), so nobody who follows a room waits for a password.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .exceptions import RateLimited

SLOTS = 2
QUEUE = 14
WAIT_SECONDS = 5.0
RETRY_SECONDS = 2.0

_admitted = threading.BoundedSemaphore(SLOTS + QUEUE)
_hashing = threading.BoundedSemaphore(SLOTS)


@contextmanager
def hashing_slot() -> Iterator[None]:
    """Wait for a turn to hash a password. Raises RateLimited where too many wait already, or for too long."""
    if not _admitted.acquire(blocking=False):
        raise RateLimited(RETRY_SECONDS)
    try:
        if not _hashing.acquire(timeout=WAIT_SECONDS):
            raise RateLimited(RETRY_SECONDS)
        try:
            yield
        finally:
            _hashing.release()
    finally:
        _admitted.release()
