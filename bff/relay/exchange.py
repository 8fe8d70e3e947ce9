"""One exchange with an upstream, decided: a request head in, a refusal or an upstream request
head out; a response head in, a browser's out.

Pure, and the one place that decides: the shells around it only move bytes.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from bff.caller.request import BESIDE, BrowserRequest, Section
from bff.caller.same_origin import is_opened, require_own_socket, require_same_origin
from bff.problem import Headers, Reason, Refused
from bff.relay.framing import AnswerHead
from bff.relay.handshake import Wanted, read_handshake, upstream_fields
from bff.relay.headers import (
    LOCATED,
    VARIED,
    beside_to_upstream,
    is_document,
    named_in_connection,
    private,
    to_browser,
    to_upstream,
    varies_by_token,
)
from bff.relay.hop import about_peer, framing, is_loop, max_forwards, via_line
from bff.relay.location import public_location
from bff.relay.way import Passed, Relayed, inferred
from bff.wire import AnswerLines, answer_lines

_INSUFFICIENT: Final = re.compile(rb"""\berror\s*=\s*"?insufficient_""", re.IGNORECASE)
_LOCATIONS: Final = frozenset({b"location", b"content-location"})
_WITH_TOKEN: Final = frozenset({"user", "client"})  # never without one
SHARED: Final = 512  # values that stand for more than one section
SHARED_OCTETS: Final = 4096  # of each of them, at most
TOKEN_KEY: Final = "access_token"  # noqa: S105 - the parameter's name (RFC 6750 §2.3)


def admit(way: Relayed, request: BrowserRequest) -> None:
    """Return if the request may be looked at further; before any session is read.

    Raises Refused: METHOD_NOT_ALLOWED, CROSS_SITE, NOT_SAME_ORIGIN, FORBIDDEN, BAD_REQUEST,
    UPSTREAM_LOOP, BODY_TOO_LARGE.
    """
    so_far = inferred(way, request.section)
    if not so_far.admitted:
        _admit_section(way, request.section)
        so_far.admitted = True
    _admit_query(way, request)


def _admit_section(way: Relayed, section: Section) -> None:
    # The provider's site leads back to the application after a logout. A page that is opened with
    # nobody's rights, on loopback, gives that site nothing.
    if not (way.dev_server and is_opened(section)):
        require_same_origin(section, way.origin, navigation=way.route.navigation)
    _admit_further(way, section)


def admit_socket(way: Relayed, request: BrowserRequest) -> Wanted:
    """The WebSocket that the request wants to open; before any session is read.

    Raises Refused: NOT_IMPLEMENTED where the route has none, else as `admit`, WEBSOCKET_VERSION.
    """
    if not way.route.websocket:
        raise Refused(Reason.NOT_IMPLEMENTED)
    wanted = read_handshake(request, compression=way.route.websocket_compression)
    require_own_socket(request, way.origin)
    _admit_further(way, request.section)
    _admit_query(way, request)
    return wanted


def _admit_further(way: Relayed, section: Section) -> None:
    route, fields = way.route, section.fields
    if route.methods and section.method not in route.methods:
        raise Refused(Reason.METHOD_NOT_ALLOWED, allow=", ".join(route.methods))
    if fields.get(b"sec-fetch-dest") == b"serviceworker":
        raise Refused(Reason.FORBIDDEN)
    if is_loop(fields.get(b"via", b"")):
        raise Refused(Reason.UPSTREAM_LOOP)
    length = fields.get(b"content-length")
    if length is not None and int(length) > route.max_body:
        raise Refused(Reason.BODY_TOO_LARGE)


def _admit_query(way: Relayed, request: BrowserRequest) -> None:
    if request.query and way.route.auth in _WITH_TOKEN and _brings_token(request.query):
        raise Refused(Reason.BAD_REQUEST)


def _brings_token(query: bytes) -> bool:
    keys = (part.partition(b"=")[0] for part in query.split(b"&"))
    return any(unquote_plus(key.decode("latin-1")) == TOKEN_KEY for key in keys)


