"""A server that others reach does not start without what keeps them from harm; a newcomer's needs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from config.https import client_scheme
from config.production import is_production, require_fit
from config.settings import secret_key_kept_in
from config.values import networks
from tests.services.salas import ROOT
from tests.settings_of import SECRET

FIT: dict[str, Any] = {
    "allowed_hosts": ["chat.example"],
    "debug": False,
    "secret_keys": [SECRET],
    "https": True,
    "proxies": networks("127.0.0.1"),
}
PRODUCTION = {"ALLOWED_HOSTS": "chat.example", "SECRET_KEY": SECRET, "TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8"}
WHOLE_DOMAIN = {"HSTS_INCLUDE_SUBDOMAINS": "1", "HSTS_PRELOAD": "1"}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these variables and none of a developer's own."""
    ours = {"DEBUG": "0", "SECRET_KEY": "", "SECRET_KEY_FALLBACKS": "", "TRUSTED_PROXIES": "", "REDIS_URL": ""}
    environment = os.environ | ours | variables | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("hosts", [["127.0.0.1", "localhost", "[::1]"], ["localhost"], []])
def test_a_newcomer_s_server_is_not_in_production(hosts: list[str]) -> None:
    assert not is_production(hosts)


@pytest.mark.parametrize("hosts", [["chat.example"], ["127.0.0.1", "192.0.2.1"], ["*"], [".example"], ["0.0.0.0"]])
def test_a_server_that_others_reach_is_in_production(hosts: list[str]) -> None:
    assert is_production(hosts)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"proxies": []},
        {"https": False, "proxies": None},
        {"secret_keys": [SECRET, SECRET[::-1]]},
        {"allowed_hosts": [".chat.example", "127.0.0.1"]},
    ],
)
def test_what_is_fit_starts(changed: dict[str, Any]) -> None:
    require_fit(**FIT | changed)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"debug": True}, "DEBUG"),
        ({"allowed_hosts": ["*"]}, "ALLOWED_HOSTS"),
        ({"allowed_hosts": ["chat.example", "*"]}, "ALLOWED_HOSTS"),
        ({"secret_keys": [""]}, "SECRET_KEY"),
        ({"secret_keys": [SECRET[:49]]}, "SECRET_KEY"),
        ({"secret_keys": ["ab" * 30]}, "SECRET_KEY"),
        ({"secret_keys": [f"django-insecure-{SECRET}"]}, "SECRET_KEY"),
        ({"secret_keys": [SECRET, "old"]}, "SECRET_KEY_FALLBACKS"),
        ({"proxies": None}, "TRUSTED_PROXIES"),
    ],
)
def test_what_is_not_fit_says_so(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=named) as refusal:
        require_fit(**FIT | changed)
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_all_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"DEBUG.*SECRET_KEY.*TRUSTED_PROXIES"):
        require_fit(**FIT | {"debug": True, "secret_keys": [""], "proxies": None})


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    kept = secret_key_kept_in(tmp_path / ".secret_key")
    assert len(kept) >= 50
    assert secret_key_kept_in(tmp_path / ".secret_key") == kept


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / ".secret_key").touch()
    with pytest.raises(ImproperlyConfigured, match="is empty: remove it"):
        secret_key_kept_in(tmp_path / ".secret_key")
    with pytest.raises(ImproperlyConfigured, match="cannot be made or read"):
        secret_key_kept_in(tmp_path / "no such directory" / ".secret_key")


@pytest.mark.end_to_end
@pytest.mark.parametrize("server", [("manage.py", "serve"), ("-m", "daphne", "config.asgi:application")])
def test_no_server_starts_unfit(server: tuple[str, ...]) -> None:
    done = run(*server, ALLOWED_HOSTS="chat.example", SECRET_KEY="short")
    assert done.returncode
    assert "Salas does not start: it is to answer to chat.example" in done.stderr
    assert "SECRET_KEY is at least 50 random characters" in done.stderr
    assert ("Traceback" in done.stderr) == ("daphne" in server)


@pytest.mark.end_to_end
def test_django_s_own_check_of_a_deployment_is_content() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **WHOLE_DOMAIN)
    assert not done.returncode, done.stderr


@pytest.mark.end_to_end
def test_django_s_own_check_sees_what_is_left_open() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, HTTPS="off")
    assert done.returncode
    assert "SECURE_SSL_REDIRECT" in done.stderr


def scope(kind: str, peer: str, **headers: str) -> dict[str, Any]:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": kind, "scheme": {"http": "http", "websocket": "ws"}[kind], "client": (peer, 1), "headers": sent}


@pytest.mark.parametrize(
    ("kind", "peer", "said", "wanted"),
    [
        ("http", "10.0.0.1", "https", "https"),
        ("websocket", "10.0.0.1", "https", "wss"),
        ("http", "10.0.0.1", "http", "http"),
        ("http", "10.0.0.1", "javascript", "http"),
        ("http", "10.0.0.1", "HTTPS ", "https"),
        ("websocket", "10.0.0.1", "wss", "wss"),
        ("http", "10.0.0.1", "https, http", "https"),
        ("http", "192.0.2.1", "https", "http"),
        ("websocket", "192.0.2.1", "https", "ws"),
    ],
)
def test_only_a_trusted_proxy_says_that_it_is_https(
    settings: Settings, kind: str, peer: str, said: str, wanted: str
) -> None:
    settings.TRUSTED_PROXIES = networks("10.0.0.0/8")
    assert client_scheme(scope(kind, peer, x_forwarded_proto=said)) == wanted


@pytest.mark.django_db
def test_plain_http_is_sent_to_https(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    response = Client().get("/entrar/")
    assert (response.status_code, response.headers["Location"]) == (301, "https://testserver/entrar/")
