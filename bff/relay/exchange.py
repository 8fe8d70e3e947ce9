"""One exchange with an upstream, decided: a request head in, a refusal or an upstream request
head out; a response head in, a browser's out.

Pure, and the one place that decides: the shells around it only move bytes.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus, urlsplit

from bff.caller.request import BrowserRequest
from bff.caller.same_origin import require_same_origin
from bff.config.load import FrontEnd
from bff.config.model import Route
from bff.config.values import Origin, canonical_origin
from bff.problem import Headers, Reason, Refused, security_headers
from bff.relay.headers import is_document, named_in_connection, private, to_browser, to_upstream

VIA: Final = b"1.1 bff"
_BODYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_INSUFFICIENT: Final = re.compile(rb"""\berror\s*=\s*"?insufficient_""", re.IGNORECASE)
_LOCATIONS: Final = frozenset({b"location", b"content-location"})
TOKEN_KEY: Final = "access_token"  # noqa: S105 - the parameter's name (RFC 6750 §2.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """One route, made ready: what every exchange on it has in common."""

    route: Route
    origin: Origin
    secure: bool
    prefix: bytes  # the public path
    upstream_origin: str
    authority: bytes
    base: bytes  # the upstream's own path, without a final slash
    fixed: bytes  # the field lines that the route sets
    fixed_names: frozenset[bytes]
    request_cookies: frozenset[bytes]
    response_cookies: frozenset[bytes]
    added: Headers = field(repr=False)  # to every answer


def relayed(route: Route, frontend: FrontEnd) -> Relayed:
    """A route of a front end, made ready. The route must have an upstream."""
    parts = urlsplit(route.upstream or "")
    origin = canonical_origin(parts.scheme, parts.hostname or "", parts.port)
    lines = [f"{name.lower()}: {value}\r\n" for name, value in route.headers.items()]
    return Relayed(
        route=route,
        origin=frontend.origin,
        secure=frontend.secure,
        prefix=route.path.rstrip("/").encode(),
        upstream_origin=origin,
        authority=origin.partition("://")[2].encode(),
        base=parts.path.rstrip("/").encode(),
        fixed="".join(lines).encode(),
        fixed_names=frozenset(name.lower().encode() for name in route.headers),
        request_cookies=frozenset(name.encode() for name in route.request_cookies),
        response_cookies=frozenset(name.encode() for name in route.response_cookies),
        added=[
            *security_headers(secure=frontend.secure),
            (b"vary", b"Sec-Fetch-Site, Origin"),
        ],
    )


def admit(way: Relayed, request: BrowserRequest) -> None:
    """Return if the request may be looked at further; before any session is read.

    Raises Refused: METHOD_NOT_ALLOWED, CROSS_SITE, NOT_SAME_ORIGIN, FORBIDDEN, BAD_REQUEST,
    UPSTREAM_LOOP, BODY_TOO_LARGE.
    """
    route = way.route
    require_same_origin(request, way.origin, navigation=route.navigation)
    if route.methods and request.method not in route.methods:
        raise Refused(Reason.METHOD_NOT_ALLOWED, allow=", ".join(route.methods))
    if request.get(b"sec-fetch-dest") == b"serviceworker":
        raise Refused(Reason.FORBIDDEN)
    if VIA in (request.get(b"via") or b""):
        raise Refused(Reason.UPSTREAM_LOOP)
    if route.auth == "user" and request.query and _brings_token(request.query):
        raise Refused(Reason.BAD_REQUEST)
    length = request.get(b"content-length")
    if length is not None and int(length) > route.max_body:
        raise Refused(Reason.BODY_TOO_LARGE)


def _brings_token(query: bytes) -> bool:
    keys = (part.partition(b"=")[0] for part in query.split(b"&"))
    return any(unquote_plus(key.decode("latin-1")) == TOKEN_KEY for key in keys)


def request_head(way: Relayed, request: BrowserRequest, *, bearer: bytes | None) -> bytes:
    """The head of the upstream request, with the person's token where the route gives one.

    Everything that names an authority, a hop or a person is written anew; the rest passes octet
    for octet.
    """
    lines = [
        f"{request.method} ".encode(),
        target(way, request),
        b" HTTP/1.1\r\nhost: ",
        way.authority,
        b"\r\n",
    ]
    passed = to_upstream(request.headers, route_sets=way.fixed_names, cookies=way.request_cookies)
    for name, value in passed:
        lines += (name, b": ", value, b"\r\n")
    if bearer is not None:
        lines += (b"authorization: Bearer ", bearer, b"\r\n")
    lines += (way.fixed, _framing(request), _about(way, request), b"\r\n")
    return b"".join(lines)


