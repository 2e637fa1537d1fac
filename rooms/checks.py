"""What the operator's user model (``AUTH_USER_MODEL``) must have, said before anything relies on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db.models import CharField, Field, IntegerField, Model, TextField, UUIDField

from .identity import has_field

KEY_MAX_LENGTH = 35  # with "user:" before it, as a session's row has room for


def check_user_model(**_: Any) -> list[CheckMessage]:
    """The system check."""
    return [Error(f"AUTH_USER_MODEL={settings.AUTH_USER_MODEL}: {fault}", id="rooms.E001") for fault in faults()]


def require_user_model() -> None:
    """Raise ImproperlyConfigured for a user model that won't do: not every server runs system checks."""
    if found := check_user_model():
        raise ImproperlyConfigured(found[0].msg)


def faults(given: type[Model] | None = None) -> Iterator[str]:
    """What is wrong with the user model, and what is right."""
    model: type[Any] = get_user_model() if given is None else given
    if not (
        issubclass(model, AbstractBaseUser) and issubclass(model, PermissionsMixin) and has_field(model, "is_staff")
    ):
        yield "it must derive from AbstractUser, or from AbstractBaseUser and PermissionsMixin with a field is_staff."
        return
    if model._meta.parents:
        yield "it derives from a model with a table of its own: derive from an abstract one."
    if not _is_fit_key(model._meta.pk):
        yield f"its primary key must be a number, a UUID or a text of at most {KEY_MAX_LENGTH} characters."
    if settings.AUTH_JWT is not None and (wanting := [field.name for field in _fields(model) if _is_wanting(field)]):
        names = ", ".join(wanting)
        yield f"AUTH_JWT_… makes accounts of their tokens' `sub` alone: give {names} a default, or let it be NULL."


def _is_fit_key(key: Field[Any, Any]) -> bool:
    if isinstance(key, CharField):
        return key.max_length is not None and key.max_length <= KEY_MAX_LENGTH
    return isinstance(key, IntegerField | UUIDField)


def _fields(model: type[Model]) -> Iterator[Field[Any, Any]]:
    """Those that nobody fills in who makes an account of a token."""
    filled = {"password", "first_name", getattr(model, "USERNAME_FIELD", "")}
    for field in model._meta.concrete_fields:
        if field.name not in filled and not (field.primary_key and not isinstance(field, CharField)):
            yield field


def _is_wanting(field: Field[Any, Any]) -> bool:
    """Whether an account without it can't be stored: an empty text can, but not twice where it is unique."""
    if field.null or field.has_default():
        return False
    return field.unique or (not isinstance(field, CharField | TextField) and not getattr(field, "auto_now_add", False))
