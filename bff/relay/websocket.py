"""One WebSocket: the frames of two connections carried across, tied to the session (rows W).

It takes the place of the exchange that shook hands. Frames are read and written anew on each
side, part by part as they come, so nothing is held whole; pings and closing codes pass through.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from typing_extensions import override
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from bff.journal.log import crashed
from bff.problem import Reason
from bff.relay.frames import Failure, Side
from bff.relay.handshake import Agreed
from bff.wire import Wire

CLOSING: Final = 5.0  # seconds for the other side to answer a close, and to read what it gets
ALIVE_EVERY: Final = 30.0  # seconds without an octet after which the browser is asked
POLICY_VIOLATION: Final = CloseReason.POLICY_VIOLATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a socket is held to."""

    most: int  # octets of one message
    until: float  # seconds from now until the browser has to connect anew
    why: str  # what it is told then


class Socket:
    """An open WebSocket, in the browser connection's turn that its handshake had."""

    keep_alive = False
    response_started = True

    def __init__(
        self,
        wire: Wire,
        upstream: asyncio.Transport,
        *,
        agreed: Agreed,
        terms: Terms,
        over: Callable[[], None],
    ) -> None:
        self.response_complete = False
        self._wire = wire
        self._browser = Side(wire.transport, ConnectionType.SERVER, agreed.browser)
        self._upstream = Side(upstream, ConnectionType.CLIENT, agreed.upstream)
        self._terms = terms
        self._over = over  # called once
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._until = now + terms.until
        self._alive_until = now + ALIVE_EVERY
        self._heard = True
        self._asked = False
        self._held = False  # we ourselves let the browser wait
        self._upstream_lost = False
        self._token = secrets.token_bytes(8)  # our own pings; other pongs are the upstream's
        self._closing: asyncio.TimerHandle | None = None
        self._timer = self._loop.call_later(min(ALIVE_EVERY, terms.until), self._tick)

    def start(self) -> None:
        """Its turn came when the handshake's did."""

    # From the browser, as the door tells it.

    def take_body(self, data: bytes) -> None:
        """Octets of the browser's frames."""
        self._heard, self._asked = True, False
        self._browser.take(data)
        self._carry(self._browser, self._upstream)

    def end_body(self) -> None:
        """A socket's end is said in frames."""

    def flush(self) -> None:
        """Nothing waits for it."""

    def congested(self) -> None:
        """The browser takes nothing just now: the upstream waits."""
        if not self._upstream.transport.is_closing():
            self._upstream.transport.pause_reading()

    def writable(self) -> None:
        """The browser takes more again: first what is here already."""
        self._carry(self._upstream, self._browser)
        if not (self._wire.write_paused or self._upstream.transport.is_closing()):
            self._upstream.transport.resume_reading()

    def gone(self) -> None:
        """The browser has gone."""
        self._upstream.close(CloseReason.GOING_AWAY)
        self._finish()

    def drain(self) -> None:
        """The process is about to stop."""
        self.end(CloseReason.GOING_AWAY, Reason.DRAINING)

    # From the upstream.

    def from_upstream(self, data: bytes) -> None:
        """Octets of the upstream's frames."""
        self._upstream.take(data)
        self._carry(self._upstream, self._browser)

    def upstream_gone(self) -> None:
        """The upstream has closed its connection, with or without saying so."""
        self._upstream_lost = True
        if self.response_complete:
            self._stop_closing()
            return
        self._upstream.lost()
        self._browser.close(CloseReason.INTERNAL_ERROR, Reason.UPSTREAM_UNREACHABLE)
        self._browser.flush()
        if self._browser.closed:
            self._finish()
        else:
            self._close_soon()

    def upstream_congested(self) -> None:
        """The upstream takes nothing just now: the browser waits."""
        self._held = True
        self._wire.pause_reading()

    def upstream_writable(self) -> None:
        """The upstream takes more again: first what is here already."""
        self._held = False
        self._carry(self._browser, self._upstream)
        if not (self._held or self.response_complete):
            self._wire.resume_reading()

    # Across.

    def _carry(self, source: Side, target: Side) -> None:
        """Pass on what has come, for as long as the other side takes it.

        One read of compressed messages may hold a thousand times its octets: they are opened and
        written step by step, and the rest stays as it came.
        """
        if self.response_complete:
            return
        try:
            while source.waiting and not self._full(target):
                for event in source.read(self._terms.most):
                    self._pass(source, target, event)
                target.flush()
        except Exception as error:  # noqa: BLE001 - a crash ends this socket and no other (E-05)
            crashed(error)
            self._break(CloseReason.INTERNAL_ERROR, Reason.INTERNAL_ERROR)
        target.flush()
        source.flush()
        if source.closed and target.closed:
            self._finish()
        elif source.waiting:
            self._let_wait(source)

    def _full(self, target: Side) -> bool:
        return self._wire.write_paused if target is self._browser else self._held

    def _let_wait(self, source: Side) -> None:
        if source is self._browser:
            self._wire.pause_reading()
        else:
            self.congested()

    def _pass(self, source: Side, target: Side, event: Event | Failure) -> None:
        if isinstance(event, Failure):
            self._fail(source, target, event.code)
        elif isinstance(event, CloseConnection):
            target.close(event.code, event.reason)
            self._close_soon()
        elif isinstance(event, Ping):
            target.say(Ping(bytes(event.payload)))
        elif isinstance(event, Pong):
            if source is not self._browser or bytes(event.payload) != self._token:
                target.say(Pong(bytes(event.payload)))
        elif isinstance(event, TextMessage | BytesMessage) and (
            event.data or event.message_finished
        ):
            target.say(event)

    def _fail(self, source: Side, target: Side, code: int) -> None:
        """What one side sent is no WebSocket, or too much: it is told, and so is the other."""
        source.close(code)
        if target is self._browser:
            target.close(CloseReason.INTERNAL_ERROR, Reason.UPSTREAM_PROTOCOL)
        else:
            target.close(CloseReason.GOING_AWAY)
        self._close_soon()

    def end(self, code: int, reason: str) -> None:
        """Close both sides for a reason of ours."""
        if not self.response_complete:
            self._break(code, reason)

    def _break(self, code: int, reason: str) -> None:
        for side in (self._browser, self._upstream):
            side.close(code, reason)
            side.flush()
        self._close_soon()

    def _close_soon(self) -> None:
        """Give both sides the time to say that they close, and no more."""
        if self._closing is None:
            self._closing = self._loop.call_later(CLOSING, self._finish)

    def _stop_closing(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _tick(self) -> None:
        """Is it time to connect anew, is the browser still there?"""
        now = self._loop.time()
        if now >= self._until:
            self.end(CloseReason.SERVICE_RESTART, self._terms.why)
            return
        if now >= self._alive_until:
            if self._asked and not self._held:
                self._wire.break_off()  # which tells us that it is gone
                return
            self._ask_whether_alive(now)
        # A timer may be a little early: nothing is decided by its coming.
        wait = min(self._alive_until, self._until) - now
        self._timer = self._loop.call_later(max(wait, 0.001), self._tick)

    def _ask_whether_alive(self, now: float) -> None:
        self._alive_until = now + ALIVE_EVERY
        if not (self._heard or self._held):
            self._asked = True
            self._browser.say(Ping(self._token))
            self._browser.flush()
        self._heard = False

    def _finish(self) -> None:
        if self.response_complete:
            return
        self.response_complete = True
        self._timer.cancel()
        self._stop_closing()
        self._upstream.flush()
        self._upstream.transport.close()
        if not self._upstream_lost:
            # It closes when what was written has left, which an upstream that reads nothing
            # would put off for ever.
            self._closing = self._loop.call_later(CLOSING, self._upstream.transport.abort)
        self._over()
        self._wire.answered(keep_alive=False, body_unread=False)


class UpstreamEnd(asyncio.Protocol):
    """The upstream's connection after its handshake: tells the socket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    @override
    def data_received(self, data: bytes) -> None:
        self._socket.from_upstream(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._socket.upstream_gone()

    @override
    def pause_writing(self) -> None:
        self._socket.upstream_congested()

    @override
    def resume_writing(self) -> None:
        self._socket.upstream_writable()
