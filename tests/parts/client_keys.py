"""Key pairs of a client: PEM files for the BFF, public JWKs for whoever verifies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
ALGS: Final = ("PS256", "ES256", "EdDSA")


@dataclass(frozen=True)
class ClientKeyFile:
    kid: str
    alg: str
    private: PrivateKey
    file: Path

    @property
    def line(self) -> str:
        """As an entry of provider.client_keys."""
        return f'{{ kid = "{self.kid}", private_key = {{ file = "{self.file}" }} }}'

    @property
    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        match public:
            case rsa.RSAPublicKey():
                jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
            case ec.EllipticCurvePublicKey():
                jwk = ECAlgorithm.to_jwk(public, as_dict=True)
            case _:
                jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
        jwk.pop("key_ops", None)
        return {**jwk, "kid": self.kid, "alg": self.alg, "use": "sig"}


def private_key(alg: str) -> PrivateKey:
    if alg == "PS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if alg == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def write_key(
    folder: Path,
    alg: str,
    kid: str | None = None,
    *,
    private: PrivateKey | ec.EllipticCurvePrivateKey | None = None,
    passphrase: bytes | None = None,
) -> ClientKeyFile:
    found = private or private_key(alg)
    file = folder / f"{kid or alg}.pem"
    closed = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    file.write_bytes(found.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed))
    return ClientKeyFile(kid or alg, alg, found, file)


def jwt_lines(*keys: ClientKeyFile) -> str:
    """What makes a configuration sign with the first of them."""
    listed = ", ".join(key.line for key in keys)
    return f'client_authentication = "private_key_jwt"\nclient_keys = [{listed}]'
