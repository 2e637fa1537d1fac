"""Where database work runs when it is asked for from the event loop.

A Django request has a thread, and with it a connection, of its own: what it asks for runs there. Sockets and feeds
share a bounded pool of threads: one slow query does not hold up the rest, and a thousand sockets do not use up the
database.

Concurrency: ``in_database`` may be awaited from any task. Each call has a connection to itself until it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

P = ParamSpec("P")
R = TypeVar("R")

POOL_SIZE = 8

_pool = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="database")
_in_request: ContextVar[bool] = ContextVar("in_request", default=False)


def stay_in_request_thread() -> None:
    """Make ``in_database`` use the request's own thread for the rest of the calling task."""
    _in_request.set(True)


async def in_database(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in a thread and return what it returns."""
    if _in_request.get():
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)
    return await sync_to_async(_with_connection_of_its_own, thread_sensitive=False, executor=_pool)(
        partial(function, *args, **kwargs)
    )


def _with_connection_of_its_own(work: Callable[[], R]) -> R:
    """What Django does around a request: an old connection is dropped before, and one that has had its time after."""
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
