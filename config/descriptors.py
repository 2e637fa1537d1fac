"""How many connections the system lets this process have: each is an open file, and others need files too."""

from __future__ import annotations

import resource

MOST_KEPT_FOR_HTTP = 500


def connections_within(reserved: int) -> int:
    """Return how many there may be while ``reserved`` files, or half of all, are kept for others; 0 is no limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or not reserved:
        return 0
    return limit - min(reserved, limit // 2)


def sockets_among(connections: int) -> int:
    """Return how many of them may be WebSockets: a quarter of few connections, and 500 of many, are left to HTTP."""
    return connections - min(connections // 4, MOST_KEPT_FOR_HTTP)
