"""How often a viewer may write, whatever it is: one rate limit for all mutations, before they wait for a thread.

The limits of joins, sends and passwords are stricter, each for its own. This one keeps the database's one writer and
its locks for others, also from mutations that have no limit of their own, such as leaving a room or moderation.

Concurrency: any thread; nothing is waited for. Each process counts for itself, as it is its threads that are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from rooms.exceptions import RateLimited
from rooms.rates import LocalBuckets, Rates

from .context import Context, lane_of
from .documents import Document

_rates = Rates(None, LocalBuckets())


def require_turn_to_write(document: Document, variables: Mapping[str, Any] | None, context: Context) -> None:
    """Take a token for each mutation of the operation. Raises RateLimited, and none of them is to be done then."""
    limits = settings.LIMITS
    if not limits.write_burst or not limits.writes_per_second:
        return
    number = next(found.fields for node, found in document.measures(variables) if node is document.operation)
    names = [lane_of(context.viewer, context.address)] * number
    wait = max(_rates.take(names, burst=limits.write_burst, per_second=limits.writes_per_second), default=0.0)
    if wait:
        raise RateLimited(
            wait, f"Too many mutations: {limits.writes_per_second:g} a second, after a burst. Wait a little."
        )
