"""One route made ready: what every exchange on it has in common."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
from typing_extensions import override

from bff.caller.request import Section
from bff.config.dev_server import is_dev_server
from bff.config.load import FrontEnd
from bff.config.route_section import Route
from bff.config.values import Origin, canonical_origin
from bff.problem import Headers, security_headers
from bff.session.access import acr_values_of
from bff.session.opened import AtHand


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relayed:
    """One route, made ready: what every exchange on it has in common.

    What follows from it and a request's section is worked out once and kept with that.
    """

    route: Route
    origin: Origin
    secure: bool
    for_all: bool  # no session is looked for
    prefix: bytes  # the public path
    upstream_origin: str
    public: tuple[str, bytes]  # origin and path of the upstream, as it knows itself
    authority: bytes
    base: bytes  # the upstream's own path, without a final slash
    fixed: bytes  # the field lines that the route sets
    fixed_names: frozenset[bytes]
    request_cookies: frozenset[bytes]
    response_cookies: frozenset[bytes]
    added: Headers = field(repr=False)  # to every answer
    acr_values: frozenset[str] | None  # what a login may ask for; None: for whatever it is
    dev_server: bool  # pages of somebody who works on this machine
    traced: bool  # the relay says itself for which span it asks


class Passed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the upstream is told of a request's section, as octets."""

    method: bytes
    before: bytes  # from behind the target to where the token has its place
    after: bytes  # from there to where it says who asks
    end: bytes
    kept_back: frozenset[bytes]  # of the fields beside the section

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds."""
        return "<Passed>"


class Inferred:
    """What follows from a section on one route, as far as it was needed; kept with the section."""

    __slots__ = ("admitted", "at_hand", "passed", "session_id", "way")

    def __init__(self, way: Relayed) -> None:
        self.way = way
        self.admitted = False
        self.session_id: str | None = None
        self.passed: Passed | None = None
        self.at_hand: AtHand | None = None  # the session that its cookie names


def inferred(way: Relayed, section: Section) -> Inferred:
    """What follows from that section on that route."""
    last = section.last
    if isinstance(last, Inferred) and last.way is way:
        return last
    found: Inferred | None = section.kept.get(way)
    if found is None:
        found = section.kept[way] = Inferred(way)
    section.last = found
    return found


def relayed(route: Route, frontend: FrontEnd, *, traced: bool = False) -> Relayed:
    """A route of a front end, made ready. The route must have an upstream."""
    parts = urlsplit(route.upstream or "")
    origin = canonical_origin(parts.scheme, parts.hostname or "", parts.port)
    own = frozenset({b"traceparent"}) if traced else frozenset()
    lines = [f"{name.lower()}: {value}\r\n" for name, value in route.headers.items()]
    return Relayed(
        route=route,
        origin=frontend.origin,
        secure=frontend.secure,
        for_all=route.auth == "none" or route.anonymous,
        prefix=route.path.rstrip("/").encode(),
        upstream_origin=origin,
        public=_public_place(route.public_url or route.upstream or ""),
        authority=origin.partition("://")[2].encode(),
        base=parts.path.rstrip("/").encode(),
        fixed="".join(lines).encode(),
        fixed_names=frozenset(name.lower().encode() for name in route.headers) | own,
        request_cookies=frozenset(name.encode() for name in route.request_cookies),
        response_cookies=frozenset(name.encode() for name in route.response_cookies),
        added=[
            *security_headers(secure=frontend.secure),
            (b"vary", b"Sec-Fetch-Site, Origin"),
        ],
        acr_values=acr_values_of(tuple(frontend.providers.values())),
        dev_server=is_dev_server(route, frontend.origin),
        traced=traced,
    )


def _public_place(url: str) -> tuple[str, bytes]:
    parts = urlsplit(url)
    origin = canonical_origin(parts.scheme, parts.hostname or "", parts.port)
    return origin, parts.path.rstrip("/").encode()
