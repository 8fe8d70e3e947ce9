"""A browser's request as the rooms read it, made without a socket."""

from bff.caller.peer import Proxies
from bff.caller.request import BrowserRequest, join_fields, read_request, section_of


def a_request(
    method: str = "GET",
    *fields: tuple[str, str],
    path: bytes = b"/api",
    query: bytes = b"",
    hop: str = "127.0.0.1",
    trusted: Proxies | None = None,
) -> BrowserRequest:
    """A request with these fields, in this order."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    target = path + (b"?" + query if query else b"")
    joined, _ = join_fields(headers)
    section = section_of(method, headers, joined)
    return read_request(section, target, hop=hop, trusted=trusted or Proxies())
