"""The settings: everything that an operator may set is an environment variable, read here and nowhere else.

Without any variable Salas runs embedded: SQLite beside this project and the in-memory channel layer. With
``DATABASE_URL`` (PostgreSQL) and ``REDIS_URL`` it runs scaled out: any number of processes, one behaviour.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis.exceptions
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from schema.trusted import documents_in

from .base_path import cookie_name
from .environment import Environment
from .installation import derived_prefix
from .jwt import JwtSettings
from .limits import Limits
from .logs import FORMS, LEVELS, logging_settings
from .production import is_production, require_fit
from .values import MOST

BASE_DIR = Path(__file__).resolve().parent.parent
FRONTEND_DIR = BASE_DIR / "frontend"

env = Environment.with_file(
    os.environ, BASE_DIR / ".env"
)  # a wrong value is a fault; at the end all are raised at once


def secret_key_kept_in(path: Path) -> str:
    """Return the key in ``path``, made on the first run and readable by its owner only.

    Raises ImproperlyConfigured where there is none and none can be made.
    """
    try:
        if not path.exists():
            make_secret_key(path)
        if key := path.read_text().strip():
            return key
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"SECRET_KEY is not set, and {path} cannot be made or read: {error}") from error
    raise ImproperlyConfigured(f"SECRET_KEY is not set, and {path} is empty: remove it, and a new key is made")


def make_secret_key(path: Path) -> None:
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # readable by its owner only
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(50))
    with contextlib.suppress(FileExistsError):  # another process was faster: its key is the one
        os.link(made, path)  # whole or not at all
    Path(made).unlink()


DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
PRODUCTION = is_production(ALLOWED_HOSTS)
SECRET_KEY = env.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.secret_list("SECRET_KEY_FALLBACKS")
HTTPS = env.flag("HTTPS", default=PRODUCTION)
BASE_PATH = env.base_path("BASE_PATH")
FORCE_SCRIPT_NAME = BASE_PATH or None
proxies = env.networks("TRUSTED_PROXIES")
TRUSTED_PROXIES = proxies or []
LIMITS = env.checked(lambda: Limits.from_environment(env.variables), default=Limits())
if PRODUCTION:
    env.checked(
        lambda: require_fit(
            allowed_hosts=ALLOWED_HOSTS,
            debug=DEBUG,
            secret_keys=[SECRET_KEY, *SECRET_KEY_FALLBACKS],
            https=HTTPS,
            proxies=proxies,
        ),
        default=None,
    )
elif not SECRET_KEY:
    SECRET_KEY = env.checked(lambda: secret_key_kept_in(BASE_DIR / ".secret_key"), default="")

# Where `manage.py serve` listens, if its options do not say.
LISTEN_HOST = env.listening_host("HOST", default="127.0.0.1")
LISTEN_PORT = env.whole_number("PORT", default=8000, most=65535)

# Who may ask for the schema. Where the server answers to this machine alone, as it does for a newcomer, GraphiQL shows
# it to everyone.
AUDIENCES = ("everyone", "authenticated", "nobody")
GRAPHQL_INTROSPECTION = env.one_of(
    "GRAPHQL_INTROSPECTION", AUDIENCES, default="authenticated" if PRODUCTION else "everyone"
)
TRUSTED_DOCUMENTS = env.text("TRUSTED_DOCUMENTS")  # a file; schema/trusted.py says of what kind
PAGE_DOCUMENTS = FRONTEND_DIR / "dist" / "salas" / "documents.json"  # what the page asks for, which is always trusted
if TRUSTED_DOCUMENTS:
    env.checked(lambda: documents_in(TRUSTED_DOCUMENTS), default=None)

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "corsheaders",
    "django_vite",
    "strawberry_django",
    "rooms",
    "server",
]

MIDDLEWARE = [
    "config.headers.browser_headers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [FRONTEND_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


DATABASE_POOL_SIZE = env.whole_number("DATABASE_POOL_SIZE", default=16, least=1)


def transaction_limits(asked: str) -> dict[str, str]:
    """PostgreSQL's limits for each transaction; what the URL's ``options`` of libpq say of them counts instead."""
    milliseconds = min(math.ceil(LIMITS.statement_seconds * 1000), MOST)  # up: 0 would be no limit
    limits = {"lock_timeout": "5s", "statement_timeout": str(milliseconds)}
    for name, value in re.findall(r"(?:-c *|--)((?:lock|statement)[_-]timeout) *= *(\S+)", asked):
        limits[name.replace("-", "_")] = value
    return limits


def database() -> dict[str, Any]:
    """The one database, with what each engine needs to keep the promise."""
    parsed = env.database("DATABASE_URL", default=f"sqlite:///{quote(str(BASE_DIR / 'db.sqlite3'))}")
    options = parsed["OPTIONS"]
    if parsed["ENGINE"] == "django.db.backends.sqlite3":
        # IMMEDIATE takes the write lock at BEGIN, where waiting is possible; it stands for the row lock on the room.
        # synchronous stays FULL, SQLite's default: an acknowledged message survives a power cut.
        options |= {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}
        parsed["TEST"] = {"NAME": env.text("TEST_DATABASE_FILE", default=f"{parsed['NAME']}.test")}
    else:
        # A connection goes back to the pool after each piece of work, so a few serve many requests and sockets. Who
        # waits for a room's lock holds one: not for so long that those who wait for a connection give up.
        # A pool that cannot connect waits longer from try to try; after five seconds whoever asks next begins anew.
        options["pool"] = {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 10, "reconnect_timeout": 5}
        options["limits"] = transaction_limits(options.get("options", ""))
        parsed["ENGINE"] = "rooms.postgres"
        parsed["DISABLE_SERVER_SIDE_CURSORS"] = True  # PgBouncer may give each FETCH another session
        parsed["CONN_HEALTH_CHECKS"] = True  # after a restart of PostgreSQL the pool's connections are dead
    return parsed


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.redis("REDIS_URL")
REDIS_PREFIX = env.redis_prefix("REDIS_PREFIX") or derived_prefix(SECRET_KEY, str(DATABASES["default"]["NAME"]))
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": REDIS_PREFIX},
        }
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}

# A connection that was lost meanwhile, or whose server has become a replica, is closed and opened once more.
ONCE_MORE = Retry(NoBackoff(), 1, (redis.exceptions.ConnectionError, redis.exceptions.ReadOnlyError))

# What clients have confirmed is remembered here. Nobody waits long for it: without it they go on from ``after``.
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": [REDIS_URL],  # Django splits a text at commas and semicolons, a password's too
            "KEY_PREFIX": REDIS_PREFIX,
            "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": ONCE_MORE},
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 200_000}}
    )
}
# How often somebody does something is counted in the same place, and nobody waits for that: a send is answered within a
# second, Redis or not, and each process goes on counting for itself.
CACHES["rates"] = CACHES["default"] | (
    {"OPTIONS": CACHES["default"]["OPTIONS"] | {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}}
    if REDIS_URL
    else {}
)

AUTHENTICATION_BACKENDS = ["schema.backends.LimitedBackend"]
AUTH_JWT = env.checked(lambda: JwtSettings.from_environment(env.variables), default=None)
PASSWORD_HASHERS = ["rooms.passwords.Argon2PasswordHasher"] + [
    f"django.contrib.auth.hashers.{name}"  # what these hashed is hashed anew at the next login
    for name in ("PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "ScryptPasswordHasher")
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
] + [{"NAME": "rooms.passwords.FitValidator"}]

DATA_UPLOAD_MAX_MEMORY_SIZE = LIMITS.body_bytes or None

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("pt-br", "Português brasileiro")]
TIME_ZONE = env.time_zone("TIME_ZONE", default="UTC")
USE_TZ = True

# `make build` collects all static files, the admin's too, and compresses them. Without it they are served from where
# they are.
STATIC_URL = f"{BASE_PATH}/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [FRONTEND_DIR / "dist"]
STATICFILES_ARE_BUILT = not DEBUG and (STATIC_ROOT / "manifest.json").exists()
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_ALLOW_ALL_ORIGINS = False
WHITENOISE_USE_FINDERS = not STATICFILES_ARE_BUILT
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/salas/assets/"  # Vite's: each name has a hash of what is in it
DJANGO_VITE = {
    "default": {
        "dev_mode": False,
        "manifest_path": (STATIC_ROOT if STATICFILES_ARE_BUILT else FRONTEND_DIR / "dist") / "manifest.json",
    }
}

SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = env.whole_number("HSTS_SECONDS", default=365 * 24 * 3600 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("HSTS_INCLUDE_SUBDOMAINS", default=False)  # may be other people's
SECURE_HSTS_PRELOAD = env.flag("HSTS_PRELOAD", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = cookie_name("sessionid", base=BASE_PATH, https=HTTPS)
CSRF_COOKIE_NAME = cookie_name("csrftoken", base=BASE_PATH, https=HTTPS)
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = BASE_PATH or "/"
SESSION_ENGINE = "rooms.sessions"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30  # a guest in a browser stays that guest for thirty days
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/graphql/?$"
CORS_EXPOSE_HEADERS = ["X-Request-Id"]

LOGGING = logging_settings(
    level=env.one_of("LOG_LEVEL", LEVELS, default="WARNING"), form=env.one_of("LOG_FORMAT", FORMS, default="plain")
)

env.require_no_faults()
