"""Texts as forms, models and commands want them checked: what ``texts`` refuses is a ValidationError, in the reader's
language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as translated
from django.utils.translation import gettext_lazy as _

from . import texts
from .models import DESCRIPTION_MAX_LENGTH, DISPLAY_NAME_MAX_LENGTH, ROOM_NAME_MAX_LENGTH

PASSWORD_MAX_LENGTH = 4096

P = ParamSpec("P")


# Each returns the normal form. Raises ValidationError.


def slug(text: str) -> str:
    found = texts.slug(text)
    if found is None:
        raise ValidationError(
            _("A slug has letters from a to z, digits, hyphens and underscores only."), code="invalid"
        )
    return found


def room_name(text: str) -> str:
    return _fit(texts.name, text, ROOM_NAME_MAX_LENGTH)


def display_name(text: str) -> str:
    return _fit(texts.name, text, DISPLAY_NAME_MAX_LENGTH)


def description(text: str) -> str:
    return _fit(texts.description, text, DESCRIPTION_MAX_LENGTH)


def part_of_name(text: str, max_length: int) -> str:
    """Half of an account's name, which may be empty."""
    return _fit(texts.name, text, max_length) if text.strip() else ""


def password(text: str, max_length: int = PASSWORD_MAX_LENGTH) -> str:
    """An empty one stays empty: whether there must be one is for the caller to say."""
    return _fit(texts.password, text, max_length)


def _fit(check: Callable[Concatenate[str, P], str], text: str, *args: P.args, **kwargs: P.kwargs) -> str:
    try:
        return check(text, *args, **kwargs)
    except texts.Unfit as refusal:
        raise ValidationError(translated(refusal.reason) % refusal.values, code="invalid") from refusal
