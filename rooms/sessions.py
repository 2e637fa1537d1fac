"""Django's sessions in the database, with a column for whose it is, and who is known by one.

Read without Django's ``get_user``, which under an earlier SECRET_KEY moves a session to another key at once: a socket
has no way to tell that key to its browser.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeGuard

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.exceptions import ValidationError
from django.utils import timezone

from .identity import NOBODY, Viewer, guest_key, is_vouched_for
from .models import Guest, Session, user_key

GUEST_IN_SESSION = "guest_id"

_KEY = re.compile("[a-z0-9]{1,40}")


class SessionStore(DatabaseStore):
    """The engine, which notes whose a session is."""

    @classmethod
    def get_model_class(cls) -> Any:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        row.viewer_key = _viewer_key(data)
        return row


class _Held(NamedTuple):
    """What a session holds, and when it ends."""

    data: Mapping[str, Any]
    ends_at: datetime | None


def session_of(key: str | None) -> SessionStore:
    """The session of a cookie. A key that Django never makes is that of a new one: a database may choke on it."""
    return SessionStore(key if is_session_key(key) else None)


def is_session_key(key: str | None) -> TypeGuard[str]:
    return key is not None and _KEY.fullmatch(key) is not None


def keep_in_session(session: SessionBase, guest: Guest) -> None:
    """Let the session be the guest's, under a new key: an old one may be known to somebody else."""
    session.cycle_key()
    session[GUEST_IN_SESSION] = guest.pk


def viewers_by_session_key(keys: Collection[str]) -> dict[str, Viewer]:
    """Return whose the sessions are that there still are, in three queries at most.

    An account's where that is in force, else a guest's, else nobody's.
    """
    rows = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return _viewers({row.session_key: _Held(row.get_decoded(), row.expire_date) for row in rows})


def end_sessions_of(viewer: Viewer) -> None:
    if viewer.key is not None:
        Session.objects.filter(viewer_key=viewer.key).delete()


def _viewers(sessions: Mapping[str, _Held]) -> dict[str, Viewer]:
    held = [each.data for each in sessions.values()]
    users = get_user_model()._default_manager.in_bulk({pk for each in held if (pk := _user_pk(each)) is not None})
    guests = Guest.objects.in_bulk({each[GUEST_IN_SESSION] for each in held if GUEST_IN_SESSION in each})
    return {key: _viewer(each, users, guests) for key, each in sessions.items()}


def _user_pk(data: Mapping[str, Any]) -> Any:
    """The primary key of the account that a session is of; None where it is of none, or of another user model's."""
    try:
        return get_user_model()._meta.pk.to_python(data[SESSION_KEY]) if SESSION_KEY in data else None
    except ValidationError:
        return None


def _viewer(held: _Held, users: Mapping[Any, User], guests: Mapping[int, Guest]) -> Viewer:
    data = held.data
    user = users.get(_user_pk(data))
    if user is not None and user.is_active and _is_in_force(user, data):
        return Viewer(user=user, ends_at=held.ends_at)
    guest = guests.get(data.get(GUEST_IN_SESSION, 0))
    return NOBODY if guest is None else Viewer(guest=guest, ends_at=held.ends_at)


def _is_in_force(user: User, data: Mapping[str, Any]) -> bool:
    is_by_us = data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
    return is_by_us and is_vouched_for(user, data.get(HASH_SESSION_KEY, ""))


def _viewer_key(data: Mapping[str, Any]) -> str:
    if SESSION_KEY in data:
        return user_key(_user_pk(data))
    return guest_key(data[GUEST_IN_SESSION]) if GUEST_IN_SESSION in data else ""
