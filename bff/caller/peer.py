"""Whose connection it is, and how it came, through the proxies that we were told to trust."""

import ipaddress
import itertools
import re
import secrets
from collections.abc import Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# An id names a request, it keeps no secret: random for the process, counted within it.
_PROCESS: Final = secrets.token_hex(6)
_COUNT: Final = itertools.count(1)

_WITHOUT_TLS: Final = frozenset({b"http", b"ws"})  # some proxies name a WebSocket's scheme

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")


def client_address(peer: str, forwarded_for: bytes | None, trusted: Sequence[Network]) -> str:
    """The rightmost address of X-Forwarded-For that is not itself a trusted proxy (RFC 7239 §4).

    Where the peer is not trusted, or an entry is no address, what it says counts for nothing.
    """
    if forwarded_for is None or not is_trusted(peer, trusted):
        return peer
    for entry in reversed(forwarded_for.decode("latin-1").split(",")):
        address = entry.strip()
        if not _is_address(address):
            return peer
        if not is_trusted(address, trusted):
            return address
        peer = address
    return peer


def came_plain(forwarded_proto: bytes | None, *, hop: str, trusted: Sequence[Network]) -> bool:
    """Whether a trusted proxy says that the browser came without TLS (X-Forwarded-Proto).

    Of several values the first speaks of the browser's own connection, the others of proxies.
    """
    if forwarded_proto is None:
        return False
    said = forwarded_proto.partition(b",")[0].strip().lower()
    return said in _WITHOUT_TLS and is_trusted(hop, trusted)


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether the address lies in a network of trusted proxies."""
    if not trusted or not _is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in trusted)


def request_id(given: bytes | None, *, hop: str, trusted: Sequence[Network]) -> str:
    """The request's id: ours, or a trusted proxy's if it is short and plain (E-10)."""
    if given is not None and is_trusted(hop, trusted):
        text = given.decode("latin-1")
        if _REQUEST_ID.fullmatch(text):
            return text
    return f"{_PROCESS}{next(_COUNT):08x}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
