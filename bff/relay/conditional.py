"""What becomes of a GET or HEAD for a file: preconditions, then the range (RFC 9110 §13, §14).

Pure: the request's fields and what is known of the file in, a status and the octets to send out.
"""

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from typing import Final

from bff.caller.request import BrowserRequest

_TAG: Final = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE: Final = re.compile(rb"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)
_DATE: Final = re.compile(rb"[A-Za-z]{3,9},? [A-Za-z0-9: -]{9,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What tells one state of a file from another, and its length in octets."""

    tag: bytes  # an entity tag as on the wire
    modified: int | None  # seconds since the epoch; None: nothing that could be believed
    size: int

    @property
    def last_modified(self) -> bytes | None:
        """The Last-Modified field, if there is one."""
        return None if self.modified is None else formatdate(self.modified, usegmt=True).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A status, and which octets of the file go with it."""

    status: int
    first: int = 0
    count: int = 0


def decide(request: BrowserRequest, file: Validators, now: float) -> Part:
    """The part of the file that answers the request, at `now` in seconds since the epoch."""
    if not _as_expected(request, file):
        return Part(status=412)
    if _is_known(request, file):
        return Part(status=304)
    whole = Part(status=200, count=file.size)
    wanted = request.get(b"range")
    # Of all methods only GET knows ranges (RFC 9110 §14.2).
    if wanted is None or request.method != "GET" or not _range_fits(request, file, now):
        return whole
    return _range(wanted, file.size) or whole


def _as_expected(request: BrowserRequest, file: Validators) -> bool:
    """If-Match, and in its absence If-Unmodified-Since (RFC 9110 §13.2.2, steps 1 and 2)."""
    match = request.get(b"if-match")
    if match is not None:
        return match == b"*" or (_is_strong(file.tag) and file.tag in _TAG.findall(match))
    date = _date(request.get(b"if-unmodified-since"))
    return date is None or file.modified is None or file.modified <= date


def _is_known(request: BrowserRequest, file: Validators) -> bool:
    """If-None-Match, and in its absence If-Modified-Since (steps 3 and 4)."""
    none_match = request.get(b"if-none-match")
    if none_match is not None:
        known = {tag.removeprefix(b"W/") for tag in _TAG.findall(none_match)}
        return none_match == b"*" or file.tag.removeprefix(b"W/") in known
    date = _date(request.get(b"if-modified-since"))
    return date is not None and file.modified is not None and file.modified <= date


def _range_fits(request: BrowserRequest, file: Validators, now: float) -> bool:
    """If-Range: a part is of use only beside parts of the same state (RFC 9110 §13.1.5)."""
    validator = request.get(b"if-range")
    if validator is None:
        return True
    if b'"' in validator:
        return _is_strong(file.tag) and validator == file.tag
    # Within the second of its change a file may change again under the same date (§8.8.2.2).
    settled = file.modified is not None and now - file.modified >= 1
    return settled and validator == file.last_modified


def _range(wanted: bytes, size: int) -> Part | None:
    """One range; None where the field is not understood or asks for several: all is sent then."""
    read = _RANGE.fullmatch(wanted)
    if read is None or not (read[1] or read[2]):
        return None
    if not read[1]:
        count = min(int(read[2]), size)
        if int(read[2]) and not size:
            return None  # "all of it", and there is nothing that a Content-Range could name
        return Part(status=206, first=size - count, count=count) if count else Part(status=416)
    first = int(read[1])
    last = min(int(read[2]), size - 1) if read[2] else size - 1
    if read[2] and int(read[2]) < first:
        return None
    return Part(status=206, first=first, count=last - first + 1) if first < size else OUTSIDE


OUTSIDE: Final = Part(status=416)


def _is_strong(tag: bytes) -> bool:
    return not tag.startswith(b"W/")


def _date(value: bytes | None) -> float | None:
    """Seconds since the epoch. What is no date counts as absent (RFC 9110 §13.1.3)."""
    if value is None or not _DATE.fullmatch(value):
        return None
    try:
        found = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, OverflowError):
        return None
    # One of the three forms names no zone, for it is always GMT (RFC 9110 §5.6.7).
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
