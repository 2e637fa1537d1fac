"""An identity provider for tests: keys of each kind, and the tokens that it, or somebody who likes to be it, writes."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from config.jwt import JwtSettings

ISSUER = "https://id.example"
AUDIENCE = "salas"
SECRET = "a secret of the operator's, long enough for any HMAC that somebody may try"


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ed25519_key(name: str = "one") -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def pem_of(key: RSAPrivateKey | Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk_of(key: RSAPrivateKey | Ed25519PrivateKey, kid: str | None, **more: str) -> dict[str, Any]:
    if isinstance(key, RSAPrivateKey):
        text = RSAAlgorithm.to_jwk(key.public_key())
    else:
        text = OKPAlgorithm.to_jwk(key.public_key())
    return {**json.loads(text), **({} if kid is None else {"kid": kid}), **more}


def jwks_of(**keys: RSAPrivateKey | Ed25519PrivateKey) -> str:
    return json.dumps({"keys": [jwk_of(key, kid) for kid, key in keys.items()]})


def jwt_settings(**given: str) -> JwtSettings:
    """The settings of an operator who sets ``AUTH_JWT_…`` like this; with a secret if with nothing."""
    base = {"ISSUER": ISSUER, "AUDIENCE": AUDIENCE}
    source = given if given.keys() & {"SECRET", "PUBLIC_KEY", "JWKS_FILE", "JWKS_URL"} else {"SECRET": SECRET} | given
    found = JwtSettings.from_environment({f"AUTH_JWT_{name}": value for name, value in {**base, **source}.items()})
    assert found is not None
    return found


def write(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token. A claim that is None is left out; one that is a ``timedelta`` is so long from now."""
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana@example", "exp": timedelta(minutes=10)}
    payload = {name: _moment(value) for name, value in (usual | claims).items() if value is not None}
    return jwt.PyJWS().encode(json.dumps(payload).encode(), key, algorithm, headers)


def _moment(value: Any) -> Any:
    return time.time() + value.total_seconds() if isinstance(value, timedelta) else value
