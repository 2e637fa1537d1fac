"""Logging in and out: services, as those in ``services``, for who somebody is."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import authenticate
from django.contrib.auth.models import User, update_last_login

from . import sessions, tokens
from .exceptions import Forbidden, Unauthenticated
from .identity import Viewer
from .tokens import Issued


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
    if not isinstance(user, User):
        raise Unauthenticated("The user name or the password is wrong.")
    update_last_login(User, user)
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
