"""Who somebody is: an account, a guest, or nobody.

Accounts are of the operator's user model (``AUTH_USER_MODEL``), for which ``User`` stands in annotations; ``checks``
says what it must have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import FieldDoesNotExist
from django.db.models import EmailField, Model
from django.utils.crypto import constant_time_compare

from .exceptions import Forbidden, Refusal, Unauthenticated
from .models import Guest, user_key
from .texts import mended_name

SHOWN_NAME_MAX_LENGTH = 301  # a first and a last name of Django's, and the space between them


class Flaw(Enum):
    """What is wrong with the credentials that a client has shown."""

    TOKEN = "The bearer token is not in force: log in or join again, or send none."  # noqa: S105
    SITE = (
        "A session counts only with its site's own Origin or a CSRF token (X-CSRFToken): send one, or a bearer token."
    )


@dataclass(frozen=True)
class Viewer:
    """Who asks: a user, a guest or neither.

    ``token`` is the bearer token of ours by which they were known, ``ends_at`` when that by which they were known ends
    by itself, if it does; ``is_foreign`` whether that is a token of the operator's provider, which we cannot end.
    ``flaw`` is why the credentials that were shown do not count: the viewer is unknown then, and may do what needs no
    viewer.
    """

    user: User | None = None
    guest: Guest | None = None
    token: str | None = None
    ends_at: datetime | None = None
    is_foreign: bool = False
    flaw: Flaw | None = None

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
            return shown_name(self.user)
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
NOT_IN_FORCE = Viewer(flaw=Flaw.TOKEN)
OF_ANOTHER_SITE = Viewer(flaw=Flaw.SITE)
OPERATOR = Operator()


class Flawed(Refusal):
    """What needs a viewer is refused, since the credentials that were shown do not count."""


class TokenNotInForce(Flawed, Unauthenticated):
    default_message = Flaw.TOKEN.value


class SessionOfAnotherSite(Flawed, Forbidden):
    default_message = Flaw.SITE.value


def flaw_refused(viewer: Viewer) -> Flawed | None:
    """How what needs a viewer is refused where credentials were shown that do not count; None where that is not so."""
    match viewer.flaw:
        case Flaw.TOKEN:
            return TokenNotInForce()
        case Flaw.SITE:
            return SessionOfAnotherSite()
    return None


def require_sound(viewer: Viewer) -> None:
    """Raises Flawed: an answer for an unknown viewer would mislead a client that believes to be known."""
    if refusal := flaw_refused(viewer):
        raise refusal


def as_of_now(viewer: Viewer) -> Viewer:
    """``viewer`` with the permissions that they have now, for who had any; nobody if the account has ended."""
    if viewer.user is None or not viewer.user.is_staff:
        return viewer
    user = get_user_model()._default_manager.filter(pk=viewer.user.pk).first()
    return NOBODY if user is None or not user.is_active else replace(viewer, user=user)


def rights_of(viewer: Viewer) -> frozenset[str]:
    """What staff are permitted in the admin. Nothing for anybody else, of whom nothing is asked."""
    user = viewer.user
    return frozenset(user.get_all_permissions()) if user is not None and user.is_staff else frozenset()


def shown_name(user: User) -> str:
    """What an account is called: its full name or, where that shows nothing, its user name.

    Of an e-mail address it is only what nobody can write to. Whatever wrote it, this is a name (``texts.name``): a
    shell and other programs write accounts, too.
    """
    full = mended_name(getattr(user, "get_full_name", str)(), SHOWN_NAME_MAX_LENGTH, instead="")
    is_address = isinstance(user._meta.get_field(user.USERNAME_FIELD), EmailField)
    username = user.get_username()
    return full or mended_name(username.partition("@")[0] if is_address else username, SHOWN_NAME_MAX_LENGTH)


def guest_key(pk: int | str) -> str:
    return f"guest:{pk}"


def has_field(user: type[Model] | Model, name: str) -> bool:
    """Whether the operator's user model has it; Django's own has those that are asked for."""
    try:
        user._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def is_vouched_for(user: User, session_auth_hash: str) -> bool:
    """Whether the hash was made for the password that the account has now, with this or an earlier SECRET_KEY."""
    current = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(session_auth_hash, each) for each in current)
