"""The door: a subclass of uvicorn's httptools protocol that says what is a request at all.

Plain uvicorn appends trailers to the headers, accepts 4 MB of header, waits for ever on an
unfinished head, loses the raw target and answers its own 400s as text. Here octets are counted,
timers run for head and progress, and every refusal is ours.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bff.caller.peer import Network
from bff.caller.request import BrowserRequest, join_fields, read_request
from bff.door.answers import meaning, options
from bff.door.cycle import Cycle, Prepared, asgi_scope
from bff.door.head import (
    SECTION_OCTETS,
    TARGET_OCTETS,
    judge,
    judge_upgrade,
    section_octets,
)
from bff.door.turns import Turns
from bff.problem import Headers, Reason, Refused, refusal
from bff.wire import Answering, Turn

CROWDED: Final = 4096  # octets; in a larger read, each head is taken off what the next has used
LINGER: Final = 2.0  # seconds in which what a refused browser still sends is thrown away


class Behind(Protocol):
    """What stands behind the door; asked anew for every request, for it may be exchanged."""

    @property
    def trusted(self) -> Sequence[Network]:
        """The proxies whose word counts."""
        ...

    def lane(self, frontend: str, request: BrowserRequest, turn: Turn) -> Answering | None:
        """Who answers past the ASGI application, if anyone does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the door holds every request to. Times in seconds."""

    hosts: Mapping[bytes, str]  # Host value → name of the front end
    secure: bool
    head_timeout: float
    progress_timeout: float


class Door(HttpToolsProtocol):
    """One connection of a browser. `door` makes the class, with its `rules` and `behind`."""

    rules: Rules
    behind: Behind

    @override
    def connection_made(  # type: ignore[override]  # TCP and TLS give a Transport; so uvicorn
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._in_head = False
        self._in_body = False
        self.turns = Turns(self.resume_reading)
        self._shut = False  # nothing further is read as a request
        self._octets = 0  # of the head that is arriving, and of what else came in the same read
        self._dated: object = None
        self._date_line = b""
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = 0.0
        self._raw: list[bytes] = []
        # A connection on which nothing ever arrives goes the way of an idle one.
        self._idle_since: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._start_idling()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._shut = True
        self._stop_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self.turns.abandon()
        self.cycle = None  # type: ignore[assignment]  # nothing of ours is uvicorn's to tell
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._shut:
            return
        self._idle_since = None
        self._progress_at = self.loop.time()
        if not self._in_head:
            self._octets = 0  # where this chunk begins one or more heads
        self._octets += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._shut = True  # the parser stops here; what follows is not read
        except httptools.HttpParserError as error:
            self._refuse(meaning(error))
            return
        if self._in_head:
            self._judge_unfinished_head()
        if (self._in_head or self._in_body) and not self._shut:
            self._start_timer()
        self.turns.advance()
        if (current := self.turns.current) is not None:
            current.flush()

    def _judge_unfinished_head(self) -> None:
        if sum(map(len, self._raw)) > TARGET_OCTETS:
            self._refuse(Refused(Reason.TARGET_TOO_LONG))
        elif self._octets > TARGET_OCTETS + SECTION_OCTETS:
            self._refuse(Refused(Reason.HEADERS_TOO_LARGE))

    # The parser's callbacks.

    @override
    def on_message_begin(self) -> None:
        self._in_head, self._in_body = True, False
        self._raw = []
        self.headers: Headers = []

    @override
    def on_url(self, url: bytes) -> None:
        self._raw.append(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head these are trailers, and they count for nothing (RFC 9110 §6.5.1).
        if self._in_head:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        target = b"".join(self._raw)
        if len(target) > TARGET_OCTETS:
            raise Refused(Reason.TARGET_TOO_LONG)
        if self._octets > SECTION_OCTETS and section_octets(self.headers) > SECTION_OCTETS:
            raise Refused(Reason.HEADERS_TOO_LARGE)
        if self._octets > CROWDED:
            # 17: a method, the version and the line ends.
            self._octets -= len(target) + section_octets(self.headers) + 17
        method = self.parser.get_method().decode("ascii")
        version = self.parser.get_http_version()
        fields, repeated = join_fields(self.headers)
        head = judge(method, target, version, fields, repeated, self.rules.hosts)
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        if self.parser.should_upgrade():
            judge_upgrade(fields)
            keep_alive = False
        self._in_body = True  # until the message is complete
        if head.answered_here:
            answer = options(secure=self.rules.secure)
            self._enqueue(Prepared(self, answer, keep_alive=keep_alive))
            return
        hop = self.client[0] if self.client else ""
        request = read_request(
            method, head.target, self.headers, fields, hop=hop, trusted=self.behind.trusted
        )
        turn = Turn(
            wire=self,
            version=version,
            keep_alive=keep_alive,
            expects_continue=head.expects_continue,
        )
        answering = self.behind.lane(head.frontend, request, turn)
        if answering is None:
            scope = asgi_scope(request, head.frontend, turn)
            answering = Cycle(self.app, scope, turn)
        self._enqueue(answering)

    @override
    def on_body(self, body: bytes) -> None:
        self._octets -= len(body)
        newest = self.turns.newest
        if newest is not None and not newest.response_complete:
            newest.take_body(body)

    @override
    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_timer()
        newest = self.turns.newest
        if newest is not None and not newest.response_complete:
            newest.end_body()

    # Answers, in their order.

    def _enqueue(self, answering: Answering) -> None:
        """Let it be answered after those before it."""
        self.cycle = answering  # type: ignore[assignment]  # uvicorn's shutdown looks there
        if not self.turns.add(answering):
            self.pause_reading()

    def _refuse(self, refused: Refused) -> None:
        """Refuse, in turn, and read nothing further as a request."""
        broken = self.turns.newest if self._in_body else None
        self._shut = True
        self._in_head = self._in_body = False
        self._stop_timer()
        answer = refusal(refused, request_id=secrets.token_hex(8), secure=self.rules.secure)
        prepared = Prepared(self, answer, keep_alive=False)
        # Where the body of a request is none, the refusal takes its place.
        if broken is not None and not broken.response_complete and not self.turns.withdraw_newest():
            self.break_off()
            return
        self._enqueue(prepared)
        self.turns.advance()

    def answered(self, *, keep_alive: bool, body_unread: bool) -> None:
        """An answer is complete: close, or go on with what waits."""
        self.server_state.total_requests += 1
        if keep_alive:
            self._go_on()
            return
        self._shut = self.turns.ended = True
        self._stop_timer()
        if body_unread:
            self._close_gently()
        else:
            self.transport.close()

    def _go_on(self) -> None:
        if self.transport.is_closing():
            return
        if self.turns.waiting:
            self.turns.advance()
        else:
            self.resume_reading()
            self._start_idling()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what takes its time; uvicorn's shutdown waits for it."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    # Back-pressure.

    @property
    def write_paused(self) -> bool:
        """Whether the browser has not yet taken what was written."""
        return self.flow.write_paused

    def pause_reading(self) -> None:
        """Let the browser wait with what it sends."""
        self.flow.pause_reading()

    def resume_reading(self) -> None:
        """Take again what the browser sends."""
        self.flow.resume_reading()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if (current := self.turns.current) is not None:
            current.congested()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if (current := self.turns.current) is not None:
            current.writable()

    def _start_idling(self) -> None:
        """Count the idle time; the timer is pushed out lazily, as most requests follow soon."""
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._idle_for_long)

    def _idle_for_long(self) -> None:
        self._idle_timer = None
        if self._idle_since is None or self.transport.is_closing():
            return  # busy; whoever completes the answer starts to count again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._idle_for_long)
        else:
            self.transport.close()

    def _close_gently(self) -> None:
        """Close for writing, throw away what still comes, close (RFC 9112 §9.6).

        Closing at once would reset the connection, and the answer might never be read.
        """
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume_reading()
        self._timer = self.loop.call_later(LINGER, self.transport.close)

    def break_off(self) -> None:
        """An answer cannot be finished: it must not look complete."""
        self._shut = self.turns.ended = True
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.abort()

    def date_line(self) -> bytes:
        """The Date field that uvicorn makes once a second."""
        fields = self.server_state.default_headers
        if fields is not self._dated:
            self._dated = fields
            self._date_line = b"".join(
                [b"date: %s\r\n" % value for name, value in fields if name == b"date"]
            )
        return self._date_line

    # Timers.

    def _start_timer(self) -> None:
        if self._timer is None:
            wait = self.rules.head_timeout if self._in_head else self.rules.progress_timeout
            self._timer = self.loop.call_later(wait, self._too_slow, self._in_head)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self, for_head: bool) -> None:
        """The head is due as a whole; a body only has to make progress."""
        self._timer = None
        if for_head and self._in_head:
            self._refuse(Refused(Reason.REQUEST_TIMEOUT))
        elif self._in_head or self._in_body:
            idle = self.loop.time() - self._progress_at
            if self._in_body and not self.flow.read_paused and idle >= self.rules.progress_timeout:
                self._refuse(Refused(Reason.REQUEST_TIMEOUT))
            else:
                self._start_timer()
