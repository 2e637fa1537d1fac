"""Just enough to serve ``tests.server.application``."""

import os

from config.limits import Limits

SECRET_KEY = "not a secret"
INSTALLED_APPS = ["daphne", "server"]
ASGI_APPLICATION = "tests.server.application.application"
USE_TZ = True
LIMITS = Limits.from_environment(os.environ)
