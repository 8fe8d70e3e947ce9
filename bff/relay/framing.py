"""How long an upstream's answer is, if there is one way to tell (RFC 9112 §6.3). Pure."""

from enum import StrEnum

import msgspec
from typing_extensions import override

from bff.problem import Headers


class AnswerHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The head of an upstream's answer."""

    status: int
    headers: Headers

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: an upstream may set cookies."""
        return "<AnswerHead>"


class Framing(StrEnum):
    """What ends a body."""

    NONE = "none"  # there is none, whatever the fields say
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


def read_framing(method: str, status: int, headers: Headers) -> Framing:
    """The body's framing. Raises ValueError on what cannot be one framing."""
    if status > 599:
        raise ValueError
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or any(coding.lower() != b"chunked" for coding in codings):
        raise ValueError
    if method == "HEAD" or status in (204, 304):
        return Framing.NONE
    if codings:
        return Framing.CHUNKED
    return Framing.LENGTH if lengths else Framing.CLOSE


def octets(headers: Headers) -> int:
    """How large a header section was on the wire, near enough."""
    return sum(len(name) + len(value) + 4 for name, value in headers)
