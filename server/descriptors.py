"""The process's limit of open files, of which each connection takes one."""

from __future__ import annotations

import resource
from contextlib import suppress

ENOUGH = 1_048_576  # where the system says "as many as you like" and means less


def raise_limit() -> None:
    """Raise the soft limit, which for old programs is often 1,024, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # the system knows a lower one that it doesn't tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_files() -> int:
    """Return the soft limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