def request_head(
    way: Relayed,
    request: BrowserRequest,
    *,
    bearer: bytes | None,
    proof: bytes | None = None,
    wanted: Wanted | None = None,
    traced: bytes = b"",
) -> bytes:
    """The head of the upstream request, with a token where the route gives one.

    `proof`: that the token's key is ours, where it is bound to one. `wanted`: the WebSocket that it
    is to open. `traced`: the line that names the span.

    Everything that names an authority, a hop or a person is written anew; the rest passes octet
    for octet.
    """
    passed = _passed(way, request.section)
    lines = [passed.method, target(way, request), passed.before]
    if proof is not None and bearer is not None:
        lines += (b"authorization: DPoP ", bearer, b"\r\ndpop: ", proof, b"\r\n")
    elif bearer is not None:
        lines += (b"authorization: Bearer ", bearer, b"\r\n")
    if wanted is not None:
        lines.append(upstream_fields(wanted))
    if traced:
        lines.append(traced)
    if request.beside:
        lines += beside_to_upstream(request.beside, passed.kept_back)
    lines += (passed.after, about_peer(way.origin, request.peer), request.request_id.encode())
    lines.append(passed.end)
    return b"".join(lines)


def _passed(way: Relayed, section: Section) -> Passed:
    so_far = inferred(way, section)
    if so_far.passed is None:
        so_far.passed = _reckoned(way, section)
    return so_far.passed


def _reckoned(way: Relayed, section: Section) -> Passed:
    passed = to_upstream(section.headers, route_sets=way.fixed_names, cookies=way.request_cookies)
    fields = b"".join(b"%s: %s\r\n" % field for field in passed)
    reckoned = Passed(
        method=f"{section.method} ".encode(),
        before=b" HTTP/1.1\r\nhost: %s\r\n%s" % (way.authority, fields),
        after=way.fixed + framing(section) + via_line(section),
        end=b"\r\n" + max_forwards(section) + b"\r\n",
        kept_back=BESIDE & (way.fixed_names | named_in_connection(section.headers)),
    )
    octets = len(reckoned.before) + len(reckoned.after)
    return _alike(reckoned) if octets <= SHARED_OCTETS else reckoned


@lru_cache(maxsize=SHARED)
def _alike(passed: Passed) -> Passed:
    """One value for all sections that come to the same; many differ in their cookies only."""
    return passed


def forget_passed() -> None:
    """Let go of what is shared."""
    _alike.cache_clear()


def target(way: Relayed, request: BrowserRequest) -> bytes:
    """The upstream's request target: path and query octet for octet, the prefix as configured."""
    return (way.base + _below(way, request) or b"/") + request.target[len(request.path) :]


def public_target(way: Relayed, request: BrowserRequest) -> str:
    """The whole URL of the request as the upstream knows itself, without the query."""
    origin, base = way.public
    return origin + (base + _below(way, request) or b"/").decode("latin-1")


def _below(way: Relayed, request: BrowserRequest) -> bytes:
    """The path below the upstream's own."""
    return request.path[len(way.prefix) :] if way.route.strip else request.path


def wants_another_token(headers: Headers) -> bool:
    """Whether a 401 may be about the token itself: it names no right that a new one lacks too.

    Challenges come right, without a scheme, or not at all (RFC 6750 §3.1).
    """
    challenges = b", ".join(value for name, value in headers if name == b"www-authenticate")
    return _INSUFFICIENT.search(challenges) is None


def answer_head(way: Relayed, answer: AnswerHead) -> AnswerLines:
    """The head of the browser's answer, from the upstream's."""
    kept = answer.kept
    found: AnswerLines | None = None if kept is None else kept.get(way)
    if found is None:
        fields = answer_fields(way, answer.status, answer.headers)
        found = answer_lines(answer.status, fields)
        if kept is not None:
            kept[way] = found
    return found


def answer_fields(way: Relayed, status: int, headers: Headers) -> Headers:
    """The fields of the browser's answer, from the upstream's (rows A)."""
    passed, seen = to_browser(headers, cookies=way.response_cookies)
    if seen & LOCATED:
        passed = [
            (name, public_location(way, value) if name in _LOCATIONS else value)
            for name, value in passed
        ]
    if status == 204:  # no body, and nothing that speaks of one (RFC 9110 §8.6)
        passed = [(name, value) for name, value in passed if name != b"content-length"]
    if way.route.auth != "none":
        passed = private(passed, seen)
        if seen & VARIED and varies_by_token(passed):
            passed.append((b"vary", b"Cookie"))
    if not way.route.documents and is_document(passed):
        # A header of its own beside the upstream's: policies add up, they never loosen.
        passed.append((b"content-security-policy", b"sandbox"))
    if status == 401:
        realm = way.route.path.encode()
        passed.append((b"www-authenticate", b'Upstream realm="' + realm + b'"'))
    return passed + way.added
