"""A browser's request as the rooms read it: the raw target, the fields, the peer.

Made once per request, by the door, from a head that it has judged.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from typing_extensions import override

from bff.caller.peer import Proxies, came_plain, client_address, request_id
from bff.problem import Headers

NAVIGATE: Final = b"navigate"


SECTIONS_KEPT: Final = 2048  # by the door; what others work out of one is kept with it


# What differs with every request and judges nothing, as proxies and tracers write it. Kept beside
# the section, which would else never come again.
BESIDE: Final = frozenset(
    {
        b"x-request-id", b"x-correlation-id", b"request-id", b"x-request-start", b"traceparent",
        b"tracestate", b"baggage", b"sentry-trace", b"b3", b"x-b3-traceid", b"x-b3-spanid",
        b"x-b3-parentspanid", b"uber-trace-id", b"x-datadog-trace-id", b"x-datadog-parent-id",
        b"x-amzn-trace-id", b"x-cloud-trace-context", b"cf-ray",
    }
)  # fmt: skip
_FORWARDED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
_NOTHING: Final[Mapping[bytes, bytes]] = {}


class Section(msgspec.Struct, eq=False, gc=False):
    """A request's method and header section, and what follows from them alone.

    A browser sends the same section again and again, so one value stands for all of them, and
    whoever works something out from it may keep that in it, under a key of their own; `last` is
    what was wanted of that last. `frontend`: of which the door has found it to be, among those
    `hosts`. Nothing there may lead back to the section: the collector does not look into it.
    Nothing else of it is ever changed.
    """

    method: str
    headers: Headers
    fields: Mapping[bytes, bytes]  # repeated ones joined by ", "
    expects_continue: bool
    upgrade: bool  # to a WebSocket
    chunked: bool  # its body comes without a length
    has_body: bool
    forwarded: bool  # a proxy, or who plays one, says for whom or how it came
    background: bool  # the page says that nobody is there (X-BFF-Background)
    kept: dict[object, Any] = msgspec.field(default_factory=dict)
    last: Any = None
    hosts: Mapping[bytes, str] | None = None
    frontend: str = ""

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: cookies are in it."""
        return "<Section>"


class BrowserRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Method, raw path and query, header fields by lower-case name, peer address."""

    section: Section
    method: str
    target: bytes  # path and query, octet for octet
    path: bytes
    query: bytes
    beside: Mapping[bytes, bytes]  # fields that are not of the section
    peer: str
    plain: bool  # it came without TLS, as far as a trusted proxy says
    request_id: str

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: cookies and codes are in it."""
        return "<BrowserRequest>"

    @property
    def headers(self) -> Headers:
        """The fields of the section, in order."""
        return self.section.headers

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The same by name, repeated ones joined."""
        return self.section.fields

    def get(self, name: bytes) -> bytes | None:
        """The field's value, or None. A repeated field never equals a single value."""
        return self.fields.get(name)

    @property
    def is_navigation(self) -> bool:
        """Whether a person is going somewhere, so that a page is the fitting answer.

        Without Fetch Metadata the wish for HTML says so.
        """
        mode = self.fields.get(b"sec-fetch-mode")
        if mode is not None:
            return mode == NAVIGATE
        return b"text/html" in self.fields.get(b"accept", b"")


def join_fields(headers: Headers) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    """The fields by name, repeated ones joined, and the names of those that were repeated."""
    fields: dict[bytes, bytes] = {}
    repeated: set[bytes] = set()
    for name, value in headers:
        if name in fields:
            # Cookie pairs are joined as RFC 6265 §4.2.1 joins them, all else as lists.
            glue = b"; " if name == b"cookie" else b", "
            fields[name] = fields[name] + glue + value
            repeated.add(name)
        else:
            fields[name] = value
    return fields, frozenset(repeated)


def section_of(
    method: str, headers: Headers, fields: Mapping[bytes, bytes], *, upgrade: bool = False
) -> Section:
    """The section of a method and of header fields that have been judged."""
    length = fields.get(b"content-length", b"0")
    chunked = b"transfer-encoding" in fields  # the door lets no other coding in
    return Section(
        method=method,
        headers=headers,
        fields=fields,
        expects_continue=b"expect" in fields,
        upgrade=upgrade,
        chunked=chunked,
        has_body=chunked or length != b"0",
        forwarded=not _FORWARDED.isdisjoint(fields),
        background=fields.get(b"x-bff-background") == b"1",
    )


def read_request(
    section: Section,
    target: bytes,
    *,
    hop: str,
    trusted: Proxies,
    beside: Headers | None = None,
) -> BrowserRequest:
    """The request of a judged head; `trusted`: the proxies whose word counts, `hop`: the peer.

    `beside`: the fields of `BESIDE`.
    """
    path, _, query = target.partition(b"?")
    peer, plain = hop, False
    if section.forwarded:
        fields = section.fields
        peer = client_address(hop, fields.get(b"x-forwarded-for"), trusted)
        plain = came_plain(fields.get(b"x-forwarded-proto"), hop=hop, trusted=trusted)
    aside = join_fields(beside)[0] if beside else _NOTHING
    return BrowserRequest(
        section=section,
        method=section.method,
        target=target,
        path=path,
        query=query,
        beside=aside,
        peer=peer,
        plain=plain,
        request_id=request_id(aside.get(b"x-request-id"), hop=hop, trusted=trusted),
    )
