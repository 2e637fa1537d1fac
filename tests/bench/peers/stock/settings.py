"""The stock recipe's settings: what Django, Channels and Strawberry document, and nothing else."""

import os

import environ

SECRET_KEY = "for the benchmark only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["daphne", "channels", "chat"]
ASGI_APPLICATION = "asgi.application"
DATABASES = {"default": environ.Env().db_url("DATABASE_URL") | {"CONN_MAX_AGE": 60}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # Without the time-out redis-py 8 ends an idle receive after five seconds, and with it the socket.
        "CONFIG": {"hosts": [{"address": os.environ["REDIS_URL"], "socket_timeout": None}]},
    }
}
