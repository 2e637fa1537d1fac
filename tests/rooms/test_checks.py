"""A user model that won't do is refused in one line that says what would."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import AbstractBaseUser, AbstractUser, PermissionsMixin, User
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test.utils import isolate_apps
from pytest_django import Settings

from rooms.checks import check_user_model, faults, require_user_model


class Bare(AbstractBaseUser, PermissionsMixin):
    class Meta:
        abstract = True


def model(base: type[models.Model], **fields: Any) -> type[models.Model]:
    meta = type("Meta", (), {"app_label": "rooms"})
    with isolate_apps("rooms", "django.contrib.auth", "django.contrib.contenttypes"):
        return type("Account", (base,), {"__module__": __name__, "Meta": meta, **fields})


@pytest.mark.parametrize("kind", [models.BigAutoField, models.UUIDField, models.CharField])
def test_keys_of_many_kinds_will_do(kind: type[models.Field[Any, Any]]) -> None:
    length: dict[str, Any] = {"max_length": 35} if kind is models.CharField else {}
    assert not list(faults(model(AbstractUser, key=kind(primary_key=True, **length))))
    assert not check_user_model()


@pytest.mark.parametrize(
    ("base", "fields", "fault"),
    [
        (models.Model, {}, "derive from AbstractUser"),
        (Bare, {}, "a field is_staff"),
        (User, {}, "an abstract one"),
        (AbstractUser, {"key": models.CharField(max_length=36, primary_key=True)}, "at most 35 characters"),
        (AbstractUser, {"key": models.FloatField(primary_key=True)}, "a number, a UUID or a text"),
    ],
)
def test_another_is_refused(base: type[models.Model], fields: dict[str, Any], fault: str) -> None:
    assert fault in " ".join(faults(model(base, **fields)))


def test_one_of_which_tokens_can_make_no_account_is_refused_where_they_are_to(settings: Settings) -> None:
    wanting = model(AbstractUser, born=models.DateField(), tax_number=models.CharField(max_length=20, unique=True))
    assert not list(faults(wanting))
    settings.AUTH_JWT = object()
    (fault,) = faults(wanting)
    assert "give born, tax_number a default" in fault


def test_a_server_that_runs_no_checks_does_not_start() -> None:
    refused = pytest.raises(ImproperlyConfigured, match="AUTH_USER_MODEL")
    with patch("rooms.checks.faults", return_value=["no."]), refused:
        require_user_model()
