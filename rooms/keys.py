"""Keys to verify a JWT with (RFC 7515, RFC 7517).

Each is for one algorithm, which its kind decides: a token cannot choose another one, and a public key is never taken
for a secret (RFC 8725, sections 2.1 and 3.1).

Knows nothing of Django, so that the settings can check what they are given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

HS256, RS256, EDDSA = "HS256", "RS256", "EdDSA"
ALGORITHMS = (HS256, RS256, EDDSA)

MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2
MIN_RSA_BITS = 2048  # RFC 7518, section 3.3

_NAMES_IN_JWK = {RS256: {None, RS256}, EDDSA: {None, EDDSA, "Ed25519"}}  # Ed25519: RFC 9864
_READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


class KeyUnfit(ValueError):
    """This is no key that we verify with. The message says why, without the key."""


@dataclass(frozen=True)
class Key:
    """``material`` is what PyJWT takes, ``key_id`` the ``kid`` of a key that is one of several."""

    algorithm: str
    material: Any = field(repr=False)
    key_id: str | None = None


def secret_key(secret: str) -> Key:
    """Raises KeyUnfit."""
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise KeyUnfit(f"a secret for HS256 has at least {MIN_SECRET_BYTES} bytes")
    return Key(HS256, secret.encode())


def public_key(pem: str) -> Key:
    """The key in a PEM text. Raises KeyUnfit."""
    try:
        return _asymmetric(load_pem_public_key(pem.encode()))
    except KeyUnfit:
        raise
    except Exception as error:  # cryptography has many
        raise KeyUnfit("not a public key in PEM: it begins with -----BEGIN PUBLIC KEY-----") from error


def keys_in_jwks(text: str | bytes) -> tuple[Key, ...]:
    """The keys of a JWK set that are for us. Raises KeyUnfit where there is none."""
    try:
        jwks = json.loads(text)["keys"]
        found = [_in_jwk(each) for each in jwks if isinstance(each, dict)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise KeyUnfit("not a JWK set: an object with `keys`") from error
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise KeyUnfit("no key for RS256 (RSA of 2048 bits or more) or EdDSA (Ed25519) in the JWK set")
    return keys


def _in_jwk(jwk: Mapping[str, Any]) -> Key | None:
    """The key in a JWK; None for one of another kind or for another use: a set may hold such for others."""
    reader = _READERS.get(str(jwk.get("kty")))
    if reader is None or jwk.get("use", "sig") != "sig":
        return None
    try:
        key = _asymmetric(reader(dict(jwk)))
    except (InvalidKeyError, KeyUnfit, ValueError, TypeError, KeyError):
        return None
    key_id = jwk.get("kid")
    is_for_it = jwk.get("alg") in _NAMES_IN_JWK[key.algorithm]
    return Key(key.algorithm, key.material, key_id if isinstance(key_id, str) else None) if is_for_it else None


def _asymmetric(key: object) -> Key:
    if isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        key = key.public_key()
    if isinstance(key, Ed25519PublicKey):
        return Key(EDDSA, key)
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return Key(RS256, key)
    raise KeyUnfit(f"neither an RSA key of at least {MIN_RSA_BITS} bits (RS256) nor an Ed25519 key (EdDSA)")
