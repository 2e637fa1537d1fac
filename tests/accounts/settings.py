"""Settings of an operator with a user model of their own, as docs/identity.md has it."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as SALAS_APPS

INSTALLED_APPS = [*SALAS_APPS, "tests.accounts"]
AUTH_USER_MODEL = "accounts.Account"
