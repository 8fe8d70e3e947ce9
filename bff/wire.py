"""The browser's connection, as whoever answers on it sees it, and an answer as octets.

Below every room that answers: the door's own refusals, the ASGI cycle and the lane write with
the same framing, made anew for the browser's connection (RFC 9112 §6).
"""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from typing_extensions import override

from bff.problem import Answer, Headers

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
BUFFERED: Final = 64 * 1024  # octets of a request body held before the browser must wait


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


class Wire(Protocol):
    """The connection, as far as a request on it needs it."""

    transport: asyncio.Transport
    draining: bool  # the process is about to stop: what has no end of its own ends where it begins

    @property
    def write_paused(self) -> bool:
        """Whether the browser has not yet taken what was written."""
        ...

    def pause_reading(self) -> None:
        """Let the browser wait with what it sends."""
        ...

    def resume_reading(self) -> None:
        """Take again what the browser sends."""
        ...

    def answered(self, *, keep_alive: bool, body_unread: bool) -> None:
        """An answer is complete."""
        ...

    def break_off(self) -> None:
        """An answer cannot be finished: it must not look complete."""
        ...

    def hand_over(self, answering: "Answering") -> None:
        """The connection speaks another protocol from here on, and this is who speaks it."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what takes its time; a shutdown waits for it."""
        ...

    def date_line(self) -> bytes:
        """The Date field."""
        ...


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One request's turn on a connection: how its answer may go out.

    The collector must see it: whoever answers holds it, it holds the connection, and that whoever
    answers. Without `gc` such a ring is never found.
    """

    wire: Wire
    version: str  # of HTTP, as the browser speaks it
    keep_alive: bool
    expects_continue: bool
    upgrade: bool = False  # to a WebSocket


class Answering(Protocol):
    """One request in its turn on a connection: what the door tells it, and asks of it."""

    keep_alive: bool

    @property
    def response_started(self) -> bool:
        """Whether octets of an answer may have left."""
        ...

    @property
    def response_complete(self) -> bool:
        """Whether it is over."""
        ...

    def start(self) -> None:
        """Its turn has come. Raises nothing."""
        ...

    def take_body(self, data: bytes) -> None:
        """Octets of the request's body."""
        ...

    def end_body(self) -> None:
        """The request is here whole."""
        ...

    def flush(self) -> None:
        """All that one read brought has been told."""
        ...

    def congested(self) -> None:
        """The browser takes nothing just now."""
        ...

    def writable(self) -> None:
        """The browser takes more again."""
        ...

    def gone(self) -> None:
        """Nobody waits for an answer any more: stop, and write nothing."""
        ...

    def drain(self) -> None:
        """The process is about to stop: what has no end of its own ends now."""
        ...


class AnswerLines(msgspec.Struct, frozen=True, gc=False):
    """The status line and the fields of an answer as octets, and what they say of its body."""

    status: int
    octets: bytes
    length: int | None  # of the body, where it is stated
    dated: bool

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: a cookie may be set in it."""
        return "<AnswerLines>"


def answer_lines(status: int, headers: Headers) -> AnswerLines:
    """The lines of an answer's head, but for those that the framing adds."""
    lines = [STATUS_LINES[status]]
    length, dated = None, False
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
        if name == b"content-length":
            length = int(value)
        elif name == b"date":
            dated = True
    return AnswerLines(status, b"".join(lines), length, dated)


class Framed:
    """One answer on its way out: its head, then its body in the framing that fits.

    `keep_alive` tells afterwards whether the connection may go on.
    """

    __slots__ = ("_bodyless", "_chunked", "_head", "_left", "keep_alive")

    def __init__(
        self,
        lines: AnswerLines,
        *,
        head_only: bool,
        version: str,
        keep_alive: bool,
        date: bytes,
    ) -> None:
        self._bodyless = head_only or lines.status in (204, 304)
        self._left = lines.length  # octets of the body still to come, where it has a length
        self._chunked = self._left is None and not self._bodyless and version == "1.1"
        # Without a length and without chunks, the end of the connection ends the body.
        endless = self._left is None and not self._bodyless and not self._chunked
        self.keep_alive = keep_alive and not endless
        self._head = b"".join(  # leaves with the first part of the body
            (
                lines.octets,
                b"" if lines.dated else date,
                b"transfer-encoding: chunked\r\n" if self._chunked else b"",
                b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n",
            )
        )

    def part(self, body: bytes, *, last: bool) -> bytes:
        """The octets to write for the next part of the body.

        Raises ValueError where the body does not fit its Content-Length.
        """
        head, self._head = self._head, b""
        if self._bodyless:
            return head
        if self._chunked:
            size = b"%x\r\n" % len(body) if body else b""
            ends = (b"\r\n" if body else b"") + (b"0\r\n\r\n" if last else b"")
            return b"".join((head, size, body, ends))
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and last):
                raise ValueError("the body does not fit its Content-Length")
        return head + body if head else body


def answer_bytes(answer: Answer, *, head_only: bool, keep_alive: bool, date: bytes) -> bytes:
    """A whole answer of ours as octets."""
    fields = b"".join(b"%s: %s\r\n" % field for field in answer.headers)
    close = b"" if keep_alive else b"connection: close\r\n"
    head = STATUS_LINES[answer.status] + fields + close + date + b"\r\n"
    return head if head_only else head + answer.body
