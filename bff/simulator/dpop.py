"""DPoP proofs (RFC 9449), judged to the letter: by the provider, and by the API on its own.

A proof is good once, for one method, target and token, and with the newest nonce where one is
demanded.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm

from bff.simulator.keys import b64url
from bff.simulator.once import Once
from bff.simulator.refusal import Reason, Refused

PAST: Final = 60  # seconds
AHEAD: Final = 10

Habit = Literal["never", "on_success", "demanded"]


class Nonces:
    """What a server wants in proofs: one value, until it is changed."""

    def __init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        """Another one from now on."""
        self.current = secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """One request as a proof must describe it; `proofs` are the values of its DPoP fields."""

    proofs: tuple[str, ...] = field(repr=False)
    method: str
    url: str  # without its query
    now: float
    access_token: str | None = field(default=None, repr=False)


def thumbprint_of(request: Proven, once: Once, nonces: Nonces, habit: Habit) -> str:
    """The RFC 7638 thumbprint of the key that made the proof; raises Refused."""
    if len(request.proofs) != 1:
        raise Refused(Reason.DPOP_MISSING)
    jwk, claims = _signed(request.proofs[0])
    if claims.get("htm") != request.method or claims.get("htu") != request.url:
        raise Refused(Reason.DPOP_TARGET)
    iat, jti = claims.get("iat"), claims.get("jti")
    if not isinstance(iat, int) or not request.now - PAST <= iat <= request.now + AHEAD:
        raise Refused(Reason.DPOP_TIME)
    _check_token(request.access_token, claims.get("ath"))
    _check_nonce(claims.get("nonce"), nonces, habit)
    thumbprint = _thumbprint(jwk)
    if not isinstance(jti, str) or len(jti) < 16 or not once.use("dpop", thumbprint, jti):
        raise Refused(Reason.DPOP_REPLAYED)
    return thumbprint


def _signed(proof: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
    try:
        header = jwt.get_unverified_header(proof)
    except jwt.PyJWTError:
        raise Refused(Reason.DPOP_MALFORMED) from None
    jwk = header.get("jwk")
    if header.get("typ") != "dpop+jwt" or header.get("alg") != "ES256":
        raise Refused(Reason.DPOP_HEADER)
    if not isinstance(jwk, dict) or set(jwk) != {"kty", "crv", "x", "y"}:
        raise Refused(Reason.DPOP_HEADER)  # a private half above all
    try:
        key = ECAlgorithm.from_jwk(jwk)
        if not isinstance(key, EllipticCurvePublicKey):
            raise Refused(Reason.DPOP_HEADER)
        found = jwt.PyJWS().decode_complete(proof, key, algorithms=["ES256"])
        return jwk, msgspec.json.decode(found["payload"], type=dict[str, Any])
    except (jwt.PyJWTError, msgspec.DecodeError, ValueError):
        raise Refused(Reason.DPOP_SIGNATURE) from None


def _check_token(access_token: str | None, ath: object) -> None:
    wanted = None
    if access_token is not None:
        wanted = b64url(hashlib.sha256(access_token.encode()).digest())
    if ath != wanted:
        raise Refused(Reason.DPOP_ATH)


def _check_nonce(nonce: object, nonces: Nonces, habit: Habit) -> None:
    if nonce is None and habit != "demanded":
        return
    if habit == "never" or nonce != nonces.current:
        raise Refused(Reason.DPOP_NONCE)


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return b64url(hashlib.sha256(msgspec.json.encode(members)).digest())
