"""Login transactions and the loop counter: sealed cookies, so that an anonymous visitor costs no
store write and tabs do not disturb each other.

Lax, not Strict: the provider's site begins the navigation to the callback, and a Strict cookie
would stay behind. Each lives ten minutes and opens only its own login.
"""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, TypeVar

from bff.caller.cookies import Cookies, pairs
from bff.caller.request import BrowserRequest
from bff.keys import Purpose
from bff.session.record import TRANSACTION_SECONDS, LoginTransaction
from bff.session.seal import KeyUnknown, SealBroken, Sealer

MOST: Final = 5  # open attempts in one browser
LOOP_SECONDS: Final = 60
LOOP_LOGINS: Final = 3
_SALT: Final = 32

T = TypeVar("T")
Line = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transactions:
    """The login-transaction cookies of one front end."""

    cookies: Cookies

    def name(self, state: str) -> str:
        """The cookie's name: it says which state it belongs to, and nothing else."""
        digest = hashlib.sha256(state.encode()).hexdigest()[:16]
        return self.cookies.name("-login-", digest)

    def write(self, transaction: LoginTransaction, request: BrowserRequest) -> list[Line]:
        """The fields that bind an attempt to this browser, and evict the oldest beyond five."""
        name = self.name(transaction.state)
        salt = secrets.token_bytes(_SALT)
        sealed = self._sealer("login").seal(transaction, place=name, salt=salt)
        value = _encode(salt + sealed)
        fresh = self.cookies.line(name, value, same_site="Lax", max_age=TRANSACTION_SECONDS)
        return [fresh, *(self._delete(old) for old in self._too_many(request))]

    def read(self, state: str, request: BrowserRequest) -> LoginTransaction | None:
        """The attempt that this state names, if the browser carries it and it opens."""
        name = self.name(state)
        values = self.cookies.values(request, name)
        return self._open(name, values[0]) if len(values) == 1 else None

    def delete(self, state: str) -> Line:
        """The field that takes an attempt away: it is used once."""
        return self._delete(self.name(state))

    def _delete(self, name: str) -> Line:
        return self.cookies.line(name, "", same_site="Lax", max_age=0)

    def unanswered(self, request: BrowserRequest) -> list[LoginTransaction]:
        """The attempts of this browser that have not come back."""
        return [each for each in self._attempts(request).values() if each is not None]

    def _attempts(self, request: BrowserRequest) -> dict[str, LoginTransaction | None]:
        prefix = self.cookies.name("-login-")
        return {
            name: self._open(name, value)
            for name, value in pairs(request)
            if name.startswith(prefix)
        }

    def _too_many(self, request: BrowserRequest) -> list[str]:
        """The names to evict so that one more fits: what does not open first, then the oldest."""
        ages = {
            name: 0.0 if each is None else each.started_at
            for name, each in self._attempts(request).items()
        }
        oldest = sorted(ages, key=lambda name: ages[name])
        return oldest[: max(0, len(oldest) - MOST + 1)]

    def _open(self, name: str, value: str) -> LoginTransaction | None:
        raw = _decode(value)
        if raw is None:
            return None
        return _opened(
            self._sealer("login"), raw[_SALT:], LoginTransaction, place=name, salt=raw[:_SALT]
        )

    def count_login(self, request: BrowserRequest, now: float) -> Line:
        """The field that remembers one more completed login, for a minute (L-17)."""
        name = self.cookies.name("-loop")
        times = [*self._logins(request, now), now][-LOOP_LOGINS:]
        value = _encode(self._sealer("loop").seal(times, place=name))
        return self.cookies.line(name, value, same_site="Lax", max_age=LOOP_SECONDS)

    def is_looping(self, request: BrowserRequest, now: float) -> bool:
        """Whether this browser completed three logins within the last minute."""
        return len(self._logins(request, now)) >= LOOP_LOGINS

    def forget_logins(self) -> Line:
        """The field that deletes the count: the person signed out on purpose."""
        return self.cookies.line(self.cookies.name("-loop"), "", same_site="Lax", max_age=0)

    def _logins(self, request: BrowserRequest, now: float) -> list[float]:
        name = self.cookies.name("-loop")
        values = self.cookies.values(request, name)
        raw = _decode(values[0]) if len(values) == 1 else None
        if raw is None:
            return []
        times = _opened(self._sealer("loop"), raw, list[float], place=name) or []
        return [time for time in times if now - time < LOOP_SECONDS]

    def _sealer(self, purpose: Purpose) -> Sealer:
        return Sealer(self.cookies.keyring, purpose, self.cookies.frontend.origin)


def _opened(
    sealer: Sealer, sealed: bytes, kind: type[T], *, place: str, salt: bytes = b""
) -> T | None:
    try:
        return sealer.open(sealed, kind, place=place, salt=salt)
    except (KeyUnknown, SealBroken):
        return None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes | None:
    """The bytes, only if the text is exactly what `_encode` writes: base64url has slack."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _encode(raw) == text else None
