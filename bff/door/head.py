"""What is a request at all: the head, judged. Pure; nothing behind the door is asked.

After the parser, before a request exists for anybody else (RFC 9112 §3, RFC 9110 §7).
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from typing_extensions import override

from bff.again import Recent
from bff.caller.request import SECTIONS_KEPT, Section, join_fields, section_of
from bff.problem import Headers, Reason, Refused

TARGET_OCTETS: Final = 8 * 1024
SECTION_OCTETS: Final = 64 * 1024  # five full login cookies are 16 KiB and lock nobody out
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

_HOST: Final = re.compile(rb"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{1,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
ORIGIN_FORM: Final = re.compile(rb"/[\x21-\x22\x24-\x7e]*")  # of a target (RFC 9112 §3.2.1)


_Read = tuple[str, str, tuple[tuple[bytes, bytes], ...], bool]
sections: Final[Recent[_Read, Section]] = Recent(SECTIONS_KEPT)  # and what others keep with them


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A head that may go on: its target in origin-form, octet for octet."""

    target: bytes
    frontend: str  # the name of the one that answers for this host
    answered_here: bool  # OPTIONS * and OPTIONS that may go no further (RFC 9110 §9.3.7, §7.6.2)

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: a target may hold a code."""
        return "<Head>"


def read_section(
    method: str, version: str, headers: Headers, *, asked: bool, remember: bool
) -> Section:
    """The method and the header section, judged. Raises Refused.

    `asked`: the parser stops after this head, for an upgrade. `remember`: it is small enough to
    be kept, for the browser's next request.
    """
    if not remember:
        return _read_section(method, version, tuple(headers), asked)
    key = method, version, tuple(headers), asked
    section = sections.get(key)
    if section is None:  # a refusal is reckoned anew each time
        section = _read_section(*key)
        sections.keep(key, section)
    return section


def _read_section(
    method: str, version: str, headers: tuple[tuple[bytes, bytes], ...], asked: bool
) -> Section:
    listed = list(headers)
    fields, repeated = join_fields(listed)
    if version not in ("1.0", "1.1") or repeated & _ONCE:
        raise Refused(Reason.BAD_REQUEST)
    _judge_framing(method, version, fields.get(b"transfer-encoding"), fields.get(b"content-length"))
    if method in ("CONNECT", "TRACE"):
        raise Refused(Reason.METHOD_NOT_ALLOWED, allow=METHODS)
    expected = fields.get(b"expect", b"100-continue")
    if version == "1.1" and expected.lower() != b"100-continue":
        raise Refused(Reason.EXPECTATION_FAILED)
    upgrade = judge_upgrade(fields, asked=asked)
    if upgrade and version != "1.1":
        raise Refused(Reason.BAD_REQUEST)  # RFC 6455 §4.2.1
    return section_of(method, listed, fields, upgrade=upgrade)


def judge(section: Section, target: bytes, hosts: Mapping[bytes, str]) -> Head:
    """The head, if it is a request to one of our hosts. Raises Refused."""
    origin_form, authority = _origin_form(section.method, target)
    frontend = frontend_of(section, hosts, authority)
    here = section.method == "OPTIONS" and (
        origin_form == b"*" or _goes_no_further(section.fields.get(b"max-forwards", b""))
    )
    return Head(target=origin_form, frontend=frontend, answered_here=here)


def _goes_no_further(max_forwards: bytes) -> bool:
    """Whether the number is zero, however it is written; what is no number is as none."""
    return max_forwards.isdigit() and not max_forwards.strip(b"0")


_ONCE: Final = frozenset({b"host", b"transfer-encoding", b"content-length"})


def frontend_of(
    section: Section, hosts: Mapping[bytes, str], authority: bytes | None = None
) -> str:
    """The front end of the host; the authority of an absolute form takes its place (Q-13).

    Raises Refused: BAD_REQUEST, UNKNOWN_ORIGIN."""
    host = section.fields.get(b"host")
    if host is None or (host not in hosts and not _HOST.fullmatch(host)):
        raise Refused(Reason.BAD_REQUEST)
    frontend = hosts.get((authority or host).lower())
    if frontend is None:
        raise Refused(Reason.UNKNOWN_ORIGIN)
    return frontend


_CONTENTLESS: Final = frozenset({"GET", "HEAD"})


def _judge_framing(method: str, version: str, coding: bytes | None, length: bytes | None) -> None:
    """One framing or none (RFC 9112 §6.1, §6.3); anything else smuggles."""
    if length is not None and (not length.isdigit() or len(length) > 18):
        raise Refused(Reason.BAD_REQUEST)
    # No browser sends a body with these, and a server that expects none takes it for the next
    # request (RFC 9110 §9.3.1).
    if method in _CONTENTLESS and (coding is not None or int(length or b"0")):
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
    if not ORIGIN_FORM.fullmatch(target):
        raise Refused(Reason.AMBIGUOUS_PATH)  # `#`, controls, octets outside ASCII
    return target, authority


def section_octets(headers: Headers) -> int:
    """How large the header section was on the wire, near enough."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def judge_upgrade(fields: Mapping[bytes, bytes], *, asked: bool) -> bool:
    """Whether the request is one for a WebSocket; `asked`: the parser stops after its head.

    Any other upgrade is not taken, the request goes on as the HTTP/1.1 it is (RFC 9110 §7.8). Its
    body the parser does not read, so a body could be taken for the next request. What lacks a
    part of the handshake must not pass as a plain request (W-03). Raises Refused(BAD_REQUEST).
    """
    if not asked and b"upgrade" not in fields and b"sec-websocket-key" not in fields:
        return False
    wanted = fields.get(b"upgrade", b"").split(b",")
    named = any(protocol.strip(b" \t").lower() == b"websocket" for protocol in wanted)
    socket = named or b"sec-websocket-key" in fields
    has_body = b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
    if has_body if asked else socket:
        raise Refused(Reason.BAD_REQUEST)
    return socket
