"""Who somebody is: an account, a guest, or nobody; and the tokens by which guests show it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from .models import Guest, Token

TOKEN_BYTES = 32
TOKENS_KEPT_PER_GUEST = 10


@dataclass(frozen=True)
class Viewer:
    """Who asks: a user, a guest or neither. ``token`` is the bearer token by which a guest was known."""

    user: User | None = None
    guest: Guest | None = None
    token: str | None = None

    @property
    def is_authenticated(self) -> bool:
        return self.user is not None or self.guest is not None

    @property
    def key(self) -> str | None:
        """A name for this viewer that no other has; None for nobody."""
        if self.user is not None:
            return f"user:{self.user.pk}"
        return f"guest:{self.guest.pk}" if self.guest is not None else None

    @property
    def display_name(self) -> str | None:
        if self.user is not None:
            return self.user.get_full_name() or self.user.get_username()
        return self.guest.display_name if self.guest is not None else None

    def has_permission(self, permission: str) -> bool:
        """Whether this is staff with a permission of the admin, such as ``rooms.delete_message``."""
        return self.user is not None and self.user.is_staff and self.user.has_perm(permission)


@dataclass(frozen=True)
class Operator(Viewer):
    """Whoever has a shell on the server. Never made for a request: nobody is taken for the operator by default."""

    @property
    def display_name(self) -> str:
        return "operator"

    def has_permission(self, permission: str) -> bool:
        return True


NOBODY = Viewer()
OPERATOR = Operator()


def as_of_now(viewer: Viewer) -> Viewer:
    """``viewer`` with the permissions that they have now, for who had any; nobody if the account has ended."""
    if viewer.user is None or not viewer.user.is_staff:
        return viewer
    user = User.objects.filter(pk=viewer.user.pk, is_active=True).first()
    return NOBODY if user is None else Viewer(user=user, token=viewer.token)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def issue_token(guest: Guest) -> str:
    """Return a new bearer token of ``guest``; the oldest beyond ``TOKENS_KEPT_PER_GUEST`` cease to count."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    lifetime = settings.LIMITS.token_seconds
    expires_at = timezone.now() + timedelta(seconds=lifetime) if lifetime else None
    Token.objects.create(guest=guest, digest=digest_of(token), expires_at=expires_at)
    kept = guest.tokens.order_by("-id").values_list("id", flat=True)[:TOKENS_KEPT_PER_GUEST]
    guest.tokens.exclude(id__in=list(kept)).delete()
    return token


def guest_by_token(token: str) -> Guest | None:
    found = Token.objects.select_related("guest").filter(digest=digest_of(token)).first()
    return found.guest if found else None


def guest_by_id(guest_id: int) -> Guest | None:
    return Guest.objects.filter(id=guest_id).first()
