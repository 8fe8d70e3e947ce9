"""One connection to an upstream: one exchange at a time, HTTP/1.1 (RFC 9112).

An answer is believed only as far as its framing can be trusted. Octets that nobody asked for
close the connection: they must never become the next person's answer.
"""

import asyncio
from math import inf
from typing import Final, Protocol

import httptools
from typing_extensions import override

from bff.problem import Headers, Reason
from bff.relay.framing import AnswerHead, Framing, octets, read_framing

HEAD_OCTETS: Final = 64 * 1024
INTERIM: Final = 8  # interim answers before one is final


class Exchange(Protocol):
    """Who asked, and is told what comes. Raises nothing."""

    def news(self) -> None:
        """The answer's head, more of its body, or its end is here."""
        ...

    def failed(self, reason: Reason, phase: str) -> None:
        """There will be no more of it; the connection is closed."""
        ...

    def upstream_congested(self) -> None:
        """The upstream takes nothing just now."""
        ...

    def upstream_writable(self) -> None:
        """The upstream takes more again."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """One connection: one exchange at a time, its body taken as it comes or held back."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._closed = False
        self._idle_since = 0.0
        self.used = False  # whether it has served an exchange before this one
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf
        self._reset(None, "", 0.0)

    def _reset(self, exchange: Exchange | None, method: str, body_patience: float) -> None:
        self._exchange = exchange
        self._method = method
        self._body_patience = body_patience
        self._request_open = False
        self._headers: Headers = []
        self._head_octets = 0
        self._interim = 0
        self.answer: AnswerHead | None = None
        self._by_eof = False
        self._bodyless = False
        self._chunks: list[bytes] = []
        self.complete = False
        self._reusable = True
        self._held = False
        self.seen_octet = False

    # One exchange, as whoever asks drives it.

    def begin(
        self,
        exchange: Exchange,
        method: str,
        data: bytes,
        *,
        patience: float,
        body_patience: float,
        more: bool,
    ) -> None:
        """Send the head of a request, and what is there of its body.

        The answer's head is due in `patience` seconds, each part of its body `body_patience`
        after the one before. `more`: the request goes on, until `end_request`.
        """
        self._reset(exchange, method, body_patience)
        self._request_open = more
        if self._closed:  # between its making and now; `failed` must not come before we return
            self._loop.call_soon(self._fail, Reason.UPSTREAM_UNREACHABLE)
            return
        self._arm(patience)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        if self._transport is not None and not self._closed:
            self._transport.write(data)

    def end_request(self) -> None:
        """The request has been sent whole."""
        self._request_open = False

    def take(self) -> bytes:
        """What there is of the body and has not been taken."""
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def hold(self) -> None:
        """Let the upstream wait; nothing is due meanwhile."""
        if not self._held and self._transport is not None and not self._closed:
            self._held = True
            self._disarm()
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Take again what the upstream sends."""
        if self._held and self._transport is not None and not self._closed:
            self._held = False
            self._arm(self._body_patience)
            self._transport.resume_reading()

    @property
    def idle_for(self) -> float:
        """Seconds since the last exchange ended."""
        return self._loop.time() - self._idle_since

    @property
    def request_open(self) -> bool:
        """Whether the request has not been sent whole."""
        return self._request_open

    def finish(self) -> bool:
        """End the exchange; whether the connection may serve another.

        It may not if the answer came before the request was sent whole: what is still under way
        would be read as the next request.
        """
        self._disarm()
        self._exchange = None
        self.used = True
        self._idle_since = self._loop.time()
        good = self.complete and self._reusable and not (self._request_open or self._closed)
        if not good:
            self.abort()
            return False
        if self._method == "HEAD":
            # httptools would read the next answer as the body that HEAD does not have.
            self._parser = httptools.HttpResponseParser(self)
        if self._held and self._transport is not None:
            self._held = False
            self._transport.resume_reading()
        return True

    def give_up(self) -> None:
        """Close at once; who waits for an answer is told that this process is about to stop."""
        self._fail(Reason.DRAINING)

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
        exchange = self._exchange
        if exchange is None or self.complete:
            self._reusable = False  # nobody asked for this
            self.abort()
            return
        self.seen_octet = True
        if self.answer is None:
            self._head_octets += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._reusable = False
            if not self.complete:
                self._fail(Reason.UPSTREAM_PROTOCOL)
                return
        if self.answer is not None:
            self._await_more()
            exchange.news()
        elif self._head_octets > HEAD_OCTETS:
            self._fail(Reason.UPSTREAM_PROTOCOL)

    def _await_more(self) -> None:
        if self.complete:
            self._disarm()
        elif not self._held:
            self._arm(self._body_patience)

    @override
    def eof_received(self) -> bool:
        if self._by_eof and not self.complete and self._exchange is not None:
            self._reusable = False
            self.complete = True
            self._disarm()
            self._exchange.news()
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if not self.complete:
            self._fail(Reason.UPSTREAM_UNREACHABLE)

    @override
    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.upstream_congested()

    @override
    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.upstream_writable()

    # httptools' callbacks.

    def on_message_begin(self) -> None:
        """A message begins; after a complete answer that is one that nobody asked for."""
        if self.complete:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head. Trailers come here as well and are dropped (RFC 9110 §6.5)."""
        if self.answer is None:
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        if self.complete:
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
        self.answer = AnswerHead(status=status, headers=self._headers)
        self.complete = self._bodyless

    def on_body(self, data: bytes) -> None:
        """Take octets of the body."""
        if self._bodyless or self.complete:
            self._reusable = False
        else:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        """The answer is over, unless it was an interim one."""
        if self.answer is not None:
            self.complete = True

    def _fail(self, reason: Reason) -> None:
        phase = "answer" if self.answer is None else "body"
        exchange, self._exchange = self._exchange, None
        self._reusable = False
        self.abort()
        if exchange is not None:
            exchange.failed(reason, phase)
