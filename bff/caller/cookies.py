"""The session cookie: its name, its attributes, how it is written and read.

The value is `kid.id.signature`. It is read by writing it again and comparing in constant time, so
that it counts only if it is byte for byte what our own encoder writes; a forged one costs no
look-up in the store.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from itsdangerous import Signer

from bff.caller.request import BrowserRequest, Section
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.keys import KEY_ID, Key, Keyring, derive
from bff.problem import Reason, Refused

Kind = Literal["", "-login-", "-loop", "-logout"]

_LONGEST: Final = 34_560_000  # seconds; browsers keep no cookie longer (RFC 6265bis §5.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cookies:
    """The cookies of one front end; what they read is remembered by their identity."""

    frontend: FrontEnd
    keyring: Keyring = field(repr=False)

    def name(self, kind: Kind = "", rest: str = "") -> str:
        """The cookie's name: with the prefix that browsers hold to HttpOnly and this host.

        On a loopback http origin there is no Secure, and therefore no prefix.
        """
        return f"{'__Host-Http-' if self.frontend.secure else ''}bff{kind}{rest}"

    def line(
        self, name: str, value: str, *, same_site: Literal["Strict", "Lax"], max_age: int | None
    ) -> tuple[bytes, bytes]:
        """The Set-Cookie field. No cookie is without HttpOnly and an explicit SameSite."""
        parts = [f"{name}={value}", "Path=/", "HttpOnly", f"SameSite={same_site}"]
        if max_age is not None:
            parts.append(f"Max-Age={max_age}")
        if self.frontend.secure:
            parts.append("Secure")
        return (b"set-cookie", "; ".join(parts).encode())

    def session(self, session_id: str) -> tuple[bytes, bytes]:
        """The field that gives the browser a session."""
        section = self.frontend.session
        max_age = min(int(section.lifetime), _LONGEST) if section.persistent else None
        value = _signed(self.keyring.current, self.frontend.origin, session_id)
        return self.line(self.name(), value, same_site="Strict", max_age=max_age)

    def no_session(self) -> tuple[bytes, bytes]:
        """The field that takes it away; only `POST /bff/logout` does (S-13)."""
        return self.line(self.name(), "", same_site="Strict", max_age=0)

    def read_session(self, request: BrowserRequest) -> str:
        """The session id that the request carries. Raises Refused.

        NO_SESSION: none, two, or a forged one. SESSION_ENDED: under a retired key.
        KEY_UNKNOWN: signed, as it seems, with a key that has not come here yet.
        """
        kept = request.section.kept
        found: str | None = kept.get(self)
        if found is None:  # a browser sends its cookies again and again; no refusal is kept
            found = kept[self] = _read(self, request.section)
        return found

    def key_id(self, request: BrowserRequest) -> str:
        """Under which key the session cookie is that `read_session` has read."""
        (value,) = self.values(request, self.name())
        return value.partition(".")[0]

    def values(self, request: BrowserRequest | Section, name: str) -> list[str]:
        """Every value the request carries under exactly that name."""
        return [value for found, value in pairs(request) if found == name]


def pairs(request: BrowserRequest | Section) -> list[tuple[str, str]]:
    """The cookie pairs of a request, in order; names are case-sensitive (RFC 6265 §4.2)."""
    found = []
    for part in request.fields.get(b"cookie", b"").decode("latin-1").split(";"):
        name, equals, value = part.strip(" \t").partition("=")
        if equals:
            found.append((name, value))
    return found


def _read(cookies: Cookies, section: Section) -> str:
    frontend = cookies.frontend
    values = cookies.values(section, cookies.name())
    if not values:
        raise Refused(Reason.NO_SESSION)
    if len(values) > 1:
        tell(Event.COOKIE_FORGED, reason="twice", frontend=frontend.name)
        raise Refused(Reason.NO_SESSION)
    try:
        return _verified(cookies.keyring, frontend.origin, values[0])
    except Refused as refused:
        if refused.reason is Reason.NO_SESSION:
            tell(Event.COOKIE_FORGED, reason="forged", frontend=frontend.name)
        raise Refused(refused.reason) from None


def forget_cookies() -> None:
    """Let go of what was found right, and of the keys that it was found with."""
    _verified.cache_clear()
    _signer.cache_clear()


def _signed(key: Key, origin: str, session_id: str) -> str:
    return _signer(key, origin).sign(f"{key.kid}.{session_id}").decode()


@lru_cache(maxsize=64)
def _signer(key: Key, origin: str) -> Signer:
    return Signer(
        derive(key, "cookie", origin),
        sep=".",
        key_derivation="none",
        digest_method=hashlib.sha256,
    )


@lru_cache(maxsize=256)
def _verified(keyring: Keyring, origin: str, value: str) -> str:
    """The id in a cookie's value. Pure, so what was found right once is not reckoned again."""
    kid, _, rest = value.partition(".")
    session_id, _, _ = rest.partition(".")
    if not KEY_ID.fullmatch(kid):
        raise Refused(Reason.NO_SESSION)
    if kid in keyring.retired:
        raise Refused(Reason.SESSION_ENDED)
    key = keyring.find(kid)
    if key is None:
        raise Refused(Reason.KEY_UNKNOWN)
    if not hmac.compare_digest(_signed(key, origin, session_id).encode(), value.encode()):
        raise Refused(Reason.NO_SESSION)
    return session_id
