"""Paths that two parsers could read differently, and how a careless one reads the others.

Pure. The routes are matched with it, and the way back after a login is held to it.
"""

from typing import Final
from urllib.parse import unquote_to_bytes

from bff.problem import Reason, Refused

_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
# Brackets are RFC 3986's for hosts alone, but browsers send those of a path as they are, and whole
# frameworks name files so: /src/routes/[id].vue. Encoded or not, they read the same.
_PCHAR: Final = bytes(_UNRESERVED) + b"!$&'()*+,;=:@/[]"
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_CONFUSING: Final = frozenset({*range(0x20), 0x7F, *b"/\\#"})
_CONFUSING_LATER: Final = _CONFUSING | {*b"?"}
DECODINGS: Final = 3  # nobody encodes more often, and each costs another look at all of the path


def plain_path(path: bytes) -> bytes:
    """The path as a careless parser reads it: decoded, parameters and query cut, lower case.

    Raises Refused(AMBIGUOUS_PATH) where even careful parsers differ: dot segments, encoded
    separators, control or non-UTF-8 octets, empty segments, and double-encoded forms of these.
    """
    if not path.startswith(b"/"):
        raise Refused(Reason.AMBIGUOUS_PATH)
    if b"%" in path:
        decoded = _decoded(path)
    elif path.translate(None, _PCHAR):
        raise Refused(Reason.AMBIGUOUS_PATH)
    else:
        decoded = path
    segments = [segment.partition(b";")[0] for segment in decoded[1:].split(b"/")]
    if b"" in segments[:-1] or any(map(_is_dots, segments)) or decoded.endswith(b"/;"):
        raise Refused(Reason.AMBIGUOUS_PATH)
    return (b"/" + b"/".join(segments)).partition(b"?")[0].lower()


def _is_dots(segment: bytes) -> bool:
    """Whether it is a dot segment to whoever cuts parameters, and a query that was encoded."""
    return segment.partition(b";")[0].partition(b"?")[0] in (b".", b"..")


def _decoded(path: bytes) -> bytes:
    """The path decoded once; refused if that, or decoding again, brings something confusing."""
    if path.translate(None, _PCHAR + b"%"):
        raise Refused(Reason.AMBIGUOUS_PATH)
    first, *encoded = path.split(b"%")
    parts = [first]
    for part in encoded:
        if len(part) < 2 or not _HEX.issuperset(part[:2]):
            raise Refused(Reason.AMBIGUOUS_PATH)
        octet = int(part[:2], 16)
        if octet in _CONFUSING:
            raise Refused(Reason.AMBIGUOUS_PATH)
        parts += (bytes((octet,)), part[2:])
    once = b"".join(parts)
    _refuse_double(once)
    try:
        once.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(Reason.AMBIGUOUS_PATH) from None
    return once


def _refuse_double(once: bytes) -> None:
    """Refuse what another decoding would turn into a separator, a control or a dot segment."""
    again = once
    for _ in range(DECODINGS):
        twice = unquote_to_bytes(again)
        if twice == again:
            return
        if _CONFUSING_LATER.intersection(twice) - _CONFUSING_LATER.intersection(again) - set(b"/"):
            raise Refused(Reason.AMBIGUOUS_PATH)
        if twice.count(b"/") != again.count(b"/") or any(map(_is_dots, twice.split(b"/"))):
            raise Refused(Reason.AMBIGUOUS_PATH)
        again = twice
    raise Refused(Reason.AMBIGUOUS_PATH)
