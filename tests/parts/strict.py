"""A small strict reader of HTTP/1.1 messages (RFC 9112), to judge others by.

It shares no code with what it judges, and takes only what the grammar allows: what two readers
could take differently is Malformed, what needs further octets is Unfinished.
"""

import re
from dataclasses import dataclass
from typing import Final

Fields = list[tuple[bytes, bytes]]  # names in lower case, values without the space around them

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST: Final = re.compile(rb"(%s) ([\x21-\x7e]+) HTTP/1\.([01])" % _TOKEN)
# Where a reader may be generous without a second reading (RFC 9112 §2.2, §3).
_GENEROUS: Final = re.compile(rb"(%s) +([\x21-\x7e]+) +HTTP/1\.([01])" % _TOKEN)
_STATUS: Final = re.compile(  # whatever its phrase is: a client ignores it (RFC 9112 §4)
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?", re.DOTALL
)
_FIELD: Final = re.compile(rb"(%s):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*" % _TOKEN)
# What an extension says is no matter, as long as it ends with its line (RFC 9112 §7.1.1).
_EXTENSION: Final = rb"(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?"
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})" + _EXTENSION)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class Malformed(Exception):
    """Not one message in one reading."""


class Unfinished(Exception):
    """It may become one."""


@dataclass(frozen=True)
class Request:
    method: bytes
    target: bytes
    minor: int  # of the version: HTTP/1.minor
    fields: Fields
    body: bytes
    trailers: Fields

    def all(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.fields if found == name]


@dataclass(frozen=True)
class Answer:
    status: int
    minor: int
    fields: Fields
    body: bytes
    trailers: Fields

    def all(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.fields if found == name]


def _line(octets: bytes, at: int) -> tuple[bytes, int]:
    """The line that begins there, and where the next begins. CR and LF only as its end."""
    end = octets.find(b"\n", at)
    if end < 0:
        if b"\r" in octets[at:-1]:
            raise Malformed("a CR within a line")
        raise Unfinished
    if octets[end - 1 : end] != b"\r" or end == at or b"\r" in octets[at : end - 1]:
        raise Malformed("a line end that is none")
    return octets[at : end - 1], end + 1


def _section(octets: bytes, at: int) -> tuple[Fields, int]:
    """A section of fields, to its empty line."""
    fields: Fields = []
    while True:
        line, at = _line(octets, at)
        if not line:
            return fields, at
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Malformed("a field line that is none")
        fields.append((field[1].lower(), field[2]))


def _exactly(octets: bytes, at: int, count: int) -> tuple[bytes, int]:
    if len(octets) - at < count:
        raise Unfinished
    return octets[at : at + count], at + count


def _chunks(octets: bytes, at: int) -> tuple[bytes, Fields, int]:
    """A body in chunks, its trailers, and where it ends (RFC 9112 §7.1)."""
    body = b""
    while True:
        line, at = _line(octets, at)
        size = _SIZE.fullmatch(line)
        if size is None:
            raise Malformed("a chunk size that is none")
        count = int(size[1], 16)
        if count == 0:
            trailers, at = _section(octets, at)
            return body, trailers, at
        part, at = _exactly(octets, at, count)
        end, at = _exactly(octets, at, 2)
        if end != b"\r\n":
            raise Malformed("a chunk that does not end")
        body += part


def _framing(fields: Fields, minor: int) -> int | str | None:
    """A length, "chunked", or nothing stated (RFC 9112 §6)."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise Malformed("more than one framing")
    if codings:
        if minor == 0 or codings[0].lower() != b"chunked":
            raise Malformed("a coding that is not to be trusted")
        return "chunked"
    if lengths:
        if not _LENGTH.fullmatch(lengths[0]):
            raise Malformed("a length that is none")
        return int(lengths[0])
    return None


def _body(octets: bytes, at: int, framing: int | str) -> tuple[bytes, Fields, int]:
    if isinstance(framing, str):
        return _chunks(octets, at)
    body, at = _exactly(octets, at, framing)
    return body, [], at


def _first_line(octets: bytes, at: int) -> int:
    """Where a message begins, after empty lines."""
    while octets[at : at + 1] in (b"\r", b"\n"):
        at += 1
    return at


def read_request(octets: bytes, at: int = 0, *, generous: bool = False) -> tuple[Request, int]:
    """The request that begins there, and where it ends. Raises Malformed, Unfinished.

    `generous`: empty lines before it and more than one space in its first line are no matter.
    """
    if generous:
        at = _first_line(octets, at)
    line, at = _line(octets, at)
    first = (_GENEROUS if generous else _REQUEST).fullmatch(line)
    if first is None:
        raise Malformed("a request line that is none")
    fields, at = _section(octets, at)
    minor = int(first[3])
    if [name for name, _ in fields].count(b"host") != 1:
        raise Malformed("no one host")
    body, trailers, at = _body(octets, at, _framing(fields, minor) or 0)
    return Request(first[1], first[2], minor, fields, body, trailers), at


def read_answer(
    octets: bytes,
    at: int = 0,
    *,
    method: str = "GET",
    ended: bool = False,
    generous: bool = False,
) -> tuple[Answer, int]:
    """The answer that begins there, and where it ends. Raises Malformed, Unfinished.

    `ended`: no octet will follow, which is an end only for a body that states none. `generous`:
    empty lines before it are no matter.
    """
    if generous:
        at = _first_line(octets, at)
    line, at = _line(octets, at)
    first = _STATUS.fullmatch(line)
    if first is None:
        raise Malformed("a status line that is none")
    fields, at = _section(octets, at)
    minor, status = int(first[1]), int(first[2])
    framing = _framing(fields, minor)
    if status < 200 and framing is not None:
        raise Malformed("an interim answer with a body")
    if method == "HEAD" or status < 200 or status in (204, 304):
        return Answer(status, minor, fields, b"", []), at
    if framing is not None:
        body, trailers, at = _body(octets, at, framing)
        return Answer(status, minor, fields, body, trailers), at
    if not ended:
        raise Unfinished
    return Answer(status, minor, fields, octets[at:], []), len(octets)
