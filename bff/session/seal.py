"""Record ↔ sealed bytes: AES-256-GCM, its key bound to the session id, its place to the store key.

Sealed bytes are version, key id, nonce, ciphertext. A copy of the store is useless without the
keyring; a copy of the store with the keyring opens no record without its session id.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bff.keys import Key, Keyring, Purpose, derive, derive_for

_FORMAT: Final = b"\x01"
_KID: Final = 8
_NONCE: Final = 12

T = TypeVar("T")


class KeyUnknown(Exception):
    """Sealed under a key id that this process does not know: not now, but not never.

    Unless it is `retired`."""

    def __init__(self, *, retired: bool) -> None:
        super().__init__()
        self.retired = retired


class SealBroken(Exception):
    """Does not open: edited, moved to another place, or never ours."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals and opens values of one purpose for one origin."""

    keyring: Keyring
    purpose: Purpose
    origin: str

    def seal(self, value: object, *, place: str, salt: bytes = b"") -> bytes:
        """The value sealed under the current key, to be opened only at `place` with `salt`."""
        key = self.keyring.current
        nonce = secrets.token_bytes(_NONCE)
        plain = msgspec.msgpack.encode(value)
        closed = AESGCM(self._key(key, salt)).encrypt(nonce, plain, place.encode())
        return _FORMAT + key.kid.encode() + nonce + closed

    def open(self, sealed: bytes, kind: type[T], *, place: str, salt: bytes = b"") -> T:
        """The value in the bytes. Raises KeyUnknown, SealBroken."""
        kid = sealed[1 : 1 + _KID].decode("ascii", "replace")
        if sealed[:1] != _FORMAT or len(sealed) < 1 + _KID + _NONCE:
            raise SealBroken
        key = self.keyring.find(kid)
        if key is None:
            raise KeyUnknown(retired=kid in self.keyring.retired)
        nonce = sealed[1 + _KID : 1 + _KID + _NONCE]
        try:
            cipher = AESGCM(self._key(key, salt))
            plain = cipher.decrypt(nonce, sealed[1 + _KID + _NONCE :], place.encode())
            return msgspec.msgpack.decode(plain, type=kind)
        except (InvalidTag, msgspec.MsgspecError):
            # `from None`: a decoding error quotes what it read.
            raise SealBroken from None

    def _key(self, key: Key, salt: bytes) -> bytes:
        if not salt:
            return derive(key, self.purpose, self.origin)
        return derive_for(key, self.purpose, self.origin, salt)


def store_key(kind: str, frontend: str, *parts: str) -> str:
    """The place of a record: SHA-256 over kind, front end and parts, each with its length.

    It does not depend on the keyring, so a claim or a marker holds through a rotation.
    """
    return hash_of(kind, frontend, *parts).hex()


def hash_of(*parts: str) -> bytes:
    """SHA-256 over the parts, each with its length: no two of them run into each other."""
    digest = hashlib.sha256()
    for part in parts:
        octets = part.encode()
        digest.update(len(octets).to_bytes(4, "big") + octets)
    return digest.digest()
