"""Where database work runs when it is asked for from the event loop.

Requests and sockets share a bounded pool of threads: one slow query does not hold up the rest, and a thousand sockets
do not use up the database. What hashes a password takes long and has a smaller pool of its own, and so have the feeds,
which hold up everybody who follows: they wait for no lock and for nobody who does. Django's own pages have threads of
their own.

Concurrency: each of the functions may be awaited from any task. Each call has a connection to itself until it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")

POOL_SIZE = 8
HASHING_POOL_SIZE = 2
READING_POOL_SIZE = 4

_pool = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="database")
_hashing_pool = ThreadPoolExecutor(HASHING_POOL_SIZE, thread_name_prefix="hashing")
_reading_pool = ThreadPoolExecutor(READING_POOL_SIZE, thread_name_prefix="reading")


async def in_database(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in a thread and return what it returns."""
    return await _run(partial(function, *args, **kwargs), _pool)


async def in_hashing(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As ``in_database``, for what hashes a password as well."""
    return await _run(partial(function, *args, **kwargs), _hashing_pool)


async def in_reading(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As ``in_database``, for what feeds read of logs: a short query that takes no lock."""
    return await _run(partial(function, *args, **kwargs), _reading_pool)


async def _run(function: Callable[[], R], pool: ThreadPoolExecutor) -> R:
    """As ``sync_to_async``, which costs nearly twice as much for what nobody here needs: the way back to this loop from
    ``async_to_sync``, and what the thread puts into the context."""
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(pool, context.run, _with_connection, function)


def _with_connection(work: Callable[[], R]) -> R:
    """Do as Django does around a request: drop an old connection before, and return one that has had its time after."""
    _close_old_connections()
    try:
        return work()
    finally:
        _close_old_connections()


def _close_old_connections() -> None:
    """Django's ``close_old_connections``, which would also end a transaction that is open around all this."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
