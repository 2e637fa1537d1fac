"""Who somebody is: an account, a guest, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib.auth.models import User
from django.utils.crypto import constant_time_compare

from .models import Guest


@dataclass(frozen=True)
class Viewer:
    """Who asks: a user, a guest or neither.

    ``token`` is the bearer token of ours by which they were known, ``ends_at`` when that by which they were known ends
    by itself, if it does; ``is_foreign`` whether that is a token of the operator's provider, which we cannot end.
    """

    user: User | None = None
    guest: Guest | None = None
    token: str | None = None
    ends_at: datetime | None = None
    is_foreign: bool = False

    @property
    def is_authenticated(self) -> bool:
        return self.user is not None or self.guest is not None

    @property
    def key(self) -> str | None:
        """A name for this viewer that no other has; None for nobody."""
        if self.user is not None:
            return user_key(self.user.pk)
        return guest_key(self.guest.pk) if self.guest is not None else None

    @property
    def display_name(self) -> str | None:
        if self.user is not None:
            return self.user.get_full_name() or self.user.get_username()
        return self.guest.display_name if self.guest is not None else None

    @property
    def is_staff(self) -> bool:
        return self.user is not None and self.user.is_staff

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
    return NOBODY if user is None else replace(viewer, user=user)


def rights_of(viewer: Viewer) -> frozenset[str]:
    """What staff are permitted in the admin. Nothing for anybody else, of whom nothing is asked."""
    user = viewer.user
    return frozenset(user.get_all_permissions()) if user is not None and user.is_staff else frozenset()


def user_key(pk: int | str) -> str:
    return f"user:{pk}"


def guest_key(pk: int | str) -> str:
    return f"guest:{pk}"


def is_vouched_for(user: User, session_auth_hash: str) -> bool:
    """Whether the hash was made for the password that the account has now, with this or an earlier SECRET_KEY."""
    current = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(session_auth_hash, each) for each in current)
