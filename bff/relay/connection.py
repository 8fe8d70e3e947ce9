"""One connection to an upstream: one exchange at a time, HTTP/1.1 (RFC 9112).

An answer is believed only as far as its framing can be trusted. Octets that nobody asked for
close the connection: they must never become the next person's answer.
"""

import asyncio
import ssl
from typing import Protocol

from typing_extensions import override

from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.relay.answer import AnswerReader
from bff.relay.deadline import Deadline
from bff.relay.framing import AnswerHead


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

    __slots__ = (
        "_body_patience",
        "_closed",
        "_deadline",
        "_exchange",
        "_held",
        "_idle_since",
        "_loop",
        "_reader",
        "_request_open",
        "_transport",
        "seen_octet",
        "used",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._closed = False
        self._idle_since = 0.0
        self.used = False  # whether it has served an exchange before this one
        self._deadline = Deadline(self._loop, self._late)
        self._exchange: Exchange | None = None
        self._body_patience = 0.0
        self._request_open = False
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
        upgrade: bool = False,
    ) -> None:
        """Send the head of a request, and what is there of its body.

        The answer's head is due in `patience` seconds, each part of its body `body_patience`
        after the one before. `more`: the request goes on, until `end_request`. `upgrade`: 101
        is an answer, and `hand_over` takes the connection.
        """
        self._reader.expect(method, upgrade=upgrade)
        self._exchange = exchange
        self._body_patience = body_patience
        self._request_open = more
        self._held = False
        self.seen_octet = False
        if self._closed:  # between its making and now; `failed` must not come before we return
            self._loop.call_soon(self._fail, Reason.UPSTREAM_UNREACHABLE)
            return
        self._deadline.arm(patience)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        if self._transport is not None and not self._closed:
            self._transport.write(data)

    def end_request(self) -> None:
        """The request has been sent whole."""
        self._request_open = False

    @property
    def answer(self) -> AnswerHead | None:
        """The head of the answer, once it is here."""
        return self._reader.head

    @property
    def complete(self) -> bool:
        """Whether the answer is here whole."""
        return self._reader.complete

    def take(self) -> bytes:
        """What there is of the body and has not been taken."""
        return self._reader.take()

    def hold(self) -> None:
        """Let the upstream wait; nothing is due meanwhile."""
        if not self._held and self._transport is not None and not self._closed:
            self._held = True
            self._deadline.disarm()
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Take again what the upstream sends."""
        if self._held and self._transport is not None and not self._closed:
            self._held = False
            self._deadline.arm(self._body_patience)
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
        self._deadline.disarm()
        self._exchange = None
        self._idle_since = self._loop.time()
        reader = self._reader
        good = reader.complete and reader.reusable and not (self._request_open or self._closed)
        if not good or self._unsent:
            self.abort()
            return False
        if self._held and self._transport is not None:
            self._held = False
            self._transport.resume_reading()
        self.used = True  # not before: whoever failed on it may ask whether it was kept
        return True

    @property
    def _unsent(self) -> bool:
        """Whether octets of the request are still here."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def give_up(self) -> None:
        """Close at once; who waits for an answer is told that this process is about to stop."""
        self._fail(Reason.DRAINING)

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, after a 101, and what has come of the other protocol already.

        Whoever takes it must have it tell another of what comes.
        """
        if self._transport is None:
            raise Refused(Reason.UPSTREAM_UNREACHABLE, phase="answer")
        transport, self._transport = self._transport, None
        self._exchange = None
        self.abort()
        return transport, self._reader.after_upgrade

    def abort(self) -> None:
        """Close at once."""
        self._closed = True
        self._deadline.stop()
        self._reader.stop()
        if self._transport is not None:
            self._transport.abort()

    @property
    def open(self) -> bool:
        """Whether it still stands."""
        return not self._closed

    def push(self, patience: float) -> None:
        """The request goes on: the answer's head is due so many seconds from now."""
        self._deadline.push(patience)

    def _late(self) -> None:
        self._fail(Reason.UPSTREAM_TIMEOUT)

    # asyncio's callbacks.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP and TLS give a Transport

    @override
    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or self._reader.complete:
            self.abort()  # nobody asked for this
            return
        self.seen_octet = True
        try:
            self._reader.feed(data)
        except ValueError:
            self._fail(Reason.UPSTREAM_PROTOCOL)
            return
        if self._reader.head is not None:
            self._await_more()
            exchange.news()

    def _await_more(self) -> None:
        if self.complete:
            self._deadline.disarm()
        elif not self._held:
            self._deadline.arm(self._body_patience)

    @override
    def eof_received(self) -> bool:
        exchange = self._exchange
        if exchange is not None and not self.complete and self._reader.end():
            self._deadline.disarm()
            exchange.news()
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ssl.SSLError):  # as when it refuses our certificate, in TLS 1.3
            tell(Event.UPSTREAM_FAILED, error=type(exc).__name__)
        if self.complete:
            self.abort()
        else:
            self._fail(Reason.UPSTREAM_UNREACHABLE)

    @override
    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.upstream_congested()

    @override
    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.upstream_writable()

    def _fail(self, reason: Reason) -> None:
        phase = "answer" if self.answer is None else "body"
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is not None:
            exchange.failed(reason, phase)
