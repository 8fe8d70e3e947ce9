"""A signed token in compact form: what its header may say, and whether a key made its signature.

Pure, and before `identity`: here nothing is known of claims. PyJWT checks signatures, everything
that decides which key and which algorithm it may use is decided before it is called.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bff.provider.call import json_object
from bff.provider.claims import text_of

MAX_TOKEN: Final = 16 * 1024  # characters
MIN_RSA_BITS: Final = 2048  # FAPI §5.4.1

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

# What a key must be for an algorithm (RFC 7518 §3.1, RFC 8037 §3.1). `none` and HS* are not
# here: whatever configuration says, no public key can be taken for a shared secret.
_KEY_KINDS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None), "RS384": ("RSA", None), "RS512": ("RSA", None),
    "PS256": ("RSA", None), "PS384": ("RSA", None), "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}  # fmt: skip


class TokenFault(StrEnum):
    """Why a token is not believed. For the log: a browser hears `id_token_invalid` for all."""

    MISSING = "missing"
    TOO_LONG = "too_long"
    NOT_COMPACT = "not_compact"
    HEADER = "header"
    ALG = "alg"
    CRIT = "crit"
    TYP = "typ"
    NO_KEY = "no_key"
    SIGNATURE = "signature"
    PAYLOAD = "payload"
    EVENTS = "events"
    ISS = "iss"
    SUB = "sub"
    SID = "sid"
    JTI = "jti"
    AUD = "aud"
    AZP = "azp"
    EXP = "exp"
    IAT = "iat"
    NBF = "nbf"
    NONCE = "nonce"
    AT_HASH = "at_hash"
    AUTH_TIME = "auth_time"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True, kw_only=True)
class JwsHeader:
    """What of a header counts. `jku`, `jwk`, `x5u` and `x5c` do not: see RFC 8725 §3.10."""

    alg: str
    kid: str | None
    typ: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key of the issuer's, with what its JWK says about it (RFC 7517 §4)."""

    kid: str | None
    kty: str
    crv: str | None
    alg: str | None
    public: PublicKey = field(repr=False)


def read_header(token: str | None, algorithms: Collection[str]) -> JwsHeader | TokenFault:
    """The header of a token in three parts, if its algorithm is one of those allowed."""
    if not token:
        return TokenFault.MISSING
    if len(token) > MAX_TOKEN:
        return TokenFault.TOO_LONG
    if token.count(".") != 2 or not token.isascii():
        return TokenFault.NOT_COMPACT  # five parts are an encrypted token (RFC 7516)
    header = json_object(_base64url(token.partition(".")[0]))
    if header is None:
        return TokenFault.HEADER
    if "crit" in header or "b64" in header:
        return TokenFault.CRIT  # we understand no extension (RFC 7515 §4.1.11)
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str) or alg not in algorithms or alg not in _KEY_KINDS:
        return TokenFault.ALG
    if not isinstance(kid, str | None) or not isinstance(typ, str | None):
        return TokenFault.HEADER
    return JwsHeader(alg=alg, kid=kid, typ=typ)


def _base64url(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def claimed_issuer(token: str) -> str:
    """Whose token it says it is: good for nothing but the choice of whose keys are to prove it."""
    claims = json_object(_base64url(token.split(".")[1])) if token.count(".") == 2 else None
    return text_of((claims or {}).get("iss")) or ""


def read_key(jwk: object) -> VerificationKey | None:
    """The key, or None where we cannot use it: another curve, `enc`, too short, unreadable."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    if "key_ops" in jwk and "verify" not in _list(jwk["key_ops"]):
        return None
    kid, kty, crv, alg = (jwk.get(name) for name in ("kid", "kty", "crv", "alg"))
    if not isinstance(kid, str | None) or not isinstance(alg, str | None):
        return None
    fitting = [name for name, kind in _KEY_KINDS.items() if kind in ((kty, crv), (kty, None))]
    public = _public(jwk, fitting[0]) if fitting else None
    if public is None or (isinstance(public, RSAPublicKey) and public.key_size < MIN_RSA_BITS):
        return None
    curve = crv if isinstance(crv, str) else None
    return VerificationKey(kid=kid, kty=str(kty), crv=curve, alg=alg, public=public)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _public(jwk: dict[str, object], algorithm: str) -> PublicKey | None:
    try:
        key = jwt.PyJWK(jwk, algorithm).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        return None
    # A private key that has been published is nobody's any more.
    return key if isinstance(key, PublicKey) else None


def fits(key: VerificationKey, header: JwsHeader) -> bool:
    """Whether the key may have signed a token with this header."""
    kty, crv = _KEY_KINDS[header.alg]
    return (
        key.kty == kty
        and (crv is None or key.crv == crv)
        and key.alg in (None, header.alg)
        and header.kid in (None, key.kid)
    )


def verified_payload(token: str, header: JwsHeader, key: VerificationKey) -> bytes | None:
    """The payload, if the signature is this key's."""
    try:
        found = jwt.PyJWS().decode_complete(token, key.public, algorithms=[header.alg])
    except jwt.PyJWTError:
        return None
    payload: bytes = found["payload"]
    return payload
