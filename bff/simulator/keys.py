"""The signing keys, the JWKS that publishes them, and the compact form of a JWS.

Two RSA keys and one EC key: the second RSA key is tomorrow's, published before it signs, as
providers do. A key that has been rotated out stays published until told otherwise.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Signer = Callable[[bytes], bytes]


def b64url(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def compact(header: Mapping[str, object], claims: Mapping[str, object], sign: Signer) -> str:
    """The compact JWS; nothing is checked, for faults must be able to sign nonsense."""
    signed = ".".join(
        b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )
    return f"{signed}.{b64url(sign(signed.encode('ascii')))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key pair; only its public half ever leaves."""

    kid: str
    alg: str
    private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The JWS signature over `message`."""
        if isinstance(self.private_key, rsa.RSAPrivateKey):
            long = self.alg == "RS512"
            digest = RSAAlgorithm.SHA512 if long else RSAAlgorithm.SHA256
            return RSAAlgorithm(digest).sign(message, self.private_key)
        return ECAlgorithm(ECAlgorithm.SHA256).sign(message, self.private_key)

    @property
    def public_key(self) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
        """The half that verifies."""
        return self.private_key.public_key()

    @property
    def public_pem(self) -> bytes:
        """The public key as a PEM file: the HMAC secret of the classic confusion attack."""
        return self.public_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as a member of the JWKS."""
        public = self.public_key
        jwk = (
            RSAAlgorithm.to_jwk(public, as_dict=True)
            if isinstance(public, rsa.RSAPublicKey)
            else ECAlgorithm.to_jwk(public, as_dict=True)
        )
        jwk.pop("key_ops", None)  # RFC 7517 §4.3: not together with `use`
        return {**jwk, "kid": self.kid, "alg": self.alg, "use": "sig"}


def _rsa() -> SigningKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return SigningKey(kid=f"rsa-{secrets.token_hex(4)}", alg="RS256", private_key=key)


def _ec() -> SigningKey:
    key = ec.generate_private_key(ec.SECP256R1())
    return SigningKey(kid=f"ec-{secrets.token_hex(4)}", alg="ES256", private_key=key)


class Keys:
    """The keys of one provider."""

    def __init__(self) -> None:
        self._current = {"RS256": _rsa(), "ES256": _ec()}
        self._next = _rsa()
        self._retired: list[SigningKey] = []
        self._published: set[str] = set()

    def signing(self, alg: str) -> SigningKey:
        """The key that signs with `alg` now."""
        return self._long if alg == "RS512" else self._current[alg]

    @property
    def _long(self) -> SigningKey:
        """For RS512: today's RSA key under another name."""
        today = self._current["RS256"]
        return replace(today, kid=f"{today.kid}-512", alg="RS512")

    @staticmethod
    def stranger(alg: str) -> SigningKey:
        """A key for `alg` that is nobody's: never published, never kept."""
        return _ec() if alg == "ES256" else replace(_rsa(), alg=alg)

    def rotate(self, *, keep: bool) -> None:
        """New keys sign; the old ones still verify, and stay in the JWKS if `keep`."""
        old = [*self._current.values(), self._long]
        self._retired.extend(old)
        self._published = {key.kid for key in self._retired} if keep else set()
        self._current = {"RS256": self._next, "ES256": _ec()}
        self._next = _rsa()

    def find(self, kid: str) -> SigningKey | None:
        """The key of that id, also one no longer published: a logout hint may be old."""
        return next((key for key in (*self._live(), *self._retired) if key.kid == kid), None)

    def jwks(self) -> dict[str, object]:
        """The public key set (RFC 7517 §5)."""
        old = [key for key in self._retired if key.kid in self._published]
        return {"keys": [key.jwk for key in (*self._live(), *old)]}

    def _live(self) -> Iterator[SigningKey]:
        yield from self._current.values()
        yield self._long
        yield self._next


def left_half(token: str, alg: str = "RS256") -> str:
    """`at_hash` of an access token beside that signature (OpenID Connect Core §3.1.3.6)."""
    function = hashlib.sha512 if alg == "RS512" else hashlib.sha256
    digest = function(token.encode("ascii")).digest()
    return b64url(digest[: len(digest) // 2])
