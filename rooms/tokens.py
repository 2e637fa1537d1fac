"""The bearer tokens that we give out: random, shown once, stored as a digest, and ended in many ways.

A token ends when it expires, when it is revoked, when newer ones of its holder are enough, and, if it is an account's,
with the password that it was given for and with the account. Its row says when it was last used, to a few minutes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from .identity import Viewer, is_vouched_for
from .models import Guest, Token
from .rows import Row, Rows, marks, selected

H = TypeVar("H", User, Guest)

TOKEN_BYTES = 32
TOKENS_KEPT = 10
USE_NOTED_SECONDS = 300.0

TOKENS, USERS, GUESTS = Rows(Token), Rows(get_user_model()), Rows(Guest)
FROM_HOLDERS = (
    f"FROM {TOKENS.table}"
    f" LEFT JOIN {USERS.table} ON {USERS.key} = {TOKENS.table}.user_id"
    f" LEFT JOIN {GUESTS.table} ON {GUESTS.table}.id = {TOKENS.table}.guest_id"
)


@dataclass(frozen=True)
class Issued:
    """A new token. ``secret`` is nowhere else; ``expires_at`` is None where tokens do not expire."""

    secret: str
    expires_at: datetime | None


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def issue_token(holder: User | Guest) -> Issued:
    """Return a new token; the holder's oldest beyond ``TOKENS_KEPT`` cease to count."""
    secret, now = secrets.token_urlsafe(TOKEN_BYTES), timezone.now()
    lifetime = settings.LIMITS.token_seconds
    expires_at = now + timedelta(seconds=lifetime) if lifetime else None
    token = Token(digest=digest_of(secret), created_at=now, expires_at=expires_at, last_used_at=now)
    if isinstance(holder, Guest):
        token.guest = holder
    else:
        token.user, token.session_auth_hash = holder, holder.get_session_auth_hash()
    token.save(force_insert=True)
    _forget_old_ones(Token.objects.filter(user=token.user, guest=token.guest))
    return Issued(secret, expires_at)


def viewers_by_token(given: Collection[str]) -> dict[str, Viewer]:
    """Return who the tokens that are in force belong to. One query, and one more every few minutes."""
    digests = {digest_of(secret): secret for secret in given}
    found = [token for token in _with_holders(list(digests)) if _is_in_force(token, timezone.now())]
    _note_use(found)
    return {digests[row.digest]: _viewer(row, digests[row.digest]) for row in found}


def viewer_by_token(secret: str) -> Viewer | None:
    return viewers_by_token([secret]).get(secret)


def revoke_token(secret: str) -> None:
    Token.objects.filter(digest=digest_of(secret)).delete()


def revoke_tokens_of(viewer: Viewer) -> None:
    if viewer.is_authenticated:
        Token.objects.filter(user=viewer.user, guest=viewer.guest).delete()


def _with_holders(digests: Sequence[str]) -> list[Token]:
    """Those of the tokens that there are, each with whom it belongs to."""
    rows = selected([TOKENS, USERS, GUESTS], f"{FROM_HOLDERS} WHERE digest IN ({marks(digests)})", digests)
    user, guest = TOKENS.width, TOKENS.width + USERS.width  # where their columns begin
    users = _by_id(USERS, [row[user:guest] for row in rows])
    guests = _by_id(GUESTS, [row[guest:] for row in rows])
    tokens = TOKENS.made([row[:user] for row in rows])
    for token in tokens:
        token.user, token.guest = users.get(token.user_id), guests.get(token.guest_id)
    return tokens


def _by_id(table: Rows[H], rows: Sequence[Row]) -> dict[Any, H]:
    return {holder.pk: holder for holder in table.made([row for row in rows if row[table.key_at] is not None])}


def _is_in_force(token: Token, now: datetime) -> bool:
    if token.expires_at is not None and token.expires_at <= now:
        return False
    return token.user is None or (token.user.is_active and is_vouched_for(token.user, token.session_auth_hash))


def _viewer(token: Token, secret: str) -> Viewer:
    return Viewer(user=token.user, guest=token.guest, token=secret, ends_at=token.expires_at)


def _forget_old_ones(tokens: QuerySet[Token]) -> None:
    newest = tokens.order_by("-id").values_list("id", flat=True)[:TOKENS_KEPT]
    tokens.filter(~Q(id__in=list(newest)) | Q(expires_at__lte=timezone.now())).delete()


def _note_use(tokens: Iterable[Token]) -> None:
    """Write down that they were used, unless that was done lately or is being done by somebody else."""
    now = timezone.now()
    lately = now - timedelta(seconds=USE_NOTED_SECONDS)
    due = [token.pk for token in tokens if token.last_used_at is None or token.last_used_at < lately]
    if due:
        with transaction.atomic():
            free = Token.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk__in=due)
            Token.objects.filter(pk__in=list(free.values_list("pk", flat=True))).update(last_used_at=now)
