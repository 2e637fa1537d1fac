"""The operator's own identity provider: its JWTs are tokens, and their ``sub`` names an account.

The account is one that this makes, on first sight, and finds again by ``iss`` and ``sub`` alone. No name that the
provider uses is ever a user name here, so nothing that it says leads to an account that was there before.

Concurrency: any thread; ``keys_ready`` belongs to the event loop. Keys are fetched by one thread, which nobody who has
a known key waits for.
Invariants: verifying never asks the network. The provider is asked for keys at most every ``RETRY_SECONDS``.
"""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.request
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol
from uuid import uuid4

import jwt
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import EmailField

from . import texts
from .identity import Viewer, has_field
from .keys import Key, keys_in_jwks
from .models import DISPLAY_NAME_MAX_LENGTH, IDENTITY_MAX_LENGTH, Identity

logger = logging.getLogger(__name__)

MAX_TOKEN_LENGTH = 8_192
FRESH_SECONDS = 600.0
KEPT_SECONDS = 3600.0
RETRY_SECONDS = 30.0
FETCH_TIMEOUT_SECONDS = 3.0
MAX_JWKS_BYTES = 512 * 1024
LAST_MOMENT = datetime(9999, 1, 1, tzinfo=UTC).timestamp()

_REFUSED = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class JwtSettings(Protocol):
    """What ``settings.AUTH_JWT`` is, where it is not None."""

    @property
    def issuer(self) -> str: ...

    @property
    def audience(self) -> tuple[str, ...]: ...

    @property
    def algorithms(self) -> tuple[str, ...]: ...

    @property
    def keys(self) -> tuple[Key, ...]: ...

    @property
    def jwks_url(self) -> str: ...

    @property
    def leeway_seconds(self) -> float: ...


@dataclass(frozen=True)
class Claims:
    """What a verified token says. ``name`` is empty unless it says a name that can be shown."""

    subject: str
    name: str
    ends_at: datetime


