"""Just enough to serve ``tests.server.application``."""

import os

from config.limits import Limits

SECRET_KEY = "not a secret"
INSTALLED_APPS = ["daphne", "server"]
ASGI_APPLICATION = "tests.server.application.application"
USE_TZ = True
# As many sockets as any machine lets files be open: else each server begins by saying how many it can hold.
LIMITS = Limits.from_environment({"SALAS_LIMIT_SOCKETS": "1000"} | os.environ)
