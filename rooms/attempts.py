"""How often a password may be guessed: a limit per account and per address, for names that do not exist too.

Attempts are counted in Django's cache, which all processes share, in two windows of time: of the one before, the part
counts that a window ending now still covers. A refused attempt does not count, so nobody is locked out for good: tries
come back as time goes by. Whoever tries from an address that the account was logged in from has tries of their own,
which nobody elsewhere can use up (OWASP's "device cookies", with the address for the cookie).

Concurrency: any thread. Counting is the cache's ``incr``, so no two attempts count as one.
Invariants: without the cache each process counts for itself. Nothing here is ever without a limit but by the settings.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache

from .exceptions import RateLimited

logger = logging.getLogger(__name__)

KNOWN_ADDRESS_SECONDS = 30 * 24 * 3600
AWAY_SECONDS = 5.0
IPV6_PREFIX = 64  # what one subscriber has at least (RFC 6177)

T = TypeVar("T")


class Counts:
    """Counts in windows of time. ``shared`` gives the cache; ``clock`` the time, in seconds, the same for all."""

    def __init__(self, shared: Callable[[], BaseCache], clock: Callable[[], float] = time.time) -> None:
        self._shared = shared
        self._own = LocMemCache("salas.attempts", {"OPTIONS": {"MAX_ENTRIES": 100_000}})
        self._clock = clock
        self._away_until = 0.0

    def take(self, name: str, limit: int, seconds: float) -> None:
        """Count an attempt. Raises RateLimited, and counts none, where that is more than ``limit`` in ``seconds``."""
        if not limit or not seconds:
            return
        window, passed = self._window(seconds)
        counted = self._call(lambda cache: _count(cache, _key(name, window), seconds))
        before = self._call(lambda cache: cache.get(_key(name, window - 1), 0))
        if before * (1 - passed) + counted > limit:
            self.give_back(name, limit, seconds)
            raise RateLimited(retry_after=seconds_until_free(before, counted - 1, limit, passed, seconds))

    def give_back(self, name: str, limit: int, seconds: float) -> None:
        """Take an attempt off again."""
        if limit and seconds:
            window, _ = self._window(seconds)
            self._call(lambda cache: _uncount(cache, _key(name, window)))

    def remember(self, name: str, seconds: float) -> None:
        self._call(lambda cache: cache.set(_named(name), 1, seconds))

    def remembers(self, name: str) -> bool:
        return bool(self._call(lambda cache: cache.get(_named(name))))

    def _window(self, seconds: float) -> tuple[int, float]:
        """The number of the current window, and which part of it has passed."""
        window, passed = divmod(self._clock() / seconds, 1)
        return int(window), passed

    def _call(self, work: Callable[[BaseCache], T]) -> T:
        """Do it in the shared cache or, while that is away, in our own."""
        if time.monotonic() >= self._away_until:
            try:
                return work(self._shared())
            except Exception as error:  # noqa: BLE001 - whatever the cache's library raises
                logger.warning("The cache is away (%r): attempts are counted by each process for itself", error)
                self._away_until = time.monotonic() + AWAY_SECONDS
        return work(self._own)


def seconds_until_free(before: float, counted: int, limit: int, passed: float, seconds: float) -> float:
    """When one more attempt will fit, if nobody makes another: ``before`` and ``counted`` fade, window by window."""
    if counted >= limit:  # this window has to become the one before, and fade
        at = 2 - (limit - 1) / counted
    elif before:  # the window before has to fade to what is left
        at = 1 - (limit - 1 - counted) / before
    else:
        at = passed
    return max(math.ceil((at - passed) * seconds * 10) / 10, 0.1)


counts = Counts(lambda: caches[DEFAULT_CACHE_ALIAS])


@dataclass
class Attempt:
    """A guess at a password that is being made. Say ``succeeded`` where it was right."""

    has_succeeded: bool = False

    def succeeded(self) -> None:
        self.has_succeeded = True


@contextmanager
def attempt(account: str, address: str | None) -> Iterator[Attempt]:
    """Let one guess at a password be made. Raises RateLimited.

    ``account`` names what is guessed at, existing or not, ``address`` is where from. What was right counts against the
    address all the same, so that nobody buys guesses at one account with the password of another.
    """
    limits, where = settings.LIMITS, network_of(address)
    seconds = limits.login_seconds
    at_home = json.dumps(["account", account, where])  # which no account's own name can be
    account = json.dumps(["account", account])
    name = at_home if address is not None and counts.remembers(at_home) else account
    counts.take(f"address.{where}", limits.logins_per_address, seconds)
    try:
        counts.take(name, limits.logins_per_account, seconds)
    except RateLimited:
        counts.give_back(f"address.{where}", limits.logins_per_address, seconds)
        raise
    made = Attempt()
    try:
        yield made
    except RateLimited:  # no guess was made after all
        counts.give_back(name, limits.logins_per_account, seconds)
        counts.give_back(f"address.{where}", limits.logins_per_address, seconds)
        raise
    if made.has_succeeded:
        counts.give_back(name, limits.logins_per_account, seconds)
        counts.remember(at_home, KNOWN_ADDRESS_SECONDS)


def network_of(address: str | None) -> str:
    """Whose address it is: an IPv6 client has a whole network to choose from."""
    parsed = ip_address(address) if address is not None else None
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


def _count(cache: BaseCache, key: str, seconds: float) -> int:
    cache.add(key, 0, 2 * seconds)
    try:
        return cache.incr(key)
    except ValueError:  # it ran out just now
        cache.set(key, 1, 2 * seconds)
        return 1


def _uncount(cache: BaseCache, key: str) -> Any:
    try:
        return cache.decr(key)
    except ValueError:
        return 0


def _key(name: str, window: int) -> str:
    return f"{_named(name)}.{window}"


def _named(name: str) -> str:
    """A key that every cache takes, and that does not tell whom it is about."""
    return f"salas.attempts.{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
