"""That a form was sent from our own page, and not by another site with the operator's password.

A browser adds the Basic credential to whatever any page sends here, so it proves nothing about
who asks. The browser's own word (Sec-Fetch-Site, Origin) is needed, and a token that only a page
of ours can hold.
"""

import hashlib
import hmac
import re
from typing import Final

LASTS: Final = 1800  # seconds that a page may stand open before one of its forms is sent

_TOKEN: Final = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})")


def token(key: bytes, bound_to: tuple[str, ...], now: int) -> str:
    """The token of a page that is about what `bound_to` names; `now` in seconds of any clock."""
    until = now + LASTS
    return f"{until}.{_mac(key, bound_to, until)}"


def is_ours(given: str, key: bytes, bound_to: tuple[str, ...], now: int) -> bool:
    """Whether it is a token of such a page, made by this process and not too long ago."""
    match = _TOKEN.fullmatch(given)
    if match is None or int(match[1]) < now:
        return False
    return hmac.compare_digest(match[2], _mac(key, bound_to, int(match[1])))


def _mac(key: bytes, bound_to: tuple[str, ...], until: int) -> str:
    parts = [part.encode() for part in (str(until), *bound_to)]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(key, message, hashlib.sha256).hex()


def from_here(headers: dict[bytes, bytes]) -> bool:
    """Whether the browser says that a page of this very origin sends it.

    Browsers leave Sec-Fetch-Site out where the address is neither https nor loopback; Origin comes
    with every form then. The scheme is not compared: TLS may end before us. Who says neither is no
    browser, or hides something."""
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is None and origin is None:
        return False
    if site is not None and site != b"same-origin":
        return False
    return origin is None or _host(origin) == headers.get(b"host", b"").lower()


def _host(origin: bytes) -> bytes:
    scheme, _, host = origin.lower().partition(b"://")
    return host if scheme in (b"http", b"https") and host else b"?"
