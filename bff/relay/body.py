"""The body of one request on its way up: counted, read along with, framed anew.

Small ones are kept, so that the request can be said again after an upstream's 401 (R-08).
"""

from typing import Final
from urllib.parse import unquote_plus

from bff.caller.request import BrowserRequest
from bff.problem import Reason, Refused
from bff.relay.exchange import TOKEN_KEY
from bff.relay.way import Relayed

HELD: Final = 64 * 1024  # octets of a body kept for a repeat


class FormScanner:
    """Refuses a form that brings its own `access_token`, whatever way it is cut (Q-05)."""

    LONGEST: Final = 3 * len(TOKEN_KEY)  # every letter percent-encoded

    def __init__(self) -> None:
        self._key = b""
        self._in_key = True

    def feed(self, chunk: bytes) -> None:
        """Take the next octets of the body. Raises Refused(BAD_REQUEST)."""
        for place, part in enumerate(chunk.split(b"&")):
            if place:
                self.finish()
                self._key, self._in_key = b"", True
            if self._in_key:
                key, equals, _ = part.partition(b"=")
                self._key = (self._key + key)[: self.LONGEST + 1]
                if equals:
                    self.finish()
                    self._in_key = False

    def finish(self) -> None:
        """The body, or one key of it, is over. Raises Refused(BAD_REQUEST)."""
        if self._in_key and unquote_plus(self._key.decode("latin-1")) == TOKEN_KEY:
            raise Refused(Reason.BAD_REQUEST)


class RequestBody:
    """What has come of a body, and what of it has not yet gone up."""

    def __init__(
        self, *, most: int, chunked: bool, scan: FormScanner | None, complete: bool = False
    ) -> None:
        self._most = most
        self._chunked = chunked
        self._scan = scan
        self._taken = 0
        self._kept: bytearray | None = bytearray()
        self._pending = bytearray()
        self._ended_up = False
        self.complete = complete

    @property
    def waiting(self) -> int:
        """How many octets have not gone up."""
        return len(self._pending)

    @property
    def held(self) -> bool:
        """Whether all of it is here, so that it can be sent again."""
        return self.complete and self._kept is not None

    def take(self, data: bytes) -> None:
        """Take what the browser sent. Raises Refused: BODY_TOO_LARGE, BAD_REQUEST."""
        self._taken += len(data)
        if self._taken > self._most:
            raise Refused(Reason.BODY_TOO_LARGE)
        if self._scan is not None:
            self._scan.feed(data)
        self._pending += data
        if self._kept is not None:
            self._kept += data
            if len(self._kept) > HELD:
                self._kept = None

    def end(self) -> None:
        """The body is whole. Raises Refused(BAD_REQUEST)."""
        self.complete = True
        if self._scan is not None:
            self._scan.finish()

    def next(self) -> bytes:
        """What is to be written now, framed as the upstream's head says."""
        data = bytes(self._pending)
        self._pending.clear()
        if not self._chunked:
            return data
        part = b"%x\r\n%s\r\n" % (len(data), data) if data else b""
        if self.complete and not self._ended_up:
            self._ended_up = True
            part += b"0\r\n\r\n"
        return part

    def again(self) -> None:
        """From the beginning; only where it is held."""
        self._pending = bytearray(self._kept or b"")
        self._ended_up = False


def _scanner(way: Relayed, request: BrowserRequest) -> FormScanner | None:
    """What reads along with the body, where it is a form on a route with a token."""
    kind = request.fields.get(b"content-type") or b""
    form = kind.partition(b";")[0].strip(b" \t").lower() == b"application/x-www-form-urlencoded"
    return FormScanner() if form and way.route.auth != "none" else None


# Most requests have none; one stands for all of them.
NO_BODY: Final = RequestBody(most=0, chunked=False, scan=None, complete=True)


def request_body(way: Relayed, request: BrowserRequest) -> RequestBody:
    """The body that the request announces."""
    if not request.section.has_body:
        return NO_BODY
    return RequestBody(
        most=way.route.max_body, chunked=request.section.chunked, scan=_scanner(way, request)
    )
