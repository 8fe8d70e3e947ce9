"""A browser's request as the rooms read it: the raw target, the fields, the peer.

Parsed once per request from the ASGI scope that the door made.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from typing_extensions import override

from bff.caller.peer import Network, client_address, is_trusted, request_id
from bff.problem import Headers

NAVIGATE: Final = b"navigate"


class BrowserRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Method, raw path and query, header fields by lower-case name, peer address."""

    method: str
    target: bytes  # path and query, octet for octet
    path: bytes
    query: bytes
    headers: Headers
    fields: Mapping[bytes, bytes]  # repeated ones joined by ", "
    peer: str
    request_id: str

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: cookies and codes are in it."""
        return "<BrowserRequest>"

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


def read_request(scope: Mapping[str, Any], trusted: Sequence[Network]) -> BrowserRequest:
    """The request in an ASGI scope of the door; `trusted`: the proxies whose word counts."""
    headers: Headers = scope["headers"]
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in fields:
            # Cookie pairs are joined as RFC 6265 §4.2.1 joins them, all else as lists.
            glue = b"; " if name == b"cookie" else b", "
            fields[name] = fields[name] + glue + value
        else:
            fields[name] = value
    client = scope["client"]
    hop = client[0] if client else ""
    return BrowserRequest(
        method=scope["method"],
        target=scope["bff.target"],
        path=scope["raw_path"],
        query=scope["query_string"],
        headers=headers,
        fields=fields,
        peer=client_address(hop, fields.get(b"x-forwarded-for"), trusted),
        request_id=request_id(fields.get(b"x-request-id"), trusted=is_trusted(hop, trusted)),
    )
