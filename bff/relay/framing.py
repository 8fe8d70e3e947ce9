"""How long an upstream's answer is, if there is one way to tell (RFC 9112 §6.3). Pure."""

from enum import StrEnum
from typing import Any

import msgspec
from typing_extensions import override

from bff.problem import Headers


class AnswerHead(msgspec.Struct, frozen=True, eq=False, kw_only=True, gc=False):
    """The head of an upstream's answer.

    One value may stand for many answers: then whoever works something out from it keeps that in
    it, under a key of their own. Nothing there may lead back to it.
    """

    status: int
    headers: Headers
    kept: dict[object, Any] | None = None

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: an upstream may set cookies."""
        return "<AnswerHead>"


class Framing(StrEnum):
    """What ends a body."""

    NONE = "none"  # there is none, whatever the fields say
    DENIED = "denied"  # there can be none, and one may come: nothing after it is trusted
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


def read_framing(method: str, status: int, version: str, headers: Headers) -> Framing:
    """The body's framing. Raises ValueError on what cannot be one framing."""
    if not 100 <= status <= 599 or version not in ("1.1", "1.0"):
        raise ValueError
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or any(coding.lower() != b"chunked" for coding in codings):
        raise ValueError
    if codings and version == "1.0":
        raise ValueError  # RFC 9112 §6.1
    stated = codings or [value for value in lengths if value.strip(b"0")]
    if status < 200 or status in (204, 304):
        return _bodyless(status, stated)
    if method == "HEAD":
        # Who forgets that it has none may send it yet, to whoever asks next.
        return Framing.NONE if lengths and not stated else Framing.DENIED
    if codings:
        return Framing.CHUNKED
    return Framing.LENGTH if lengths else Framing.CLOSE


def _bodyless(status: int, stated: list[bytes]) -> Framing:
    """The framing of what has no body; `stated`: the fields that say otherwise.

    In 304 they speak of what GET would bring (RFC 9110 §8.6).
    """
    if status < 200 and stated:
        raise ValueError
    return Framing.DENIED if status == 204 and stated else Framing.NONE


def octets(headers: Headers) -> int:
    """How large a header section was on the wire, near enough."""
    return sum(len(name) + len(value) + 4 for name, value in headers)
