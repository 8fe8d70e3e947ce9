"""The keyring: key ids, and one derived key per purpose and origin.

The ring's bytes are used only through HKDF-SHA256 (RFC 5869), so that no two purposes ever share
a key and a cookie of one front end opens nothing of another.
"""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from typing_extensions import override

Purpose = Literal[
    "cookie", "login", "loop", "record", "client", "index", "ticket", "revocation", "log"
]  # fmt: skip

_PREFIX: Final = "bff1_"
KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the ring; its id is derived from it, so the two cannot fall apart."""

    kid: str
    material: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """`current` seals and opens, `accepted` only open, sessions under `retired` ids are over."""

    current: Key
    accepted: tuple[Key, ...] = ()
    retired: frozenset[str] = frozenset()

    @override
    def __hash__(self) -> int:
        """Of one key id: rings are asked for on every request, and there are few of them."""
        return hash(self.current.kid)

    def find(self, kid: str) -> Key | None:
        """The key of that id that may open, or None."""
        return next((key for key in (self.current, *self.accepted) if key.kid == kid), None)

    def all(self) -> tuple[Key, ...]:
        """Every key that may open, the current one first."""
        return (self.current, *self.accepted)


def new_key() -> str:
    """A fresh key as one line of text, as `bff keys new` prints it."""
    return _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def parse_key(text: str) -> Key:
    """The key in a line that `bff keys new` printed. Raises ValueError, quoting nothing of it."""
    encoded = text.strip().removeprefix(_PREFIX)
    try:
        material = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        material = b""
    if not text.strip().startswith(_PREFIX) or len(material) != 32:
        # `from None`: the cause would quote what it refused.
        raise ValueError("not a key as `bff keys new` prints it") from None
    return Key(kid=_expand(material, b"", b"bff/1/kid/", 4).hex(), material=material)


@lru_cache(maxsize=256)
def derive(key: Key, purpose: Purpose, origin: str) -> bytes:
    """The 32-byte key of one purpose and origin (RFC 5869)."""
    return _expand(key.material, b"", f"bff/1/{purpose}/{origin}".encode(), 32)


def derive_for(key: Key, purpose: Purpose, origin: str, salt: bytes) -> bytes:
    """The same, bound to `salt` as well: a session id, a ticket id or a login's own salt."""
    return _expand(key.material, salt, f"bff/1/{purpose}/{origin}".encode(), 32)


def _expand(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt or None, info=info).derive(material)
