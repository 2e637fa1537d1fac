"""How Django checks a user name and a password: as it always does, but never more often than the limits say.

Here and not in the forms, so that nothing which asks for a password gets round it: neither ``login`` nor the admin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from rooms.accounts import username_spellings
from rooms.attempts import attempt
from rooms.hashing import hashing_slot
from rooms.passwords import is_right

from .addresses import address_of


class LimitedBackend(ModelBackend):
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        address: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """``address`` is the client's, where there is no request to tell it. Raises RateLimited.

        A name that no account has, an account without a password and one that is not active cost the same hashes: one,
        and one more for a password that is typed otherwise than in its normal form.
        """
        username = kwargs.pop(get_user_model().USERNAME_FIELD, None) if username is None else username
        if username is None or password is None:
            return None
        if request is not None:
            address = address_of(request)
        names = username_spellings(username)
        with attempt(f"user.{names[0] if names else username}", address) as made, hashing_slot():
            user = account_called(names)
            if not _is_password_of(user, password) or not self.user_can_authenticate(user):
                return None
            made.succeeded()
            return user


def account_called(names: Sequence[str]) -> User | None:
    """The account with the first of these user names that there is."""
    model = get_user_model()
    found = {
        user.get_username(): user for user in model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": names})
    }
    return next((found[name] for name in names if name in found), None)


def _is_password_of(user: User | None, password: str) -> bool:
    def renew(password: str) -> None:
        """As Django's ``check_password`` does: the password is the same, only its hash is another."""
        if user is not None:
            user.set_password(password)
            user._password = None  # type: ignore[attr-defined]  # no change that validators hear of
            user.save(update_fields=["password"])

    return is_right(password, "" if user is None else user.password, renew)
