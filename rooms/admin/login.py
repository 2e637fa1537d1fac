"""The admin's own way in, which says when somebody tries too often."""

from __future__ import annotations

import math
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from rooms.exceptions import RateLimited


class LoginForm(AdminAuthenticationForm):
    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except RateLimited as refusal:
            seconds = {"seconds": math.ceil(refusal.retry_after)}
            raise ValidationError(
                _("Too many attempts. Try again in %(seconds)d seconds."), code="rate_limited", params=seconds
            ) from refusal
