"""An upstream's answer as it comes: read, judged, and believed only as far as it can be.

Octets in, a head and a body out; it knows no socket. However the octets are cut, the verdict is
the same (RFC 9112 §4 to §7).
"""

from typing import Final

import httptools

from bff.problem import Headers
from bff.relay.framing import AnswerHead, Framing, octets, read_framing
from bff.relay.known import head_in, learn, recognise

HEAD_OCTETS: Final = 64 * 1024
INTERIM: Final = 8  # interim answers before one is final
CHUNK_OCTETS: Final = 16  # what an honest chunk takes at most beside its octets


_NO_PARSER: Final = httptools.HttpResponseParser(None)


class AnswerReader:
    """Reads one answer after the other from one connection; `expect` begins each."""

    __slots__ = (
        "_beside_body",
        "_chunks",
        "_first",
        "_framing",
        "_head_octets",
        "_headers",
        "_interim",
        "_interim_octets",
        "_method",
        "_parser",
        "_upgrade",
        "after_upgrade",
        "complete",
        "head",
        "reusable",
    )

    def __init__(self) -> None:
        self._method = ""
        self._parser = httptools.HttpResponseParser(self)
        self.expect("")

    def expect(self, method: str, *, upgrade: bool = False) -> None:
        """What follows answers a request with that method; `upgrade`: it may be a 101."""
        if self._method == "HEAD":
            # httptools would read the next answer as the body that HEAD does not have.
            self._parser = httptools.HttpResponseParser(self)
        self._first = True  # the parser stands before an answer, of which nothing has come
        self._method = method
        self._upgrade = upgrade
        self.after_upgrade = b""  # what has come of the other protocol
        self._headers: Headers = []
        self._head_octets = 0
        self._interim = 0
        self._interim_octets = 0  # of the header sections of interim answers
        self._beside_body = 0  # octets after the head that are no body: chunk lines, trailers
        self._framing = Framing.NONE
        self._chunks: list[bytes] = []
        self.head: AnswerHead | None = None
        self.complete = False
        self.reusable = True  # whether the connection may bring another

    def stop(self) -> None:
        """Nothing more will be fed; what came of an answer may still be taken."""
        self._parser = _NO_PARSER  # ours leads back here, and no collector shall be needed

    def feed(self, data: bytes) -> None:
        """Take what came. Raises ValueError where it cannot be believed."""
        first, self._first = self._first, False
        if not first or self._method == "HEAD":
            self._read(data)
            return
        start = head_in(data)
        if (found := recognise(start, data)) is not None:
            self.head, body = found
            self._chunks, self.complete = [body], True
            return
        self._read(data)
        by_length = self._framing is Framing.LENGTH and self.complete and self.reusable
        if self.head is not None and by_length:
            length = sum(map(len, self._chunks))
            if len(data) == len(start) + length:  # else another head came before, or more after
                learn(start, self.head, length)

    def _read(self, data: bytes) -> None:
        """Let the parser take it."""
        if self.head is None:
            self._head_octets += len(data)
        else:
            self._beside_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if not self.complete:
                raise ValueError from None
            if self._upgrade and isinstance(error, httptools.HttpParserUpgrade):
                self.after_upgrade = data[error.args[0] :]
        if not self.complete and self._is_endless():
            raise ValueError

    def _is_endless(self) -> bool:
        """Whether a head, chunk extensions or trailers have gone on for too long."""
        counted = self._head_octets if self.head is None else self._beside_body
        return counted > HEAD_OCTETS

    def end(self) -> bool:
        """No octet will follow; whether the answer is whole by that."""
        self.reusable = False
        self.complete = self.complete or (self.head is not None and self._framing is Framing.CLOSE)
        return self.complete

    def take(self) -> bytes:
        """What there is of the body and has not been taken."""
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    # httptools' callbacks.

    def on_message_begin(self) -> None:
        """A message begins; after a complete answer that is one that nobody asked for."""
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head. Trailers come here as well and are dropped (RFC 9110 §6.5)."""
        if self.head is None:
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        if self.complete:
            return
        status, version = self._parser.get_status_code(), self._parser.get_http_version()
        framing = read_framing(self._method, status, version, self._headers)
        # What has come may be body as well: no cut of the octets may give another verdict.
        if self._head_octets > HEAD_OCTETS and self._sections() > HEAD_OCTETS:
            raise ValueError
        if status < 200:
            self._pass_over(status)
            return
        self._framing = framing
        ends_here = framing in (Framing.CLOSE, Framing.DENIED)
        self.reusable = self.reusable and self._parser.should_keep_alive() and not ends_here
        self.head = AnswerHead(status=status, headers=self._headers)
        self.complete = framing in (Framing.NONE, Framing.DENIED)

    def _sections(self) -> int:
        return self._interim_octets + octets(self._headers)

    def _pass_over(self, status: int) -> None:
        """An interim answer: nobody is told, and there may not be many. A 101 is the last one."""
        if status == 101 and self._upgrade:
            self.head = AnswerHead(status=status, headers=self._headers)
            self.complete, self.reusable = True, False
            return
        self._interim_octets = self._sections()
        self._headers = []
        self._interim += 1
        if status == 101 or self._interim > INTERIM:
            raise ValueError

    def on_body(self, data: bytes) -> None:
        """Take octets of the body."""
        if self.complete:
            self.reusable = False
            return
        self._chunks.append(data)
        self._beside_body = max(0, self._beside_body - len(data) - CHUNK_OCTETS)

    def on_message_complete(self) -> None:
        """The answer is over, unless it was an interim one."""
        if self.head is not None:
            self.complete = True