def target(way: Relayed, request: BrowserRequest) -> bytes:
    """The upstream's request target: path and query octet for octet, the prefix as configured."""
    path = request.path[len(way.prefix) :] if way.route.strip else request.path
    return (way.base + path or b"/") + request.target[len(request.path) :]


def has_body(request: BrowserRequest) -> bool:
    """Whether the request announces a body."""
    length = request.get(b"content-length")
    return (length is not None and length != b"0") or is_chunked(request)


def is_chunked(request: BrowserRequest) -> bool:
    """Whether the body comes without a length; the door lets no other coding in."""
    return request.get(b"transfer-encoding") is not None


def _framing(request: BrowserRequest) -> bytes:
    """The body's framing, made anew: never both, never what the browser wrote (RFC 9112 §6.2)."""
    if is_chunked(request):
        return b"transfer-encoding: chunked\r\n"
    length = request.get(b"content-length")
    if length is not None:
        return b"content-length: %d\r\n" % int(length)
    return b"" if request.method in _BODYLESS else b"content-length: 0\r\n"


def _about(way: Relayed, request: BrowserRequest) -> bytes:
    """Who asks and by which way (RFC 7239, RFC 9110 §7.6.3)."""
    via = request.get(b"via")
    received = via + b", " if via is not None and b"via" not in _hop(request) else b""
    known = _about_peer(way.origin, request.peer)
    request_id = request.request_id.encode()
    return b"via: %s%s%s%s\r\n%s" % (received, VIA, known, request_id, _max_forwards(request))


@lru_cache(maxsize=4096)
def _about_peer(origin: str, peer: str) -> bytes:
    scheme, _, host = origin.partition("://")
    node = f'"[{peer}]"' if ":" in peer else peer
    return (
        f"\r\nx-forwarded-for: {peer}\r\nx-forwarded-proto: {scheme}\r\n"
        f"x-forwarded-host: {host}\r\nforwarded: for={node};proto={scheme};host={_quoted(host)}"
        "\r\nx-request-id: "
    ).encode()


def _quoted(host: str) -> str:
    return f'"{host}"' if ":" in host else host


def _hop(request: BrowserRequest) -> frozenset[bytes]:
    return named_in_connection(request.headers)


def _max_forwards(request: BrowserRequest) -> bytes:
    given = request.get(b"max-forwards")
    if request.method != "OPTIONS" or given is None or not given.isdigit():
        return b""
    return b"max-forwards: %d\r\n" % (int(given) - 1)


def wants_another_token(headers: Headers) -> bool:
    """Whether a 401 may be about the token itself: it names no right that a new one lacks too.

    Challenges come right, without a scheme, or not at all (RFC 6750 §3.1).
    """
    challenges = b", ".join(value for name, value in headers if name == b"www-authenticate")
    return _INSUFFICIENT.search(challenges) is None


def answer_head(way: Relayed, status: int, headers: Headers) -> Headers:
    """The fields of the browser's answer, from the upstream's (rows A)."""
    passed, seen = to_browser(headers, cookies=way.response_cookies)
    if seen & _LOCATIONS:
        passed = [
            (name, _public(way, value) if name in _LOCATIONS else value) for name, value in passed
        ]
    if way.route.auth != "none":
        passed = private(passed, seen)
    if not way.route.documents and is_document(headers):
        # A header of its own beside the upstream's: policies add up, they never loosen.
        passed.append((b"content-security-policy", b"sandbox"))
    if status == 401:
        realm = way.route.path.encode()
        passed.append((b"www-authenticate", b'Upstream realm="' + realm + b'"'))
    return passed + way.added


def _public(way: Relayed, location: bytes) -> bytes:
    """A location on the upstream's own origin as the browser knows it; others as they are."""
    text = location.decode("latin-1")
    try:
        parts = urlsplit(text)
        own = bool(parts.netloc) and (
            canonical_origin(parts.scheme or _scheme(way), parts.hostname or "", parts.port)
            == way.upstream_origin
        )
    except (ValueError, KeyError):
        return location
    if parts.netloc and not own:
        return location
    if not parts.netloc and (parts.scheme or not text.startswith("/")):
        return location  # another scheme, or relative to the page's own path
    path = parts.path.encode("latin-1") or b"/"
    rest = location[len(text) - len(_after_path(text)) :]
    if path == way.base or path.startswith(way.base + b"/"):
        inner = path[len(way.base) :]
        path = (way.prefix + inner if way.route.strip else inner) or b"/"
    # An upstream could answer //evil as a path; the browser would read a host (L-09).
    return b"/" + path.lstrip(b"/") + rest


def _scheme(way: Relayed) -> str:
    return way.upstream_origin.partition("://")[0]


def _after_path(text: str) -> str:
    places = [place for place in (text.find("?"), text.find("#")) if place >= 0]
    return text[min(places) :] if places else ""
