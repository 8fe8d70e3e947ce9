"""The key pairs by which we show the provider who we are (RFC 7523 §2.2): read from PEM, judged.

Under `checks`, and used by `provider`. One algorithm belongs to each kind of key, so that none can
be chosen wrong: PS256, ES256, EdDSA (FAPI 2.0 §5.4.1).
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from pydantic import SecretStr

from bff.config.faults import Fault
from bff.config.provider_section import ClientKey

MIN_RSA_BITS: Final = 2048  # FAPI 2.0 §5.4.1

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key pair, ready to sign; only its public half ever leaves."""

    kid: str
    alg: str
    private: PrivateKey = field(repr=False)
    thumbprint: str | None = None  # of its certificate (RFC 7515 §4.1.8)


class _Unusable(Exception):
    """No key that may sign; its text is what is wrong and how to mend it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.message, self.mend = message, mend


def signing_keys(listed: tuple[ClientKey, ...]) -> tuple[SigningKey, ...]:
    """The keys of a configuration without faults, in its order: the first one signs."""
    return tuple(
        replace(_opened(each.kid, each.private_key), thumbprint=_thumbprint(each))
        for each in listed
    )


def _thumbprint(key: ClientKey) -> str | None:
    if key.certificate is None:
        return None
    digest = _certificate(key.certificate).fingerprint(SHA256())
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _certificate(path: Path) -> Certificate:
    try:
        return load_pem_x509_certificate(path.read_bytes())
    except OSError:
        raise _Unusable("cannot be read", "name a file that this process may read") from None
    except ValueError:
        raise _Unusable("is no certificate in PEM", "name the certificate of this key") from None


def _fits(key: ClientKey, private: PrivateKey, certificate: Path) -> None:
    if _certificate(certificate).public_key() != private.public_key():
        raise _Unusable(
            f"is the certificate of another key than {key.kid}", "name the one of this key"
        )


def _opened(kid: str, pem: SecretStr) -> SigningKey:
    try:
        key = load_pem_private_key(pem.get_secret_value().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # `from None`: the cause may quote what it read.
        raise _Unusable(
            "is no private key in PEM without a passphrase",
            "make one with `openssl genpkey -algorithm ED25519` or as docs/provider.md says",
        ) from None
    match key:
        case RSAPrivateKey() if key.key_size < MIN_RSA_BITS:
            raise _Unusable(f"is shorter than {MIN_RSA_BITS} bits", "make a longer one")
        case RSAPrivateKey():
            return SigningKey(kid=kid, alg="PS256", private=key)
        case EllipticCurvePrivateKey() if isinstance(key.curve, SECP256R1):
            return SigningKey(kid=kid, alg="ES256", private=key)
        case Ed25519PrivateKey():
            return SigningKey(kid=kid, alg="EdDSA", private=key)
        case _:
            raise _Unusable("is a key of another kind", "use RSA, EC on P-256, or Ed25519")


def check_client_keys(listed: tuple[ClientKey, ...]) -> Iterator[Fault]:
    """The faults of the keys, and of their ids."""
    seen: set[str] = set()
    for place, each in enumerate(listed):
        where = f"provider.client_keys.{place}"
        if each.kid in seen:
            yield Fault(
                key=f"{where}.kid",
                message="is the id of another key too",
                mend="give each key an id of its own, and a new key a new one",
            )
        seen.add(each.kid)
        try:
            private = _opened(each.kid, each.private_key).private
        except _Unusable as wrong:
            yield Fault(key=f"{where}.private_key", message=wrong.message, mend=wrong.mend)
            continue
        try:
            if each.certificate is not None:
                _fits(each, private, each.certificate)
        except _Unusable as wrong:
            yield Fault(key=f"{where}.certificate", message=wrong.message, mend=wrong.mend)


def public_jwks(listed: tuple[ClientKey, ...]) -> dict[str, object]:
    """The JWK Set of the public halves (RFC 7517 §5), for the provider to verify with."""
    return {"keys": [_public_jwk(key) for key in signing_keys(listed)]}


def _public_jwk(key: SigningKey) -> Mapping[str, Any]:
    jwk = _jwk_of(key.private)
    jwk.pop("key_ops", None)  # not together with `use` (RFC 7517 §4.3)
    return {**jwk, "kid": key.kid, "alg": key.alg, "use": "sig"}


def _jwk_of(private: PrivateKey) -> dict[str, Any]:
    match private:
        case RSAPrivateKey():
            return RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case EllipticCurvePrivateKey():
            return ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case Ed25519PrivateKey():
            return OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
