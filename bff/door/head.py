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
    method: str,
    target: bytes,
    version: str,
    fields: Mapping[bytes, bytes],
    repeated: frozenset[bytes],
    hosts: Mapping[bytes, str],
) -> Head:
    """The head, if it is a request to one of our hosts. Raises Refused.

    `fields` are joined by name; `repeated`: the names that came more than once.
    """
    if version not in ("1.0", "1.1") or repeated & _ONCE:
        raise Refused(Reason.BAD_REQUEST)
    _judge_framing(version, fields.get(b"transfer-encoding"), fields.get(b"content-length"))
    if method in ("CONNECT", "TRACE"):
        raise Refused(Reason.METHOD_NOT_ALLOWED, allow=METHODS)
    origin_form, authority = _origin_form(method, target)
    frontend = _frontend(fields.get(b"host"), authority, hosts)
    expect = fields.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise Refused(Reason.EXPECTATION_FAILED)
    here = method == "OPTIONS" and (origin_form == b"*" or fields.get(b"max-forwards") == b"0")
    return Head(
        target=origin_form,
        frontend=frontend,
        expects_continue=expect is not None,
        answered_here=here,
    )


_ONCE: Final = frozenset({b"host", b"transfer-encoding", b"content-length"})


def _frontend(host: bytes | None, authority: bytes | None, hosts: Mapping[bytes, str]) -> str:
    """The front end of the host; the authority of an absolute form takes its place (Q-13)."""
    if host is None or (host not in hosts and not _HOST.fullmatch(host)):
        raise Refused(Reason.BAD_REQUEST)
    frontend = hosts.get((authority or host).lower())
    if frontend is None:
        raise Refused(Reason.UNKNOWN_ORIGIN)
    return frontend


def _judge_framing(version: str, coding: bytes | None, length: bytes | None) -> None:
    """One framing or none (RFC 9112 §6.1, §6.3); anything else smuggles."""
    if length is not None and (not length.isdigit() or len(length) > 18):
        raise Refused(Reason.BAD_REQUEST)
    if coding is None:
        return
    if length is not None or version == "1.0":
        raise Refused(Reason.BAD_REQUEST)
    names = [each.strip(b" \t").lower() for each in coding.split(b",")]
    if names[-1] != b"chunked" or names.count(b"chunked") > 1:
        raise Refused(Reason.BAD_REQUEST)
    if len(names) > 1:
        raise Refused(Reason.NOT_IMPLEMENTED)  # a coding that we do not take off


def _origin_form(method: str, target: bytes) -> tuple[bytes, bytes | None]:
    """The target as path and query, and the authority that an absolute form names in it."""
    if target == b"*" and method == "OPTIONS":
        return target, None
    authority = None
    if not target.startswith(b"/") and (absolute := _ABSOLUTE.fullmatch(target)):
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


def judge_upgrade(fields: Mapping[bytes, bytes]) -> None:
    """A request that would be another protocol goes on as the HTTP/1.1 it is (RFC 9110 §7.8).

    Its body the parser does not read, so a body could be taken for the next request.
    Raises Refused: BAD_REQUEST for a body, NOT_IMPLEMENTED for a WebSocket.
    """
    if b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0":
        raise Refused(Reason.BAD_REQUEST)
    wanted = fields.get(b"upgrade", b"").split(b",")
    if any(protocol.strip(b" \t").lower() == b"websocket" for protocol in wanted):
        raise Refused(Reason.NOT_IMPLEMENTED)
