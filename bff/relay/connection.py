"""One connection to an upstream: one exchange at a time, HTTP/1.1 (RFC 9112).

An answer is believed only as far as its framing can be trusted. Octets that nobody asked for
close the connection: they must never become the next person's answer.
"""

import asyncio
from collections import deque
from math import inf
from typing import Final

import httptools
from typing_extensions import override

from bff.problem import Headers, Reason, Refused
from bff.relay.framing import AnswerHead, Framing, octets, read_framing

HEAD_OCTETS: Final = 64 * 1024
INTERIM: Final = 8  # interim answers before one is final
HIGH_WATER: Final = 128 * 1024  # octets of a body held before the upstream must wait


class Cut(Exception):
    """The answer's body ended before it was complete."""


class UpstreamConnection(asyncio.Protocol):
    """One connection: one exchange at a time, its body read with back-pressure."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._busy = False
        self._reusable = False
        self._closed = False
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._idle_since = 0.0
        self.used = False  # whether it has served an exchange before this one
        self._timer: asyncio.TimerHandle | None = None
        self._reset("")

    def _reset(self, method: str) -> None:
        self._method = method
        self._request_open = False
        self._headers: Headers = []
        self._head_octets = 0
        self._interim = 0
        self._head: asyncio.Future[AnswerHead] | None = None
        self._head_done = False
        self._by_eof = False
        self._bodyless = False
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._complete = False
        self._failed: Reason | None = None
        self._wake: asyncio.Future[None] | None = None
        self.seen_octet = False
        self.phase = "answer"
        self._due = inf

    # One exchange, as the shell drives it.

    def begin(self, method: str, head: bytes, *, patience: float, body: bool) -> None:
        """Send the head of a request; its answer's head is due in `patience` seconds.

        `body`: more follows, until `end_request`.
        """
        self._reset(method)
        self._request_open = body
        self._busy, self._reusable = True, True
        self._arm(patience)
        self.write(head)

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        if self._transport is not None and not self._closed:
            self._transport.write(data)

    def end_request(self) -> None:
        """The request has been sent whole."""
        self._request_open = False

    async def drain(self) -> None:
        """Return when the upstream takes more."""
        if self._writable is not None:
            await self._writable

    async def head(self) -> AnswerHead:
        """The answer's final head. Raises Refused."""
        if self._failed is not None:
            raise Refused(self._failed, phase=self.phase)
        self._head = self._loop.create_future() if self._head is None else self._head
        return await self._head

    async def chunk(self, patience: float) -> bytes:
        """The next octets of the body, b"" at its end. Raises Cut."""
        while not self._chunks:
            if self._complete:
                return b""
            if self._failed is not None or self._closed:
                raise Cut
            self.phase = "body"
            self._arm(patience)
            self._wake = self._loop.create_future()
            await self._wake
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._paused and self._transport is not None and not self._closed:
            self._paused = False
            self._transport.resume_reading()
        return data

    @property
    def idle_for(self) -> float:
        """Seconds since the last exchange ended."""
        return self._loop.time() - self._idle_since

    @property
    def ready(self) -> bool:
        """Whether `chunk` would answer at once."""
        return bool(self._chunks) or self._complete

    @property
    def whole(self) -> bytes | None:
        """The body, if all of it is here already."""
        return b"".join(self._chunks) if self._complete else None

    def finish(self) -> bool:
        """End the exchange; whether the connection may serve another.

        It may not if the answer came before the request was sent whole: what is still under way
        would be read as the next request.
        """
        self._disarm()
        self._busy = False
        self.used = True
        self._idle_since = self._loop.time()
        good = self._complete and self._reusable and not (self._request_open or self._closed)
        if not good:
            self.abort()
        elif self._method == "HEAD":
            # httptools would read the next answer as the body that HEAD does not have.
            self._parser = httptools.HttpResponseParser(self)
        return good

    def abort(self) -> None:
        """Close at once."""
        self._closed = True
        self._disarm()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    @property
    def open(self) -> bool:
        """Whether it still stands."""
        return not self._closed

    # Deadlines: one timer, pushed out lazily.

    def _arm(self, patience: float) -> None:
        self.push(patience)
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_later(patience, self._late)

    def push(self, patience: float) -> None:
        """Something went on: count the time anew."""
        self._due = self._loop.time() + patience

    def _late(self) -> None:
        self._timer = None
        left = self._due - self._loop.time()
        if left == inf:
            return  # nothing is due
        if left > 0:
            self._timer = self._loop.call_later(left, self._late)
            return
        self._fail(Reason.UPSTREAM_TIMEOUT)

    def _disarm(self) -> None:
        self._due = inf

    # asyncio's callbacks.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP and TLS give a Transport

    @override
    def data_received(self, data: bytes) -> None:
        if not self._busy or self._complete:
            self._reusable = False  # nobody asked for this
            self.abort()
            return
        self.seen_octet = True
        if not self._head_done:
            self._head_octets += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._reusable = False
            if not self._complete:
                self._fail(Reason.UPSTREAM_PROTOCOL)
            return
        if not self._head_done and self._head_octets > HEAD_OCTETS:
            self._fail(Reason.UPSTREAM_PROTOCOL)

    @override
    def eof_received(self) -> bool:
        if self._busy and self._by_eof and self._head_done and not self._failed:
            self._reusable = False
            self._end()
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._busy and not self._complete:
            self._fail(Reason.UPSTREAM_UNREACHABLE)
        self.resume_writing()

    @override
    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    @override
    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # httptools' callbacks.

    def on_message_begin(self) -> None:
        """A message begins; after a complete answer that is one that nobody asked for."""
        if self._complete:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head. Trailers come here as well and are dropped (RFC 9110 §6.5)."""
        if not self._head_done:
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._headers = []
            self._interim += 1
            if status == 101 or self._interim > INTERIM:
                raise ValueError
            return
        if self._head_octets > HEAD_OCTETS and octets(self._headers) > HEAD_OCTETS:
            raise ValueError
        framing = read_framing(self._method, status, self._headers)
        self._bodyless = framing is Framing.NONE
        self._by_eof = framing is Framing.CLOSE
        self._reusable = self._reusable and self._parser.should_keep_alive() and not self._by_eof
        self._head_done = True
        if self._head is None:
            self._head = self._loop.create_future()
        if not self._head.done():
            self._head.set_result(AnswerHead(status=status, headers=self._headers))
        if self._bodyless:
            self._end()

    def on_body(self, data: bytes) -> None:
        """Take octets of the body; beyond the high-water mark the upstream waits."""
        if self._bodyless or self._complete:
            self._reusable = False
            return
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake_up()

    def on_message_complete(self) -> None:
        """The answer is over, unless it was an interim one."""
        if self._head_done and not self._complete:
            self._end()

    def _end(self) -> None:
        self._complete = True
        self._disarm()
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _fail(self, reason: Reason) -> None:
        if self._failed is None:
            self._failed = reason
        self._reusable = False
        self.abort()
        if self._head is not None and not self._head.done():
            self._head.set_exception(Refused(self._failed, phase=self.phase))
        self._wake_up()
