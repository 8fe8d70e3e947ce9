"""DPoP: with each request, proof that we hold the key that a token is bound to (RFC 9449).

Under `client`, `token`, `userinfo` and the relay. A key belongs to one session, is sealed in its
record and never sent: what is sent is its public half, in proofs that are good once.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from jwt.algorithms import ECAlgorithm

ALG: Final = "ES256"
_OCTETS: Final = 32
_NONCE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,1024}")  # RFC 9449 §8.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopKey:
    """A session's key, ready to prove; `thumbprint` is RFC 7638's, by which tokens are bound."""

    private: EllipticCurvePrivateKey = field(repr=False)
    jwk: Mapping[str, str]
    thumbprint: str


def new_dpop_key() -> str:
    """A fresh key as text, to be sealed."""
    numbers = generate_private_key(SECP256R1()).private_numbers()
    return _base64url(numbers.private_value.to_bytes(_OCTETS, "big"))


def open_dpop_key(text: str) -> DpopKey:
    """The key in a text that `new_dpop_key` made."""
    octets = base64.urlsafe_b64decode(text + "=")
    private = derive_private_key(int.from_bytes(octets, "big"), SECP256R1())
    made = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    jwk = {name: str(made[name]) for name in ("crv", "kty", "x", "y")}
    canonical = "{" + ",".join(f'"{name}":"{value}"' for name, value in sorted(jwk.items())) + "}"
    thumbprint = _base64url(hashlib.sha256(canonical.encode()).digest())
    return DpopKey(private=private, jwk=jwk, thumbprint=thumbprint)


def proof(
    key: DpopKey,
    *,
    htm: str,
    htu: str,
    now: float,
    nonce: str | None = None,
    access_token: bytes | None = None,
) -> str:
    """A proof for one request: its method, its target without query, its token (§4.2)."""
    claims: dict[str, object] = {
        "jti": secrets.token_urlsafe(16),
        "htm": htm,
        "htu": htu,
        "iat": int(now),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = _base64url(hashlib.sha256(access_token).digest())
    return jwt.encode(
        claims, key.private, algorithm=ALG, headers={"typ": "dpop+jwt", "jwk": dict(key.jwk)}
    )


def htu_of(url: str) -> str:
    """The URL without query and fragment (§4.2)."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def read_nonce(value: str | None) -> str | None:
    """The nonce in a DPoP-Nonce field; what is none counts as absent."""
    return value if value is not None and _NONCE.fullmatch(value) else None


class Nonces:
    """The newest nonce of each server, by origin (§8.2). There are as many as there are servers."""

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}

    def newest(self, url: str) -> str | None:
        """What a proof for the server at that URL has to say."""
        return self._newest.get(_origin(url))

    def heard(self, url: str, nonce: str | None) -> None:
        """The server has said this one, if any; it counts from now on."""
        if nonce is not None:
            self._newest[_origin(url)] = nonce


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
