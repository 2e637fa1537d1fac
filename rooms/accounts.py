"""Logging in and out: services, as those in ``services``, for who somebody is."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import update_last_login

from . import sessions, texts, tokens
from .exceptions import Forbidden, Unauthenticated
from .identity import Viewer, has_field
from .tokens import Issued

USERNAME_MAX_LENGTH = 254
"""For a user model whose user names have no limit; Django's own have 150."""


@dataclass(frozen=True)
class LoggedIn:
    viewer: Viewer
    issued: Issued


def log_in(*, username: str, password: str, address: str | None) -> LoggedIn:
    """Give a token to who knows an account's password.

    Raises Unauthenticated, in the same words and after the same work for an account that there is not, one that was
    deactivated, and one with another password; and RateLimited.
    """
    user = authenticate(None, username=username, password=password, address=address)
    if user is None:
        raise Unauthenticated("The user name or the password is wrong.")
    if has_field(user, "last_login"):
        update_last_login(type(user), user)
    issued = tokens.issue_token(user)
    return LoggedIn(Viewer(user=user, token=issued.secret, ends_at=issued.expires_at), issued)


def log_out(*, viewer: Viewer, everywhere: bool = False) -> None:
    """End the token that the viewer was known by, if any; ``everywhere``: all their tokens and sessions.

    Raises Forbidden for a token of the operator's provider: only that one can end it.
    """
    if viewer.is_foreign:
        raise Forbidden("This token is your identity provider's: log out there.")
    if viewer.token is not None:
        tokens.revoke_token(viewer.token)
    if everywhere:
        tokens.revoke_tokens_of(viewer)
        sessions.end_sessions_of(viewer)


def username_spellings(typed: str) -> tuple[str, ...]:
    """``typed`` as user names are stored (Django's ``normalize_username``: NFKC, case kept) and, if that is another
    text, as it is. None for what is nobody's."""
    model = get_user_model()
    max_length = model._meta.get_field(model.USERNAME_FIELD).max_length or USERNAME_MAX_LENGTH  # type: ignore[union-attr]
    name = typed.strip()
    is_short = 0 < len(name) <= texts.LONGEST_SPELLING * max_length
    if not (is_short and texts.is_storable(name) and texts.is_quickly_normalised(name)):
        return ()
    normal = model.normalize_username(name)
    return (normal,) if normal == name else (normal, name)
