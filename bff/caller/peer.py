"""Whose connection it is, and how it came, through the proxies that we were told to trust."""

import ipaddress
import itertools
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# An id names a request, it keeps no secret: random for the process, counted within it.
_PROCESS: Final = secrets.token_hex(6)
_COUNT: Final = itertools.count(1)

_WITHOUT_TLS: Final = frozenset({b"http", b"ws"})  # some proxies name a WebSocket's scheme

_MAPPED: Final = "::ffff:"
_LONGEST: Final = 64  # an address takes 45, and its zone a few

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Proxies:
    """The proxies that are trusted, by their networks.

    They are asked several times on every request, so what was found of an address is remembered.
    """

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._found = lru_cache(maxsize=1024)(self._look_up)

    def include(self, address: str) -> bool | None:
        """Whether the address is one of theirs; None: it is none at all."""
        return self._found(address) if len(address) <= _LONGEST else None

    def _look_up(self, address: str) -> bool | None:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return None
        return any(parsed in network for network in self._networks)


def unmapped(address: str) -> str:
    """An IPv4 address as such: a socket of both families writes it as IPv6 (RFC 4291 §2.5.5.2)."""
    return address.removeprefix(_MAPPED) if "." in address else address


def client_address(peer: str, forwarded_for: bytes | None, trusted: Proxies) -> str:
    """The rightmost address of X-Forwarded-For that is not itself a trusted proxy (RFC 7239 §4).

    Where the peer is not trusted, or an entry is no address, what it says counts for nothing.
    """
    if forwarded_for is None or not trusted.include(peer):
        return peer
    for entry in reversed(forwarded_for.decode("latin-1").split(",")):
        address = unmapped(entry.strip())
        known = trusted.include(address)
        # A zone (RFC 4007 §11) names an interface of the machine that wrote it, and may hold
        # anything: nobody further on could read it as an address.
        if known is None or "%" in address:
            return peer
        if not known:
            return address
        peer = address
    return peer


def came_plain(forwarded_proto: bytes | None, *, hop: str, trusted: Proxies) -> bool:
    """Whether a trusted proxy says that the browser came without TLS (X-Forwarded-Proto).

    Of several values the first speaks of the browser's own connection, the others of proxies.
    """
    if forwarded_proto is None:
        return False
    said = forwarded_proto.partition(b",")[0].strip().lower()
    return said in _WITHOUT_TLS and bool(trusted.include(hop))


def request_id(given: bytes | None, *, hop: str, trusted: Proxies) -> str:
    """The request's id: ours, or a trusted proxy's if it is short and plain (E-10)."""
    if given is not None and trusted.include(hop):
        text = given.decode("latin-1")
        if _REQUEST_ID.fullmatch(text):
            return text
    return f"{_PROCESS}{next(_COUNT):08x}"
