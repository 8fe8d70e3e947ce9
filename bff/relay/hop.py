"""What a request to an upstream says of its way: its framing, the hops, who asks. Pure.

Under `exchange`; made anew from a request's section, never passed on.
"""

from functools import lru_cache
from typing import Final

from bff.caller.request import Section
from bff.relay.headers import named_in_connection

_NAME: Final = b"bff"
VIA: Final = b"1.1 " + _NAME
_BODYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


def framing(section: Section) -> bytes:
    """The body's framing, made anew: never both, never what the browser wrote (RFC 9112 §6.2)."""
    if section.chunked:
        return b"transfer-encoding: chunked\r\n"
    length = section.fields.get(b"content-length")
    if length is not None:
        return b"content-length: %d\r\n" % int(length)
    return b"" if section.method in _BODYLESS else b"content-length: 0\r\n"


def via_line(section: Section) -> bytes:
    """By which way it came (RFC 9110 §7.6.3)."""
    via = section.fields.get(b"via")
    passes = via is not None and b"via" not in named_in_connection(section.headers)
    received = via + b", " if via is not None and passes else b""
    return b"via: %s%s\r\n" % (received, VIA)


def is_loop(via: bytes) -> bool:
    """Whether it has come by us before: our name is one of those received by, and nobody's part."""
    return any(member.split()[1:2] == [_NAME] for member in via.split(b","))


@lru_cache(maxsize=4096)
def about_peer(origin: str, peer: str) -> bytes:
    """Who asks (RFC 7239)."""
    scheme, _, host = origin.partition("://")
    node = f'"[{peer}]"' if ":" in peer else peer
    return (
        f"x-forwarded-for: {peer}\r\nx-forwarded-proto: {scheme}\r\n"
        f"x-forwarded-host: {host}\r\nforwarded: for={node};proto={scheme};host={_quoted(host)}"
        "\r\nx-request-id: "
    ).encode()


def _quoted(host: str) -> str:
    return f'"{host}"' if ":" in host else host


def max_forwards(section: Section) -> bytes:
    """One hop fewer, where the browser counts them (RFC 9110 §7.6.2)."""
    given = section.fields.get(b"max-forwards")
    if section.method != "OPTIONS" or given is None or not given.isdigit() or len(given) > 18:
        return b""
    return b"max-forwards: %d\r\n" % (int(given) - 1)
