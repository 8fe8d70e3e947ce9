"""Proof that our own page is asking: Fetch Metadata, Origin, X-CSRF.

Decided before any session is read, from the request's fields alone. A value that contradicts
refuses whatever else is there; a custom header proves what only a page of the same origin can do
without a preflight, which is never allowed here.
"""

from typing import Final
from urllib.parse import urlsplit

from bff.caller.request import NAVIGATE, BrowserRequest, Section
from bff.config.values import Origin
from bff.problem import Reason, Refused

_SITES: Final = frozenset({b"same-origin", b"same-site", b"cross-site", b"none"})
_OTHERS: Final = frozenset({b"same-site", b"cross-site"})  # a sibling subdomain is not us
_SAFE: Final = frozenset({"GET", "HEAD"})

Asking = BrowserRequest | Section


def fetch_site(request: Asking) -> bytes | None:
    """`Sec-Fetch-Site`, or None: a value outside the specification counts as absent."""
    site = request.fields.get(b"sec-fetch-site")
    return site if site in _SITES else None


def require_same_origin(request: Asking, origin: Origin, *, navigation: bool = False) -> None:
    """Return if our own page is asking. Raises Refused: CROSS_SITE, NOT_SAME_ORIGIN.

    `navigation`: the route may also be opened by a person, as a download is.
    """
    site = fetch_site(request)
    _refuse_foreign(request, origin, site)
    if navigation and _is_top_level_get(request, site):
        return
    if site == b"none":
        raise Refused(Reason.NOT_SAME_ORIGIN)
    header = request.fields.get(b"x-csrf") == b"1"
    if request.method in _SAFE:
        proven = header or site == b"same-origin"
    else:
        proven = header and (site is not None or _named_origin(request) == origin)
    if not proven:
        raise Refused(Reason.NOT_SAME_ORIGIN)


def require_own_socket(request: Asking, origin: Origin) -> None:
    """Return if our own page opens the WebSocket (W-01). Raises Refused(CROSS_SITE).

    No page can set a header on it and Chromium sends no Fetch Metadata; but every browser sends
    the Origin, and no server need answer another's (RFC 6455 §10.2).
    """
    if request.fields.get(b"origin") != origin.encode() or fetch_site(request) in _OTHERS:
        raise Refused(Reason.CROSS_SITE)


def require_own_form(request: Asking, origin: Origin) -> None:
    """Return if a form of our own page is posting; it cannot carry the header (X-09).

    A page under `no-referrer` says `Origin: null` on every form it posts.
    """
    site = fetch_site(request)
    named = request.fields.get(b"origin")
    if site is None:
        if named is None:
            raise Refused(Reason.NOT_SAME_ORIGIN)
        if named != origin.encode():
            raise Refused(Reason.CROSS_SITE)
        return
    if site in _OTHERS or (named not in (None, b"null") and named != origin.encode()):
        raise Refused(Reason.CROSS_SITE)
    if site != b"same-origin":
        raise Refused(Reason.NOT_SAME_ORIGIN)


def is_preflight(request: Asking) -> bool:
    """Whether a browser asks if a page of another origin may ask: never (X-08)."""
    return (
        request.method == "OPTIONS"
        and request.fields.get(b"access-control-request-method") is not None
    )


def _refuse_foreign(request: Asking, origin: Origin, site: bytes | None) -> None:
    named = request.fields.get(b"origin")
    if is_preflight(request) or site in _OTHERS or (named is not None and named != origin.encode()):
        raise Refused(Reason.CROSS_SITE)


def is_opened(request: Asking) -> bool:
    """Whether a page is being opened in a window of its own, whoever led there."""
    return (
        request.method == "GET"
        and request.fields.get(b"sec-fetch-mode") == NAVIGATE
        and request.fields.get(b"sec-fetch-dest") == b"document"
    )


def _is_top_level_get(request: Asking, site: bytes | None) -> bool:
    return site in (b"none", b"same-origin") and is_opened(request)


def _named_origin(request: Asking) -> str | None:
    """The origin that the request names itself, by `Origin` or by `Referer`."""
    named = request.fields.get(b"origin")
    if named is not None:
        return named.decode("latin-1")
    referer = request.fields.get(b"referer")
    if referer is None:
        return None
    try:
        parts = urlsplit(referer.decode("latin-1"))
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}"
