"""A browser's request as the rooms read it, made without a socket."""

from collections.abc import Sequence

from bff.caller.peer import Network
from bff.caller.request import BrowserRequest, read_request


def a_request(
    method: str = "GET",
    *fields: tuple[str, str],
    path: bytes = b"/api",
    query: bytes = b"",
    hop: str = "127.0.0.1",
    trusted: Sequence[Network] = (),
) -> BrowserRequest:
    """A request with these fields, in this order."""
    scope = {
        "method": method,
        "raw_path": path,
        "query_string": query,
        "bff.target": path + (b"?" + query if query else b""),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields],
        "client": (hop, 1),
    }
    return read_request(scope, trusted)
