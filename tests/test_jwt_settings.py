"""What ``AUTH_JWT_…`` may say; with anything else the server does not start, and says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.jwt import JwtSettings
from tests.provider import AUDIENCE, ISSUER, SECRET, ed25519_key, jwks_of, jwt_settings, pem_of, rsa_key

ROOT = Path(__file__).parents[1]


def test_nothing_set_is_no_provider() -> None:
    assert JwtSettings.from_environment({"PATH": "/bin", "AUTH_JWT_ISSUER": " "}) is None


def test_a_kind_of_key_has_its_algorithm() -> None:
    assert jwt_settings(SECRET=SECRET).algorithms == ("HS256",)
    assert jwt_settings(PUBLIC_KEY=pem_of(rsa_key())).keys[0].algorithm == "RS256"
    assert jwt_settings(PUBLIC_KEY=pem_of(ed25519_key())).keys[0].algorithm == "EdDSA"
    assert jwt_settings(JWKS_URL="https://id.example/jwks").algorithms == ("RS256", "EdDSA")


def test_files_are_read_once_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(pem_of(rsa_key()))
    (tmp_path / "jwks.json").write_text(jwks_of(one=rsa_key(), two=ed25519_key()))
    environment = {"AUTH_JWT_ISSUER": ISSUER, "AUTH_JWT_AUDIENCE": "salas, other"}
    by_key = JwtSettings.from_environment(environment | {"AUTH_JWT_PUBLIC_KEY_FILE": str(tmp_path / "key.pem")})
    by_set = JwtSettings.from_environment(environment | {"AUTH_JWT_JWKS_FILE": str(tmp_path / "jwks.json")})
    assert by_key is not None
    assert by_set is not None
    assert by_key.audience == ("salas", "other")
    assert [len(by_key.keys), len(by_set.keys)] == [1, 2]


@pytest.mark.parametrize("url", ["https://id.example/jwks", "http://127.0.0.1:9/jwks", "http://localhost/jwks"])
def test_keys_come_over_tls_or_from_this_machine(url: str) -> None:
    assert jwt_settings(JWKS_URL=url).jwks_url == url


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"SECRET": "short"}, "AUTH_JWT_SECRET: .* 32 bytes"),
        ({"SECRET": SECRET, "JWKS_URL": "https://id.example"}, "exactly one of .* not 2"),
        ({"ISSUER": ""}, "AUTH_JWT_ISSUER is missing"),
        ({"AUDIENCE": ""}, "AUTH_JWT_AUDIENCE is missing"),
        ({"ALGORITHMS": "none"}, "'none'"),
        ({"ALGORITHMS": "RS256"}, "AUTH_JWT_SECRET it is of HS256"),
        ({"JWKS_URL": "https://id.example", "ALGORITHMS": "HS256"}, "RS256, EdDSA, not 'HS256'"),
        ({"JWKS_URL": "http://id.example/jwks"}, "AUTH_JWT_JWKS_URL"),
        ({"JWKS_URL": "file:///etc/passwd"}, "AUTH_JWT_JWKS_URL"),
        ({"JWKS_URL": "https://["}, "AUTH_JWT_JWKS_URL"),
        ({"JWKS_URL": "https://"}, "AUTH_JWT_JWKS_URL"),
        ({"JWKS_FILE": "/nowhere/jwks.json"}, "AUTH_JWT_JWKS_FILE cannot be read: FileNotFoundError"),
        ({"PUBLIC_KEY": "nonsense"}, "AUTH_JWT_PUBLIC_KEY: not a public key"),
        ({"PUBLIC_KEY": pem_of(rsa_key("short", 1024))}, "2048 bits"),
        ({"PUBLIC_KEY": pem_of(rsa_key()), "ALGORITHMS": "EdDSA"}, "no key for EdDSA"),
        ({"LEEWAY": "x"}, "AUTH_JWT_LEEWAY"),
        ({"LEEWAY": "3600"}, "AUTH_JWT_LEEWAY"),
        ({"LEEWAY": "nan"}, "AUTH_JWT_LEEWAY"),
        ({"LEWAY": "3"}, "AUTH_JWT_LEWAY: there is no such setting"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_makes_no_sense_is_named_and_no_secret_is_told(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=complaint) as refused:
        jwt_settings(**given)
    assert SECRET not in str(refused.value)


def test_no_source_of_keys_is_one_too_few() -> None:
    with pytest.raises(ImproperlyConfigured, match="not 0 of them"):
        JwtSettings.from_environment({"AUTH_JWT_ISSUER": ISSUER, "AUTH_JWT_AUDIENCE": AUDIENCE})


def test_keys_are_not_in_what_the_settings_look_like() -> None:
    assert SECRET not in repr(jwt_settings(SECRET=SECRET))


def test_the_server_does_not_start_without_saying_why() -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "check"]
    environment = os.environ | {"AUTH_JWT_SECRET": "short", "AUTH_JWT_ISSUER": "x", "AUTH_JWT_AUDIENCE": "y"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "AUTH_JWT_SECRET: a secret for HS256 has at least 32 bytes" in ended.stderr
