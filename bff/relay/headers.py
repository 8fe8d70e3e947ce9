"""What may pass from the browser to an upstream, and back.

After `session` has given an access token, before `upstream` opens a connection.
Pure: headers in, headers out. It knows no socket, no store and no clock.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from bff.again import remembered
from bff.problem import Headers

# RFC 9110 §7.6.1 and what else belongs to one connection only.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"proxy-authorization", b"proxy-authenticate",
        b"http2-settings",
    }
)  # fmt: skip

# What a client could forge, what the relay writes anew, and what was meant for us.
_OURS: Final = HOP_BY_HOP | frozenset(
    {
        b"host", b"authorization", b"cookie", b"content-length", b"expect", b"dpop", b"via",
        b"forwarded", b"x-real-ip", b"x-request-id", b"x-csrf", b"x-user", b"remote-user",
        b"x-http-method-override", b"x-http-method", b"x-method-override", b"proxy",
        b"max-forwards", b"x-username", b"x-userid", b"x-host", b"x-forwarded", b"forwarded-for",
        # Addresses as others write them; whom we believe is in x-forwarded-for.
        b"client-ip", b"x-client-ip", b"true-client-ip", b"x-cluster-client-ip",
        b"cf-connecting-ip", b"cf-connecting-ipv6", b"fastly-client-ip",
    }
)  # fmt: skip
_FORGED: Final = (
    b"x-forwarded-", b"x-remote-", b"x-original-", b"x-rewrite-", b"x-auth-",
    b"x-authenticated-", b"x-user-", b"x-bff-", b"sec-websocket-",
)  # fmt: skip

# What would speak for our origin, or to a server before us, or tells of the inside.
_NOT_THEIRS: Final = HOP_BY_HOP | frozenset(
    {
        b"set-cookie", b"clear-site-data", b"strict-transport-security", b"refresh", b"alt-svc",
        b"service-worker-allowed", b"server", b"x-powered-by", b"via", b"www-authenticate",
        b"cross-origin-resource-policy", b"x-content-type-options", b"dpop-nonce",
        b"nel", b"report-to", b"accept-ch", b"critical-ch", b"set-login", b"origin-agent-cluster",
        b"use-as-dictionary", b"x-accel-redirect", b"x-sendfile", b"x-lighttpd-send-file",
    }
)  # fmt: skip

# A type that browsers read in one way, and the text after it. Where there is more, some take what
# stands behind a comma, a blank or a bracket.
_ONE_TYPE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[^,]*)?"
)
_DOCUMENTS: Final = frozenset(
    {
        b"text/html", b"text/xml", b"application/xml", b"text/xsl", b"text/rdf",
        b"unknown/unknown", b"application/unknown", b"*/*",  # as if none were stated
    }
)  # fmt: skip


def named_in_connection(headers: Headers) -> frozenset[bytes]:
    """The fields that `Connection` declares to be of one hop; parsed before ours are added."""
    named = [value for name, value in headers if name == b"connection"]
    if not named or named == [b"keep-alive"]:
        return frozenset()  # what nearly every message says names nothing more
    return frozenset(token.strip(b" \t").lower() for value in named for token in value.split(b","))


def to_upstream(
    headers: Headers, *, route_sets: Collection[bytes], cookies: Collection[bytes]
) -> Headers:
    """The browser's end-to-end fields that an upstream may see, in their order.

    `route_sets`: names that the route writes itself. `cookies`: names it lets through.
    """
    hop = named_in_connection(headers)
    passed = [field for field in headers if _may_go_up(field[0])]
    if hop or route_sets:
        passed = [field for field in passed if field[0] not in hop and field[0] not in route_sets]
    if cookies and (kept := _cookies(headers, cookies)):
        passed.append((b"cookie", kept))
    return passed


def beside_to_upstream(beside: Mapping[bytes, bytes], kept_back: frozenset[bytes]) -> list[bytes]:
    """The lines of the fields beside the section that an upstream may see."""
    return [
        b"%s: %s\r\n" % (name, value)
        for name, value in beside.items()
        if _may_go_up(name) and name not in kept_back
    ]


@remembered(4096)
def _may_go_up(name: bytes) -> bool:
    # Some servers read x_user as x-user.
    return name not in _OURS and not name.startswith(_FORGED) and b"_" not in name


def _cookies(headers: Headers, allowed: Collection[bytes]) -> bytes:
    """The named cookies of the request; never one of ours."""
    kept = []
    for name, value in headers:
        if name == b"cookie":
            for pair in value.split(b";"):
                stripped = pair.strip(b" \t")
                cookie = stripped.partition(b"=")[0]
                if cookie in allowed and not is_own_cookie(cookie):
                    kept.append(stripped)
    return b"; ".join(kept)


def is_own_cookie(name: bytes) -> bool:
    """Whether a cookie's name is one of the BFF's, in any case or prefix."""
    bare = name.lower().removeprefix(b"__host-").removeprefix(b"__secure-")
    bare = bare.removeprefix(b"http-")
    return bare == b"bff" or bare.startswith(b"bff-")


def to_browser(headers: Headers, *, cookies: Collection[bytes]) -> tuple[Headers, int]:
    """The upstream's end-to-end fields that a browser may see, in their order, and what they are.

    `cookies`: names that the route lets through, as separate lines (RFC 6265 §3).
    """
    passed: Headers = []
    seen = 0
    for field in headers:
        fate = _fate(field[0])
        seen |= fate
        if not fate & _DROPPED or (fate & _SETS_COOKIE and _may_set(field[1], cookies)):
            passed.append(field)
    if seen & _NAMES_OTHERS and (hop := named_in_connection(headers)):
        passed = [field for field in passed if field[0] not in hop]
    return passed, seen


# What the fields of an answer are, as bits: each name is looked at once in a process' life.
TYPED: Final = 1
TAGGED: Final = 2  # ETag
CACHED: Final = 4  # Cache-Control
LOCATED: Final = 8
_SETS_COOKIE: Final = 16
_NAMES_OTHERS: Final = 32  # Connection
_DROPPED: Final = 64
_TARGETED: Final = 128  # at some shared caches alone
VARIED: Final = 256  # Vary

_KINDS: Final[Mapping[bytes, int]] = {
    b"content-type": TYPED,
    b"etag": TAGGED,
    b"cache-control": CACHED,
    b"vary": VARIED,
    b"location": LOCATED,
    b"content-location": LOCATED,
    b"set-cookie": _SETS_COOKIE,
    b"connection": _NAMES_OTHERS,
    b"surrogate-control": _TARGETED,
    b"x-accel-expires": _TARGETED,
}


@remembered(4096)
def _fate(name: bytes) -> int:
    dropped = name in _NOT_THEIRS or name.startswith(b"access-control-")
    targeted = name.endswith(b"cdn-cache-control")
    return _KINDS.get(name, 0) | dropped * _DROPPED | targeted * _TARGETED


def _may_set(value: bytes, allowed: Collection[bytes]) -> bool:
    cookie = value.partition(b"=")[0].strip(b" \t")
    return cookie in allowed and not is_own_cookie(cookie)


def is_document(headers: Headers) -> bool:
    """Whether a browser might run the answer as a page: by its type, or because it states none."""
    stated = [value for name, value in headers if name == b"content-type"]
    return len(stated) != 1 or _is_document_type(stated[0])


@remembered(1024)
def _is_document_type(stated: bytes) -> bool:
    plain = _ONE_TYPE.fullmatch(stated.strip(b" \t").lower())
    if plain is None:
        return True
    kind = plain[1]
    return kind in _DOCUMENTS or kind.endswith(b"+xml") or kind.startswith(b"multipart/")


def private(headers: Headers, seen: int) -> Headers:
    """The fields with a Cache-Control that no shared cache takes as leave to store (A-07).

    `seen` says what they are. The browser's request has no Authorization, so RFC 9111 §3.5
    would not protect the answer. A field for some caches alone would count before Cache-Control
    there (RFC 9213), so none passes.
    """
    if seen & _TARGETED:
        headers = [field for field in headers if not _fate(field[0]) & _TARGETED]
    if not seen & CACHED:
        careful = b"private, no-cache" if seen & TAGGED else b"no-store"
        return [*headers, (b"cache-control", careful)]
    stated = [value for name, value in headers if name == b"cache-control"]
    directives = [part.strip(b" \t") for value in stated for part in value.split(b",")]
    kept = [part for part in directives if part and not _is_shared(part)]
    # Beside other words no-store may count for nothing: must-understand takes its place (RFC 9111
    # §5.2.2.3).
    if [part.lower() for part in kept] != [b"no-store"]:
        kept.insert(0, b"private")
    rest = [(name, value) for name, value in headers if name != b"cache-control"]
    return [*rest, (b"cache-control", b", ".join(kept))]


def varies_by_token(headers: Headers) -> bool:
    """Whether the answer is another one for another token, as the upstream says (RFC 9110 §12.5.5).

    The browser has none, so to its cache that says nothing; what it has is the cookie.
    """
    stated = [value for name, value in headers if name == b"vary"]
    names = (part.strip(b" \t").lower() for value in stated for part in value.split(b","))
    return not _TOKEN_FIELDS.isdisjoint(names)


_TOKEN_FIELDS: Final = frozenset({b"authorization", b"dpop"})


def _is_shared(directive: bytes) -> bool:
    name = directive.partition(b"=")[0].strip(b" \t").lower()
    return name in (b"public", b"s-maxage", b"private")
