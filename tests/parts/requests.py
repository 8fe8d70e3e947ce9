"""A browser's request as the rooms read it, made without a socket."""

from bff.caller.peer import Proxies
from bff.caller.request import BESIDE, BrowserRequest, join_fields, read_request, section_of


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
    beside = [field for field in headers if field[0] in BESIDE]
    listed = [field for field in headers if field[0] not in BESIDE]
    section = section_of(method, listed, join_fields(listed)[0])
    return read_request(section, target, hop=hop, trusted=trusted or Proxies(), beside=beside)
