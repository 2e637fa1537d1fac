"""How often something may be done: token buckets, shared by all processes through Redis where there is one.

A bucket holds ``burst`` tokens and gains ``per_second``. It is kept as one time, the one at which it will be full again
(the generic cell rate algorithm, ITU-T I.371), in whole microseconds, so that who waits as long as told is let through.

Redis does it by a script, in one round trip for however many tokens, and by its own clock. While it is away every
process goes by itself, from what it let through before; who waits for Redis waits no longer than the cache's timeout,
and then nobody for a second.

Concurrency: ``take`` may be called from any thread; it waits for Redis, so never under a lock that others wait for.
Invariants: there is always a limit. A process keeps ``LOCAL_BUCKETS`` at most; what was used longest ago goes first.
Dependencies: Django's cache ``rates``.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock
from typing import Any, Protocol

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.redis import RedisCache

logger = logging.getLogger(__name__)

CACHE_ALIAS = "rates"
AWAY_SECONDS = 1.0
LOCAL_BUCKETS = 50_000
MICROSECONDS = 1_000_000

# A bucket is never further from full than empty: a clock that was set back would leave it so for as long.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local waits = {}
for each, key in ipairs(KEYS) do
  local full = tonumber(redis.call('GET', key) or 0)
  full = math.min(math.max(full, now), now + burst * interval)
  waits[each] = math.max(full - now - (burst - 1) * interval, 0)
  if waits[each] == 0 then
    full = full + interval
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
  end
end
return waits
"""


class Buckets(Protocol):
    """Where buckets are kept."""

    def take(self, names: Sequence[str], burst: int, interval: int) -> list[int]:
        """Take a token of each, one after the other; of each one comes each ``interval``.

        Return how long to wait, 0 if taken; microseconds.
        """
        ...


class Bucket:
    """One bucket, by a clock of the caller's, in seconds. None of its rates may be exceeded if it is 0."""

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst = burst
        self._interval = _interval(per_second) if burst and per_second else 0
        self._full = 0

    def take(self, now: float) -> float:
        """Return the seconds to wait, 0.0 if a token was taken."""
        if not self._interval:
            return 0.0
        wait, self._full = taken(self._full, round(now * MICROSECONDS), self._burst, self._interval)
        return wait / MICROSECONDS


class LocalBuckets:
    """Those of this process. ``now`` is in nanoseconds."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = now
        self._full: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def take(self, names: Sequence[str], burst: int, interval: int) -> list[int]:
        with self._lock:
            return [self._take(name, burst, interval) for name in names]

    def _take(self, name: str, burst: int, interval: int) -> int:
        wait, self._full[name] = taken(self._full.get(name, 0), self._now() // 1000, burst, interval)
        self._full.move_to_end(name)
        if len(self._full) > LOCAL_BUCKETS:
            self._full.popitem(last=False)
        return wait


class RedisBuckets:
    """Those that all processes share. Raises what redis-py raises."""

    def __init__(self, redis_cache: RedisCache) -> None:
        self._key = redis_cache.make_key  # the installation's own prefix
        client = redis_cache._cache.get_client(write=True)  # its pool of connections serves all threads
        self._script: Any = client.register_script(SCRIPT)

    def take(self, names: Sequence[str], burst: int, interval: int) -> list[int]:
        waits = self._script(keys=[self._key(_key_of(name)) for name in names], args=[burst, interval])
        return [int(wait) for wait in waits]


class Rates:
    """Limits by ``shared`` and, while that is away or none, by ``local``. ``now`` is in seconds."""

    def __init__(self, shared: Buckets | None, local: Buckets, now: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = local
        self._now = now
        self._away_until = 0.0

    def take(self, names: Sequence[str], *, burst: int, per_second: float) -> list[float]:
        """Take a token of each bucket. Return the seconds to wait for each, 0.0 if taken or if there is no limit."""
        if not (burst and per_second and names):
            return [0.0 for _ in names]
        interval = _interval(per_second)
        waits = self._shared_waits(names, burst, interval)
        if waits is None:
            waits = self._local.take(names, burst, interval)
        else:  # where Redis has a token it is noted here too, for when Redis is away
            self._local.take([name for name, wait in zip(names, waits, strict=True) if not wait], burst, interval)
        return [wait / MICROSECONDS for wait in waits]

    def _shared_waits(self, names: Sequence[str], burst: int, interval: int) -> list[int] | None:
        """None while the cache is away. One thread at a time finds out whether it is back."""
        if self._shared is None or self._now() < self._away_until:
            return None
        was_away = bool(self._away_until)
        if was_away:
            self._away_until = self._now() + AWAY_SECONDS
        try:
            waits = self._shared.take(names, burst, interval)
        except Exception as error:  # noqa: BLE001 - whatever the cache's library raises
            if not was_away:
                logger.warning("The cache is away (%r): rates are limited by each process for itself", error)
            self._away_until = self._now() + AWAY_SECONDS
            return None
        if was_away:
            logger.warning("The cache is back: rates are limited for all processes together")
        self._away_until = 0.0
        return waits


def take(*names: str, burst: int, per_second: float) -> list[float]:
    """Take a token of each of these buckets. Return the seconds to wait, 0.0 if taken or if there is no limit.

    ``burst`` tokens may be taken at once, and then ``per_second``; 0 for either is no limit.
    """
    return of_this_process().take(names, burst=burst, per_second=per_second)


@cache
def of_this_process() -> Rates:
    return rates_in(caches.create_connection(CACHE_ALIAS))  # not a thread's: each request has a thread of its own


def rates_in(found: BaseCache) -> Rates:
    """Only Redis can do it in one step; any other cache is a process's own."""
    return Rates(RedisBuckets(found) if isinstance(found, RedisCache) else None, LocalBuckets())


def taken(full: int, now: int, burst: int, interval: int) -> tuple[int, int]:
    """Return how long to wait for a token, 0 if it is taken, and when the bucket will be full. Microseconds."""
    full = max(full, now)
    wait = full - now - (burst - 1) * interval
    return (wait, full) if wait > 0 else (0, full + interval)


def _key_of(name: str) -> str:
    """Of one length, and nobody's name."""
    return f"salas.rate.{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _interval(per_second: float) -> int:
    return max(round(MICROSECONDS / per_second), 1)
