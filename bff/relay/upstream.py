"""Connections to one origin: pool, keep-alive, deadlines, HTTP/1.1 (RFC 9112).

An answer is believed only as far as its framing can be trusted. Octets that nobody asked for
close the connection: they must never become the next person's answer.
"""

import asyncio
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import Final
from urllib.parse import urlsplit

import httptools
from typing_extensions import override

from bff.journal.log import Event, tell
from bff.problem import Headers, Reason, Refused

HEAD_OCTETS: Final = 64 * 1024
INTERIM: Final = 8  # interim answers before one is final
HIGH_WATER: Final = 128 * 1024
LOW_WATER: Final = 32 * 1024
IDLE_SECONDS: Final = 60.0
FRESH_SECONDS: Final = 2.0  # an idle connection younger than this is safe enough for any method


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """The head of an upstream's answer; `length` None: the body is framed by chunks or by EOF."""

    status: int
    headers: Headers = field(repr=False)
    length: int | None


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
        self.idle_since = 0.0
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
        self.idle_since = self._loop.time()
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
        if self._head_octets > HEAD_OCTETS and _octets(self._headers) > HEAD_OCTETS:
            raise ValueError
        length = self._read_framing(status)
        self._reusable = self._reusable and self._parser.should_keep_alive() and not self._by_eof
        self._head_done = True
        if self._head is None:
            self._head = self._loop.create_future()
        if not self._head.done():
            self._head.set_result(AnswerHead(status=status, headers=self._headers, length=length))
        if self._bodyless:
            self._end()

    def _read_framing(self, status: int) -> int | None:
        """The body's length, or None. Raises ValueError on what cannot be one framing."""
        if status > 599:
            raise ValueError
        lengths = [value for name, value in self._headers if name == b"content-length"]
        codings = [value for name, value in self._headers if name == b"transfer-encoding"]
        if (lengths and codings) or len(lengths) > 1:
            raise ValueError
        if any(coding.lower() != b"chunked" for coding in codings) or len(codings) > 1:
            raise ValueError
        self._bodyless = self._method == "HEAD" or status in (204, 304)
        self._by_eof = not lengths and not codings and not self._bodyless
        return int(lengths[0]) if lengths else None

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


def _octets(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


class Upstream:
    """The connections to one origin: as many as configured, the last used first."""

    def __init__(
        self,
        origin: str,
        *,
        connections: int,
        connect_timeout: float,
        ca_file: str | None = None,
    ) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        if self._tls is not None and ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._most = connections
        self._connect_timeout = connect_timeout
        self._idle: list[UpstreamConnection] = []
        self._count = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._told_at = 0.0

    async def acquire(self, *, careful: bool) -> UpstreamConnection:
        """A connection, kept alive or new. Raises Refused: UPSTREAM_UNREACHABLE, OVERLOADED.

        `careful`: the request may not be repeated, so a connection that has been idle for long,
        and that the upstream may be closing right now, will not do.
        """
        if (kept := self._take_idle(careful)) is not None:
            return kept
        if self._count >= self._most:
            await self._turn()
            if (kept := self._take_idle(careful)) is not None:
                return kept
        return await self._connect()

    def _take_idle(self, careful: bool) -> UpstreamConnection | None:
        while self._idle:
            connection = self._idle.pop()
            age = asyncio.get_running_loop().time() - connection.idle_since
            if connection.open and age < (FRESH_SECONDS if careful else IDLE_SECONDS):
                return connection
            connection.abort()
            self._count -= 1
        return None

    async def _turn(self) -> None:
        """Wait until a connection is given back."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= self._most:
            raise Refused(Reason.OVERLOADED)
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._connect_timeout):
                await turn
        except TimeoutError:
            raise Refused(Reason.OVERLOADED) from None

    async def _connect(self) -> UpstreamConnection:
        self._count += 1
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    UpstreamConnection,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except (OSError, TimeoutError) as error:
            self._gone()
            self._tell(error)
            raise Refused(Reason.UPSTREAM_UNREACHABLE, phase="connect") from None
        except BaseException:
            self._gone()
            raise
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """End the exchange on a connection and keep it, if it is good for another."""
        if connection.finish():
            self._idle.append(connection)
            self._wake_one()
        else:
            self._gone()

    def _gone(self) -> None:
        self._count -= 1
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _tell(self, error: BaseException) -> None:
        if time.monotonic() - self._told_at > 1:
            self._told_at = time.monotonic()
            tell(Event.UPSTREAM_FAILED, error=type(error).__name__)

    def close(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
