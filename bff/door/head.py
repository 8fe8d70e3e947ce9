"""What is a request at all: the head, judged. Pure; nothing behind the door is asked.

After the parser, before a request exists for anybody else (RFC 9112 §3, RFC 9110 §7).
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from typing_extensions import override

from bff.problem import Headers, Reason, Refused

TARGET_OCTETS: Final = 8 * 1024
SECTION_OCTETS: Final = 64 * 1024  # five full login cookies are 16 KiB and lock nobody out
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

_HOST: Final = re.compile(rb"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{1,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_TARGET: Final = re.compile(rb"/[\x21-\x22\x24-\x7e]*")


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A head that may go on: its target in origin-form, octet for octet."""

    target: bytes
    frontend: str  # the name of the one that answers for this host
    expects_continue: bool
    answered_here: bool  # OPTIONS * and OPTIONS that may go no further (RFC 9110 §9.3.7, §7.6.2)

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: a target may hold a code."""
        return "<Head>"


def judge(
    method: str, target: bytes, version: str, headers: Headers, hosts: Mapping[bytes, str]
) -> Head:
    """The head, if it is a request to one of our hosts. Raises Refused."""
    if version not in ("1.0", "1.1"):
        raise Refused(Reason.BAD_REQUEST)
    found = _singled_out(headers)
    _judge_framing(version, found.get(b"transfer-encoding"), found.get(b"content-length"))
    if method in ("CONNECT", "TRACE"):
        raise Refused(Reason.METHOD_NOT_ALLOWED, allow=METHODS)
    origin_form, authority = _origin_form(method, target)
    host, expect = found.get(b"host", []), found.get(b"expect")
    if len(host) != 1 or not _HOST.fullmatch(host[0]):
        raise Refused(Reason.BAD_REQUEST)
    frontend = hosts.get((authority or host[0]).lower())
    if frontend is None:
        raise Refused(Reason.UNKNOWN_ORIGIN)
    if expect and (len(expect) > 1 or expect[0].lower() != b"100-continue"):
        raise Refused(Reason.EXPECTATION_FAILED)
    here = method == "OPTIONS" and (origin_form == b"*" or found.get(b"max-forwards") == [b"0"])
    return Head(
        target=origin_form, frontend=frontend, expects_continue=bool(expect), answered_here=here
    )


def _singled_out(headers: Headers) -> dict[bytes, list[bytes]]:
    """The values of the few fields that decide, in one pass."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _DECIDING:
            found.setdefault(name, []).append(value)
    return found


_DECIDING: Final = frozenset(
    {b"host", b"transfer-encoding", b"content-length", b"expect", b"max-forwards"}
)


def _judge_framing(version: str, codings: list[bytes] | None, lengths: list[bytes] | None) -> None:
    """One framing or none (RFC 9112 §6.1, §6.3); anything else smuggles."""
    if lengths and (len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18):
        raise Refused(Reason.BAD_REQUEST)
    if not codings:
        return
    if lengths or version == "1.0" or len(codings) > 1:
        raise Refused(Reason.BAD_REQUEST)
    names = [coding.strip(b" \t").lower() for coding in codings[0].split(b",")]
    if names[-1] != b"chunked" or names.count(b"chunked") > 1:
        raise Refused(Reason.BAD_REQUEST)
    if len(names) > 1:
        raise Refused(Reason.NOT_IMPLEMENTED)  # a coding that we do not take off


def _origin_form(method: str, target: bytes) -> tuple[bytes, bytes | None]:
    """The target as path and query, and the authority that an absolute form names in it."""
    if target == b"*" and method == "OPTIONS":
        return target, None
    authority = None
    if absolute := _ABSOLUTE.fullmatch(target):
        authority, target = absolute[1], absolute[2]
        if b"@" in authority or not _HOST.fullmatch(authority):
            raise Refused(Reason.BAD_REQUEST)
        if not target.startswith(b"/"):
            target = b"/" + target
    if not target.startswith(b"/"):
        raise Refused(Reason.BAD_REQUEST)
    if not _TARGET.fullmatch(target):
        raise Refused(Reason.AMBIGUOUS_PATH)  # `#`, controls, octets outside ASCII
    return target, authority


def section_octets(headers: Headers) -> int:
    """How large the header section was on the wire, near enough."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def judge_upgrade(headers: Headers) -> None:
    """A request that would be another protocol goes on as the HTTP/1.1 it is (RFC 9110 §7.8).

    Its body the parser does not read, so a body could be taken for the next request.
    Raises Refused: BAD_REQUEST for a body, NOT_IMPLEMENTED for a WebSocket.
    """
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            raise Refused(Reason.BAD_REQUEST)
    if any(name == b"upgrade" and value.lower() == b"websocket" for name, value in headers):
        raise Refused(Reason.NOT_IMPLEMENTED)
