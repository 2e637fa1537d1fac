"""Every variable of README's table: what it may say, in which spellings, and how a wrong value is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment
from tests.provider import AUDIENCE, ISSUER
from tests.provider import SECRET as JWT_SECRET
from tests.services.salas import ROOT, server_environment
from tests.settings_of import SECRET, documented, settings_with

PRODUCTION = {"ALLOWED_HOSTS": "chat.example", "TRUSTED_PROXIES": "none"}
JWT = {"AUTH_JWT_ISSUER": ISSUER, "AUTH_JWT_AUDIENCE": AUDIENCE, "AUTH_JWT_SECRET": JWT_SECRET}
JWKS = {"AUTH_JWT_ISSUER": ISSUER, "AUTH_JWT_AUDIENCE": AUDIENCE, "AUTH_JWT_JWKS_URL": "https://id.example/jwks"}
FLAGS = {"on": True, "TRUE": True, "Yes": True, "1": True, "off": False, "False": False, "no": False, "0": False}
NO_FLAGS = ("of", "maybe", "2", "none", "enabled", "on off", "-1")
ORIGINS = {
    "https://app.example": ["https://app.example"],
    "https://app.example/": ["https://app.example"],
    "HTTPS://App.Example:443": ["https://app.example"],
    "http://app.example:80 ,\thttps://app.example:8443/": ["http://app.example", "https://app.example:8443"],
    '"https://a.example", "https://b.example",': ["https://a.example", "https://b.example"],
    "https://[0:0::1]:8443": ["https://[::1]:8443"],
    "capacitor://localhost": ["capacitor://localhost"],
}
NO_ORIGINS = (
    "app.example",
    "*",
    "null",
    "https://*.app.example",
    "https://app.example/page",
    "https://app.example?x",
    "https://ana@app.example",
    "https://app.example:port",
    "https://app.example:70000",
    "wss://app.example",
    "https://münchen.example",
    "https://a.example https://b.example",
    "//app.example",
    "https://",
    ",",
)


@dataclass(frozen=True)
class Variable:
    """``value`` is what the settings make of it, ``right`` that of each text; ``beside`` is what it wants beside it."""

    value: Callable[[ModuleType], Any]
    right: Mapping[str, Any]
    wrong: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)


def database(settings: ModuleType) -> tuple[Any, ...]:
    found = settings.DATABASES["default"]
    return (found["NAME"], *(found.get(name, "") for name in ("USER", "PASSWORD", "HOST", "PORT")))


def jwt(name: str) -> Callable[[ModuleType], Any]:
    return lambda settings: getattr(settings.AUTH_JWT, name, None)


DIRECTORY = Path(__file__).parent
VARIABLES = {
    "DATABASE_URL": Variable(
        database,
        {
            "postgres://ana:secret@db.example:5433/salas": ("salas", "ana", "secret", "db.example", "5433"),
            "POSTGRESQL://ana@db.example/salas?sslmode=verify-full": ("salas", "ana", "", "db.example", ""),
            "postgres://ana:pa#s$%25s;,@db/salas": ("salas", "ana", "pa#s$%s;,", "db", ""),
            "postgres://ana:p@ss%w+rd[@db/salas": ("salas", "ana", "p@ss%w+rd[", "db", ""),
            "postgres://ana:pa%2Fs%3Fs%23@db/a%40b": ("a@b", "ana", "pa/s?s#", "db", ""),
            "postgres://one:1,two:2/salas": ("salas", "", "", "one,two", "1,2"),
            "postgres://%2Frun%2Fpostgresql/salas": ("salas", "", "", "/run/postgresql", ""),
            f"sqlite:///{DIRECTORY}/a%20b.sqlite3": (f"{DIRECTORY}/a b.sqlite3", "", "", "", ""),
            "sqlite:///rooms.sqlite3": ("rooms.sqlite3", "", "", "", ""),
        },
        (
            "salas",
            "mysql://ana:secret@db/salas",
            "postgres://ana:secret/x@db/salas",
            "postgres://ana:123secret/x@db/salas",
            "postgres://ana:123/secret@db/salas",
            "postgres://ana:secret@db:port/salas",
            "postgres://ana:secret@db",
            "postgres://ana:secret@[::1/salas",
            "postgres://ana:secret@db/salas?no_such=secret",
            "postgres:ana:secret@db/salas",
            "sqlite://rooms.sqlite3",
            "sqlite://",
            "sqlite:///",
            "sqlite://:memory:",
            "sqlite:///:memory:",
            "sqlite:///rooms.sqlite3?mode=ro",
            "sqlite:////no/such/directory/rooms.sqlite3",
            f"sqlite:///{DIRECTORY}",
        ),
    ),
    "DATABASE_POOL_SIZE": Variable(
        lambda settings: settings.DATABASE_POOL_SIZE, {"1": 1, "40": 40}, ("0", "-1", "x", "1.5", "1e9")
    ),
    "REDIS_URL": Variable(
        lambda settings: settings.REDIS_URL,
        {
            "redis://redis.example:6379/0": "redis://redis.example:6379/0",
            "REDISS://:secret@redis.example?ssl_ca_certs=/x.pem": "rediss://:secret@redis.example?ssl_ca_certs=/x.pem",
            "redis://:pa#s@s%w,d@redis.example/1": "redis://:pa%23s%40s%25w,d@redis.example/1",
            "unix:///run/redis.sock?db=1": "unix:///run/redis.sock?db=1",
        },
        (
            "redis.example:6379",
            "http://redis.example",
            "redis://redis.example:port",
            "redis://:secret/x@redis.example/0",
            "redis://:123/secret@redis.example/0",
            "redis://redis.example/rooms",
            "redis://redis.example/0#secret",
            "redis://redis.example/0?no_such=secret",
            "redis://redis.example/0?socket_timeout=secret",
        ),
    ),
    "SECRET_KEY": Variable(
        lambda settings: settings.SECRET_KEY,
        {f"${SECRET}": f"${SECRET}", f"$HOME{SECRET}": f"$HOME{SECRET}", f"{SECRET}#\\$": f"{SECRET}#\\$"},
    ),
    "SECRET_KEY_FALLBACKS": Variable(
        lambda settings: settings.SECRET_KEY_FALLBACKS, {"$one": ["$one"], "one, two,": ["one", "two"]}, (",",)
    ),
    "ALLOWED_HOSTS": Variable(
        lambda settings: settings.ALLOWED_HOSTS,
        {
            "chat.example, www.chat.example": ["chat.example", "www.chat.example"],
            "Chat.Example.,": ["chat.example"],
            "'chat.example', \"www.chat.example\"": ["chat.example", "www.chat.example"],
            ".chat.example": [".chat.example"],
            "192.0.2.1,2001:DB8::1,[2001:db8:0::2]": ["192.0.2.1", "[2001:db8::1]", "[2001:db8::2]"],
        },
        (
            "https://chat.example",
            "chat.example:8000",
            "[::1]:8000",
            "chat.example/",
            "chat.example www.chat.example",
            "*.chat.example",
            "münchen.example",
            "chat_room",
            "['chat.example']",
            "chat..example",
            ".",
            ",",
        ),
        {"TRUSTED_PROXIES": "none"},
    ),
    "TRUSTED_PROXIES": Variable(
        lambda settings: settings.TRUSTED_PROXIES,
        {
            "10.0.0.5, 192.168.0.0/16": [ip_network("10.0.0.5"), ip_network("192.168.0.0/16")],
            "[::1],fd00::/8": [ip_network("::1"), ip_network("fd00::/8")],
            "::ffff:10.0.0.5": [ip_network("10.0.0.5")],
            "::ffff:10.0.0.0/104": [ip_network("10.0.0.0/8")],
            "None": [],
        },
        ("nonsense", "proxy.example", "10.0.0.1/8", "10.0.0.1 10.0.0.2", "10.0.0.1:80", "none,10.0.0.1", "*", ","),
    ),
    "REDIS_PREFIX": Variable(
        lambda settings: settings.REDIS_PREFIX,
        {"chat": "chat", "chat.example:1": "chat.example:1", "A-z_0": "A-z_0"},
        ("chat*", "chat?", "[chat]", "chat room", "é", "x" * 65),  # what an ACL would read as a pattern
    ),
    "BASE_PATH": Variable(
        lambda settings: settings.BASE_PATH,
        {"/": "", "/chat/": "/chat", "chat": "/chat", "/a/b": "/a/b"},
        ("https://chat.example/chat/", "/chat?x", "/../x", "/a b/"),
    ),
    "HTTPS": Variable(lambda settings: settings.SECURE_SSL_REDIRECT, FLAGS, NO_FLAGS, PRODUCTION),
    "HSTS_SECONDS": Variable(
        lambda settings: settings.SECURE_HSTS_SECONDS, {"0": 0, "60": 60}, ("1y", "-1", "1.5", "on")
    ),
    "HSTS_INCLUDE_SUBDOMAINS": Variable(lambda settings: settings.SECURE_HSTS_INCLUDE_SUBDOMAINS, FLAGS, NO_FLAGS),
    "HSTS_PRELOAD": Variable(lambda settings: settings.SECURE_HSTS_PRELOAD, FLAGS, NO_FLAGS),
    "CORS_ALLOWED_ORIGINS": Variable(lambda settings: settings.CORS_ALLOWED_ORIGINS, ORIGINS, NO_ORIGINS),
    "CSRF_TRUSTED_ORIGINS": Variable(lambda settings: settings.CSRF_TRUSTED_ORIGINS, ORIGINS, NO_ORIGINS),
    "GRAPHQL_INTROSPECTION": Variable(
        lambda settings: settings.GRAPHQL_INTROSPECTION,
        {"everyone": "everyone", "Authenticated": "authenticated", "NOBODY": "nobody"},
        ("off", "none", "false", "staff"),
        PRODUCTION,
    ),
    "TRUSTED_DOCUMENTS": Variable(
        lambda settings: settings.TRUSTED_DOCUMENTS, {}, ("/no/such/list.json", str(DIRECTORY), __file__)
    ),
    "SALAS_LIMIT_…": Variable(
        lambda settings: settings.LIMITS.document_depth, {"0": 0, "12": 12}, ("ten", "2.5", "-1", "1e3", "9999999999")
    ),
    "AUTH_JWT_…": Variable(jwt("leeway_seconds"), {"0": 0.0, "2.5": 2.5}, ("x", "-1", "301", "nan"), JWT),
    "LOG_LEVEL": Variable(
        lambda settings: settings.LOGGING["root"]["level"],
        {"DEBUG": "DEBUG", "info": "INFO", "Critical": "CRITICAL"},
        ("loud", "20", "WARN ING"),
    ),
    "LOG_FORMAT": Variable(
        lambda settings: settings.LOGGING["formatters"]["chosen"]["()"].__name__,
        {"JSON": "JsonFormatter", "Plain": "DiscreetFormatter"},
        ("xml",),
    ),
    "HOST": Variable(
        lambda settings: settings.LISTEN_HOST,
        {"0.0.0.0": "0.0.0.0", "::1": "::1", "[::1]": "::1", "chat_1": "chat_1"},
        ("http://0.0.0.0", "0.0.0.0:8000", "0.0.0.0/", "a b", "[::1]:8000"),
    ),
    "PORT": Variable(lambda settings: settings.LISTEN_PORT, {"0": 0, "9000": 9000}, ("x", "-1", "65536", "80.0")),
    "TIME_ZONE": Variable(
        lambda settings: settings.TIME_ZONE,
        {"America/Sao_Paulo": "America/Sao_Paulo"},
        ("Mars", "america/sao_paulo", "America", "../UTC", "/etc/passwd"),
    ),
    "DEBUG": Variable(lambda settings: settings.DEBUG, FLAGS, NO_FLAGS),
    "TEST_DATABASE_FILE": Variable(
        lambda settings: settings.DATABASES["default"]["TEST"]["NAME"], {"/tmp/x.sqlite3": "/tmp/x.sqlite3"}
    ),
}
NAMES = {"SALAS_LIMIT_…": "SALAS_LIMIT_DOCUMENT_DEPTH", "AUTH_JWT_…": "AUTH_JWT_LEEWAY"}
SECRETS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRET_KEY_FALLBACKS")


def value_of(listed: str, text: str) -> Any:
    variable = VARIABLES[listed]
    return variable.value(settings_with(**variable.beside, **{NAMES.get(listed, listed): text}))


def refusal_of(listed: str, text: str) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        value_of(listed, text)
    return str(refused.value)


def test_readme_lists_what_the_settings_read_and_nothing_else() -> None:
    source = (ROOT / "config/settings.py").read_text()
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', source))
    assert read | set(NAMES) == documented()
    assert not re.search(r"os\.environ\b(?!, BASE_DIR)|getenv", source)


def test_every_variable_of_the_table_is_in_these_tests() -> None:
    assert set(VARIABLES) == documented()


@pytest.mark.parametrize("name", sorted(VARIABLES.keys() - {"SECRET_KEY"}))
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    unset = VARIABLES[name].value(settings_with(**VARIABLES[name].beside))
    assert [value_of(name, text) for text in ("", " \n", '""', "' '")] == [unset] * 4


@pytest.mark.parametrize("name", VARIABLES)
def test_a_right_value_is_understood_with_spaces_and_quotes_around(name: str) -> None:
    for text, wanted in VARIABLES[name].right.items():
        spellings = (text, f" {text}\r\n", f"'{text}'", f' "{text} "')
        assert [value_of(name, spelling) for spelling in spellings] == [wanted] * 4


@pytest.mark.parametrize("name", VARIABLES)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_variable(name: str) -> None:
    for text in VARIABLES[name].wrong:
        refusal = refusal_of(name, text)
        assert refusal.startswith(NAMES.get(name, name))
        assert "\n" not in refusal
        assert len(refusal) < 400


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_told(name: str) -> None:
    told = " ".join(refusal_of(name, text) for text in VARIABLES[name].wrong)
    assert "secret" not in told.lower().replace(name.lower(), "")


@pytest.mark.parametrize("name", VARIABLES)
def test_what_is_not_utf_8_is_refused(name: str) -> None:
    assert "is not UTF-8 text" in refusal_of(name, "\udcff")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://chat.example/", "several: chat.example"),
        ("chat.example:8000", "several: chat.example"),
        ("*.chat.example", "several: .chat.example"),
    ],
)
def test_a_host_that_is_none_is_answered_with_the_one_that_was_meant(text: str, meant: str) -> None:
    assert refusal_of("ALLOWED_HOSTS", text).endswith(meant)


def test_other_things_are_answered_with_what_was_meant() -> None:
    assert "write 10.0.0.0/8" in refusal_of("TRUSTED_PROXIES", "10.0.0.1/8")
    assert "a name such as America/Sao_Paulo" in refusal_of("TIME_ZONE", "america/sao_paulo")
    assert "everyone, authenticated, nobody" in refusal_of("GRAPHQL_INTROSPECTION", "off")
    with pytest.raises(ImproperlyConfigured, match="SALAS_LIMIT_DOCUMENT_DEPTH is one"):
        settings_with(SALAS_LIMIT_DOCUMENT_DEPHT="3")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        settings_with(HTTPS="of", LOG_LEVEL="loud", SALAS_LIMIT_SOCKETS="x", AUTH_JWT_LEWAY="1", PORT="http")
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "HTTPS",
        "SALAS_LIMIT_SOCKETS",
        "PORT",
        "AUTH_JWT_LEWAY",
        "LOG_LEVEL",
    ]


@pytest.mark.parametrize("name", ["AUTH_JWT_AUDIENCE", "AUTH_JWT_ALGORITHMS"])
def test_a_list_of_nothing_lets_no_token_through(name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name}: ',' lists nothing"):
        settings_with(**JWKS | {name: ","})


def test_a_port_that_is_none_is_known_before_keys_are_fetched() -> None:
    with pytest.raises(ImproperlyConfigured, match="AUTH_JWT_JWKS_URL"):
        settings_with(**JWKS | {"AUTH_JWT_JWKS_URL": "https://id.example:port/jwks"})


@pytest.mark.parametrize(("seconds", "milliseconds"), [("0.0001", 1), ("2147483647", 2**31 - 1), ("0", 0)])
def test_the_time_of_a_statement_is_what_postgresql_takes_and_never_none_by_rounding(
    seconds: str, milliseconds: int
) -> None:
    settings = settings_with(DATABASE_URL="postgres://db/salas", SALAS_LIMIT_STATEMENT_SECONDS=seconds)
    assert settings.DATABASES["default"]["OPTIONS"]["limits"]["statement_timeout"] == str(milliseconds)


def test_a_password_with_commas_is_one_server_to_the_cache() -> None:
    settings = settings_with(REDIS_URL="redis://:a,b;c@redis.example/0")
    assert settings.CACHES["default"]["LOCATION"] == ["redis://:a,b;c@redis.example/0"]


@pytest.mark.end_to_end
def test_a_command_ends_with_the_lines_and_nothing_else() -> None:
    ours = {"HTTPS": "of", "ALLOWED_HOSTS": "https://chat.example", "CORS_ALLOWED_ORIGINS": "app.example"}
    environment = server_environment("", "") | ours
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    names = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert names == ["ALLOWED_HOSTS", "HTTPS", "CORS_ALLOWED_ORIGINS"]


@pytest.mark.parametrize("text", ["", " ", '""'])
def test_an_empty_key_is_none(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is at least 50 random characters"):
        settings_with(**PRODUCTION | {"SECRET_KEY": text})


# The file .env


def with_file(path: Path, content: str | bytes, **variables: str) -> Environment:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Environment.with_file(variables, path)


def test_a_file_sets_what_the_environment_does_not(tmp_path: Path) -> None:
    content = 'DEBUG=on\nexport PORT = 9000  # a comment\r\n\n# HTTPS=on\nHOST="a b"\nLOG_LEVEL=\n'
    environment = with_file(tmp_path / ".env", content, DEBUG="off", TIME_ZONE="")
    assert environment.variables == {
        "DEBUG": "off",
        "TIME_ZONE": "",
        "PORT": "9000",
        "HOST": "a b",
        "LOG_LEVEL": "",
    }
    assert not environment.faults


def test_an_empty_variable_stands_above_the_file(tmp_path: Path) -> None:
    assert with_file(tmp_path / ".env", "REDIS_URL=redis://redis.example", REDIS_URL="").redis("REDIS_URL") == ""


@pytest.mark.parametrize(
    "line", ["SECRET_KEY=$a#b${HOME}", "SECRET_KEY='$a#b${HOME}'", '\ufeffSECRET_KEY="$a#b${HOME}"']
)
def test_nothing_in_a_file_is_replaced(tmp_path: Path, line: str) -> None:
    assert with_file(tmp_path / ".env", f"{line}\n").text("SECRET_KEY") == "$a#b${HOME}"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("DEBUG=off\nALLOWED HOSTS=chat.example\n", r"\.env: line 2 cannot be read"),
        ("DEBUG='off\n", r"\.env: line 1 cannot be read"),
        (b"SECRET_KEY=\xff\n", r"\.env: the file is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, content: str | bytes, fault: str) -> None:
    environment = with_file(tmp_path / ".env", content)
    with pytest.raises(ImproperlyConfigured, match=fault):
        environment.require_no_faults()


def test_a_directory_in_the_place_of_the_file_is_a_fault(tmp_path: Path) -> None:
    environment = Environment.with_file({}, tmp_path)
    with pytest.raises(ImproperlyConfigured, match="the file cannot be read: Is a directory"):
        environment.require_no_faults()


def test_without_a_file_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert Environment.with_file({}, tmp_path / ".env").faults == []