class RemoteKeys:
    """The keys at a JWKS address, as they were last fetched; none once that is too long ago."""

    def __init__(self, url: str, algorithms: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._algorithms = algorithms
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")

    @property
    def keys(self) -> tuple[Key, ...]:
        return self._keys if self._clock() - self._fetched_at < KEPT_SECONDS else ()

    def knows(self, key_id: str | None) -> bool:
        return any(key_id in (None, key.key_id) for key in self.keys)

    def wants(self, key_id: str | None) -> bool:
        """Whether to ask the provider now."""
        now = self._clock()
        is_due = now - self._fetched_at >= FRESH_SECONDS or not self.knows(key_id)
        return is_due and now - self._tried_at >= RETRY_SECONDS

    def refresh(self, key_id: str | None) -> None:
        """Ask the provider, unless that was just done. Never raises: what is known goes on to count for a while."""
        if not self.wants(key_id):
            return
        self._tried_at = self._clock()
        try:
            found = keys_in_jwks(fetched(self._url))
        except (OSError, ValueError) as error:
            logger.warning("The provider's keys could not be fetched (%r)", error)
            return
        self._keys = tuple(key for key in found if key.algorithm in self._algorithms)
        self._fetched_at = self._clock()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address that the operator did not write is not asked for keys."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def fetched(url: str) -> bytes:
    """Raises OSError, ValueError."""
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(url, timeout=FETCH_TIMEOUT_SECONDS) as response:
        body: bytes = response.read(MAX_JWKS_BYTES + 1)
    if len(body) > MAX_JWKS_BYTES:
        raise ValueError("the JWK set is too large")
    return body


_fetching = ThreadPoolExecutor(1, thread_name_prefix="jwks")


@lru_cache(maxsize=8)
def remote_keys(url: str, algorithms: tuple[str, ...]) -> RemoteKeys:
    """The process's one memory of the keys there."""
    return RemoteKeys(url, algorithms)


def is_jwt(token: str) -> bool:
    """Whether this can only be the provider's: none of ours has a dot."""
    return settings.AUTH_JWT is not None and "." in token


async def keys_ready(tokens: Collection[str]) -> None:
    """Have the keys fetched that these tokens want; wait only for one that is not known. Never raises."""
    provider = settings.AUTH_JWT
    if provider is None or not provider.jwks_url:
        return
    remote = remote_keys(provider.jwks_url, provider.algorithms)
    for key_id in {_key_id(token) for token in tokens if is_jwt(token)}:
        if not remote.wants(key_id):
            continue
        fetching = asyncio.get_running_loop().run_in_executor(_fetching, remote.refresh, key_id)
        if not remote.knows(key_id):
            await asyncio.wait([fetching], timeout=FETCH_TIMEOUT_SECONDS)


def viewers_by_jwt(tokens: Collection[str]) -> dict[str, Viewer]:
    """Return who the provider's tokens that are in force name; an account is made for who is new."""
    provider = settings.AUTH_JWT
    if provider is None:
        return {}
    claims = {token: found for token in tokens if (found := claims_in(token, provider)) is not None}
    users = _users(provider.issuer, {each.subject: each.name for each in claims.values()})
    return {
        token: Viewer(user=user, ends_at=each.ends_at, is_foreign=True)
        for token, each in claims.items()
        if (user := users[each.subject]).is_active
    }


def claims_in(token: str, provider: JwtSettings) -> Claims | None:
    """Verify a token (RFC 7519; RFC 8725). None for one that is not in force, not for us, or not the provider's."""
    try:
        key = _key_for(token, provider)
        if key is None:
            return None
        payload = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            issuer=provider.issuer,
            audience=list(provider.audience),
            leeway=provider.leeway_seconds,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return _claims(payload, provider.leeway_seconds)
    except _REFUSED:
        return None


def _key_for(token: str, provider: JwtSettings) -> Key | None:
    """The key that the token's header names, if that is for the algorithm that it names."""
    if len(token) > MAX_TOKEN_LENGTH:
        return None
    header = jwt.get_unverified_header(token)
    if "crit" in header:  # RFC 7515, section 4.1.11: we understand no extension
        return None
    url = provider.jwks_url
    keys = remote_keys(url, provider.algorithms).keys if url else provider.keys
    if any(key.key_id is not None for key in keys) and ("kid" in header or len(keys) > 1):
        keys = tuple(key for key in keys if key.key_id == header.get("kid"))
    return next((key for key in keys if key.algorithm == header.get("alg")), None)


def _key_id(token: str) -> str | None:
    try:
        return jwt.get_unverified_header(token).get("kid") if len(token) <= MAX_TOKEN_LENGTH else None
    except _REFUSED:
        return None


def _claims(payload: dict[str, Any], leeway: float) -> Claims | None:
    subject = payload["sub"]
    is_name = isinstance(subject, str) and 0 < len(subject) <= IDENTITY_MAX_LENGTH and texts.is_storable(subject)
    if not is_name:
        return None
    moment = min(float(payload["exp"]) + leeway, LAST_MOMENT)
    return Claims(subject, _shown(payload.get("name")), datetime.fromtimestamp(moment, UTC))


def _shown(name: object) -> str:
    try:
        return (
            texts.name(name.strip()[:DISPLAY_NAME_MAX_LENGTH], DISPLAY_NAME_MAX_LENGTH) if isinstance(name, str) else ""
        )
    except texts.Unfit:
        return ""


# Accounts


def _users(issuer: str, names: dict[str, str]) -> dict[str, User]:
    """The accounts of subjects, by subject, called as their tokens say."""
    rows = Identity.objects.select_related("user").filter(issuer=issuer, subject__in=names)
    found = {row.subject: row.user for row in rows}
    for subject, name in names.items():
        user = found.get(subject) or found.setdefault(subject, _made(issuer, subject, name))
        if name:
            _call(user, name)
    return found


def _call(user: User, name: str) -> None:
    """Let the account be called so, where the operator's user model has names."""
    names = {each: value for each, value in (("first_name", name), ("last_name", "")) if has_field(user, each)}
    if "first_name" in names and user.first_name != name:
        for each, value in names.items():
            setattr(user, each, value)
        user.save(update_fields=list(names))


def _made(issuer: str, subject: str, name: str) -> User:
    """A new account, under a name that nobody can guess and with no password; or the one that was made meanwhile."""
    model = get_user_model()
    username = f"jwt-{uuid4().hex}"
    if isinstance(model._meta.get_field(model.USERNAME_FIELD), EmailField):
        username += "@jwt.invalid"  # RFC 2606: nobody has an address there
    user = model(**{model.USERNAME_FIELD: username}, **({"first_name": name} if has_field(model, "first_name") else {}))
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            Identity.objects.create(user=user, issuer=issuer, subject=subject)
    except IntegrityError:
        return Identity.objects.select_related("user").get(issuer=issuer, subject=subject).user
    return user
