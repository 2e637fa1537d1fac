"""The operator's own identity provider: whose tokens count, and which account they lead to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from rooms import provider
from rooms.identity import Viewer
from rooms.models import Identity
from rooms.provider import FRESH_SECONDS, KEPT_SECONDS, MAX_JWKS_BYTES, RETRY_SECONDS, RemoteKeys, viewers_by_jwt
from tests.people import make_staff
from tests.provider import (
    SECRET,
    ed25519_key,
    jwk_of,
    jwks_of,
    jwt_settings,
    pem_of,
    rsa_key,
    write,
)
from tests.rooms.admin_pages import page

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def by_secret(settings: Settings) -> None:
    settings.AUTH_JWT = jwt_settings()


def viewer(token: str) -> Viewer | None:
    return viewers_by_jwt([token]).get(token)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# Whose tokens count


def test_hs256_with_a_secret() -> None:
    assert viewer(write()) is not None
    assert viewer(write("another secret that is as long as the first one is")) is None


def test_rs256_with_a_public_key(settings: Settings) -> None:
    settings.AUTH_JWT = jwt_settings(PUBLIC_KEY=pem_of(rsa_key()))
    assert viewer(write(rsa_key(), "RS256")) is not None
    assert viewer(write(rsa_key("other"), "RS256")) is None


def test_eddsa_with_a_public_key(settings: Settings) -> None:
    settings.AUTH_JWT = jwt_settings(PUBLIC_KEY=pem_of(ed25519_key()).replace("\n", "\\n"))
    assert viewer(write(ed25519_key(), "EdDSA")) is not None
    assert viewer(write(ed25519_key("other"), "EdDSA")) is None


def test_a_jwk_set_in_a_file(settings: Settings, tmp_path: Any) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(jwks_of(r=rsa_key(), e=ed25519_key()))
    settings.AUTH_JWT = jwt_settings(JWKS_FILE=str(file))
    assert viewer(write(rsa_key(), "RS256", {"kid": "r"})) is not None
    assert viewer(write(ed25519_key(), "EdDSA", {"kid": "e"})) is not None
    assert viewer(write(rsa_key(), "RS256", {"kid": "e"})) is None
    assert viewer(write(rsa_key(), "RS256", {"kid": "unknown"})) is None
    assert viewer(write(rsa_key(), "RS256")) is None
    assert viewer(write(rsa_key("other"), "RS256", {"kid": "r"})) is None


def test_the_settings_narrow_the_algorithms(settings: Settings, tmp_path: Any) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(jwks_of(r=rsa_key(), e=ed25519_key()))
    settings.AUTH_JWT = jwt_settings(JWKS_FILE=str(file), ALGORITHMS="EdDSA")
    assert viewer(write(rsa_key(), "RS256", {"kid": "r"})) is None
    assert viewer(write(ed25519_key(), "EdDSA", {"kid": "e"})) is not None


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"iss": ["https://id.example"]},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"exp": None},
        {"exp": timedelta(seconds=-31)},
        {"exp": "never"},
        {"exp": float("inf")},
        {"nbf": timedelta(minutes=10)},
        {"iat": timedelta(minutes=10)},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": "a\0b"},
    ],
    ids=str,
)
def test_a_claim_that_is_wrong_or_missing_makes_it_nobody_s(claims: dict[str, Any]) -> None:
    assert viewer(write(**claims)) is None
    assert not Identity.objects.exists()


@pytest.mark.parametrize(
    "claims", [{"exp": timedelta(seconds=-5)}, {"aud": ["other", "salas"]}, {"exp": 1e15}], ids=str
)
def test_a_claim_may_be_a_little_late_and_one_of_several(claims: dict[str, Any]) -> None:
    assert viewer(write(**claims)) is not None


def test_no_algorithm_is_none() -> None:
    header, payload = b64(b'{"alg":"none","typ":"JWT"}'), write().split(".")[1]
    for token in (f"{header}.{payload}.", write(None, "none")):
        assert viewer(token) is None


def test_a_public_key_is_no_secret(settings: Settings) -> None:
    """Signed with HMAC and the text of the public key, which anybody has."""
    pem = pem_of(rsa_key())
    settings.AUTH_JWT = jwt_settings(PUBLIC_KEY=pem)
    header, payload = b64(b'{"alg":"HS256","typ":"JWT"}'), write().split(".")[1]
    signature = hmac.new(pem.encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    assert viewer(f"{header}.{payload}.{b64(signature)}") is None


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_the_right_key_does_not_count(algorithm: str) -> None:
    assert viewer(write(SECRET + SECRET, "HS256")) is None
    assert viewer(write(SECRET, algorithm)) is None


def test_a_key_that_the_token_brings_along_does_not_count(settings: Settings) -> None:
    settings.AUTH_JWT = jwt_settings(PUBLIC_KEY=pem_of(rsa_key()))
    own = rsa_key("other")
    assert viewer(write(own, "RS256", {"jwk": jwk_of(own, None), "jku": "https://evil.example/jwks"})) is None


def test_an_extension_that_must_be_understood_is_not() -> None:
    assert viewer(write(headers={"crit": ["exp"]})) is None


@pytest.mark.parametrize(
    "token",
    [
        "..",
        "a.b.c",
        ".",
        "a.b",
        "é.é.é",
        "\ud800.x.y",
        "x" * 9_000 + ".y.z",
        b64(b"[" * 5_000) + ".e30.x",
        b64(b"[]") + ".e30.x",
    ],
    ids=lambda token: ascii(token[:20]),
)
def test_what_is_no_token_is_nobody_s(token: str) -> None:
    assert viewer(token) is None


# Whose account it is


def test_one_subject_is_one_account_made_on_first_sight() -> None:
    first, again, other = viewer(write(name="Ana")), viewer(write(name="Ana")), viewer(write(sub="rui"))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.key == again.key != other.key
    assert (first.display_name, first.is_foreign, first.token) == ("Ana", True, None)
    assert first.user is not None
    assert not first.user.has_usable_password()
    assert not first.user.is_staff


def test_it_never_leads_to_an_account_that_was_there_before() -> None:
    boss = User.objects.create_superuser("boss", email="boss@example", password="x")
    Identity.objects.create(user=User.objects.create_user("jwt"), issuer="https://other.example", subject="boss")
    for subject in ("boss", "boss@example", str(boss.pk), "jwt"):
        found = viewer(write(sub=subject, name="boss", preferred_username="boss", email="boss@example"))
        assert found is not None
        assert found.user is not None
        assert not found.user.is_superuser
        assert found.user.username.startswith("jwt-")
    assert User.objects.count() == 2 + 4


def test_subjects_differ_by_every_character() -> None:
    keys = {(viewer(write(sub=subject)) or pytest.fail(subject)).key for subject in ("ana", "Ana", " ana", "ana ")}
    assert len(keys) == 4


def test_it_follows_the_name_that_the_token_says() -> None:
    viewer(write(name="Ana"))
    renamed = viewer(write(name="  Ana Maria  "))
    assert renamed is not None
    assert renamed.display_name == "Ana Maria"


@pytest.mark.parametrize("name", [1, ["x"], "", " ", "a\nb", "\u202eevil", "\ud800"], ids=ascii)
def test_a_name_that_cannot_be_shown_is_left_aside(name: object) -> None:
    viewer(write(name="Ana"))
    found = viewer(write(name=name))
    assert found is not None
    assert found.display_name == "Ana"


def test_a_deactivated_account_is_nobody_s() -> None:
    viewer(write())
    User.objects.update(is_active=False)
    assert viewer(write()) is None


def test_two_who_come_first_at_once_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = viewer(write())
    assert made is not None
    assert provider._made("https://id.example", "ana@example", "") == made.user
    assert User.objects.count() == 1


def test_many_are_looked_up_in_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    tokens = [write(sub=f"user-{number}") for number in range(5)]
    assert len(viewers_by_jwt(tokens)) == 5
    with django_assert_num_queries(1):
        assert len(viewers_by_jwt(tokens)) == 5


def test_the_admin_shows_whose_account_it_is() -> None:
    viewer(write())
    client, staff = Client(), make_staff().user
    assert staff is not None
    client.force_login(staff)
    assert "ana@example" in client.get(page("identity_changelist")).content.decode()
    assert "ana@example" in client.get(page("identity_change", Identity.objects.get().pk)).content.decode()


# Keys at an address


class Jwks(BaseHTTPRequestHandler):
    body: ClassVar[bytes] = b""
    location: ClassVar[str] = ""
    asked: ClassVar[int] = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(302 if self.location else 200)
        self.send_header("Location", self.location)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def jwks() -> Iterator[type[Jwks]]:
    """What the provider answers with. ``url`` is where."""
    handler = type("Handler", (Jwks,), {"body": jwks_of(one=rsa_key()).encode()})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_port}/jwks"  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def remote(jwks: Any, clock: Clock) -> RemoteKeys:
    return RemoteKeys(jwks.url, ("RS256", "EdDSA"), clock)


def test_an_unknown_key_is_asked_for_and_not_too_often(jwks: Any, remote: RemoteKeys, clock: Clock) -> None:
    remote.refresh("one")
    assert remote.knows("one")
    jwks.body = jwks_of(one=rsa_key(), two=ed25519_key()).encode()
    for _ in range(10):
        remote.refresh("two")
    assert (jwks.asked, remote.knows("two")) == (1, False)
    clock.now += RETRY_SECONDS
    remote.refresh("two")
    assert (jwks.asked, remote.knows("two")) == (2, True)


def test_known_keys_are_asked_for_again_now_and_then(jwks: Any, remote: RemoteKeys, clock: Clock) -> None:
    remote.refresh("one")
    clock.now += FRESH_SECONDS - 1
    assert not remote.wants("one")
    clock.now += 1
    jwks.body = jwks_of(two=rsa_key()).encode()
    remote.refresh("one")
    assert not remote.knows("one")


def test_known_keys_outlive_a_provider_that_is_away_for_a_while(jwks: Any, remote: RemoteKeys, clock: Clock) -> None:
    remote.refresh("one")
    jwks.body = b"<html>"
    clock.now += KEPT_SECONDS - 1
    remote.refresh("one")
    assert (jwks.asked, remote.knows("one")) == (2, True)
    clock.now += 1
    assert not remote.knows("one")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": 1}',
        b'{"keys": [1, {}]}',
        b"[" * 9_999,
        b"x" * (MAX_JWKS_BYTES + 1),
    ],
    ids=len,
)
def test_what_is_no_jwk_set_brings_no_key(body: bytes, jwks: Any, remote: RemoteKeys) -> None:
    jwks.body = body
    remote.refresh("one")
    assert (jwks.asked, remote.keys) == (1, ())


def test_nobody_is_sent_elsewhere_for_keys(jwks: Any, remote: RemoteKeys) -> None:
    jwks.location = jwks.url
    remote.refresh("one")
    assert (jwks.asked, remote.keys) == (1, ())


def test_keys_for_something_else_are_left_aside(jwks: Any, remote: RemoteKeys) -> None:
    others = [
        jwk_of(rsa_key(), "encrypting", use="enc"),
        jwk_of(rsa_key(), "rs512", alg="RS512"),
        jwk_of(rsa_key("short", 1024), "short"),
        {"kty": "oct", "kid": "secret", "k": b64(SECRET.encode())},
        {"kty": "EC", "crv": "P-256", "kid": "ec"},
        {"kty": [], "kid": "broken"},
    ]
    jwks.body = json.dumps({"keys": [*others, jwk_of(ed25519_key(), "good", use="sig", alg="EdDSA")]}).encode()
    remote.refresh(None)
    assert [(key.key_id, key.algorithm) for key in remote.keys] == [("good", "EdDSA")]


async def test_the_keys_are_there_before_a_token_is_looked_at(jwks: Any, settings: Settings) -> None:
    settings.AUTH_JWT = jwt_settings(JWKS_URL=jwks.url)
    token = write(rsa_key(), "RS256", {"kid": "one"})
    assert provider.claims_in(token, settings.AUTH_JWT) is None
    await provider.keys_ready([token, "no.jwt.", "ours"])
    assert provider.claims_in(token, settings.AUTH_JWT) is not None
    await provider.keys_ready([write(rsa_key(), "RS256", {"kid": str(number)}) for number in range(20)])
    assert jwks.asked == 1
