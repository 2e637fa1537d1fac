"""Just enough to serve ``tests.server.application``."""

SECRET_KEY = "not a secret"
INSTALLED_APPS = ["daphne", "server"]
ASGI_APPLICATION = "tests.server.application.application"
USE_TZ = True
