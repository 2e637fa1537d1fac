"""How Django checks a user name and a password: as it always does, but never more often than the limits say.

Here and not in the forms, so that nothing which asks for a password gets round it: neither ``login`` nor the admin.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from rooms.attempts import attempt
from rooms.hashing import hashing_slot
from rooms.inputs import is_storable

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

        A name that no account has, an account without a password and one that is not active cost the same one hash.
        """
        if username is None or password is None:
            return None
        if request is not None:
            address = address_of(request)
        with attempt(f"user.{username}", address) as made, hashing_slot():
            asked = username if is_storable(username) else ""  # which is nobody's, and fits into the database
            known = password if is_storable(password) else ""
            user = super().authenticate(request, username=asked, password=known)
            if user is None or known != password:
                return None
            made.succeeded()
            return user
