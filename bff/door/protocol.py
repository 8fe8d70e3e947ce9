"""The door: a subclass of uvicorn's httptools protocol that says what is a request at all.

Plain uvicorn appends trailers to the headers, accepts 4 MB of header, waits for ever on an
unfinished head, loses the raw target and answers its own 400s as text. Here octets are counted,
timers run for head and progress, and every refusal is ours.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bff.door.answers import meaning, options
from bff.door.cycle import BUFFERED, Cycle, Prepared
from bff.door.head import (
    SECTION_OCTETS,
    TARGET_OCTETS,
    Head,
    judge,
    judge_upgrade,
    section_octets,
)
from bff.problem import Headers, Reason, Refused, refusal

LINGER: Final = 2.0  # seconds in which what a refused browser still sends is thrown away


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the door holds every request to. Times in seconds."""

    hosts: Mapping[bytes, str]  # Host value → name of the front end
    secure: bool
    head_timeout: float
    progress_timeout: float


class Door(HttpToolsProtocol):
    """One connection of a browser. `rules` is set by `door`, which makes the class."""

    rules: Rules

    @override
    def connection_made(  # type: ignore[override]  # TCP and TLS give a Transport; so uvicorn
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._in_head = False
        self._in_body = False
        self._last: Cycle | Prepared | None = None  # the newest; uvicorn calls it `cycle`
        self.running: Cycle | Prepared | None = None  # the one whose turn it is
        self._shut = False  # nothing further is read as a request
        self._octets = 0
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = 0.0
        self._raw: list[bytes] = []
        # A connection on which nothing ever arrives goes the way of an idle one.
        self._idle_since: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._start_idling()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()
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
        method = self.parser.get_method().decode("ascii")
        version = self.parser.get_http_version()
        head = judge(method, target, version, self.headers, self.rules.hosts)
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        if self.parser.should_upgrade():
            judge_upgrade(self.headers)
            keep_alive = False
        self._in_body = True  # until the message is complete
        if head.answered_here:
            self._enqueue(Prepared(self, options(secure=self.rules.secure), keep_alive=keep_alive))
            return
        cycle = Cycle(self, self._scope(method, version, head), keep_alive=keep_alive)
        cycle.waiting_for_100_continue = head.expects_continue
        self._enqueue(cycle)

    def _scope(self, method: str, version: str, head: Head) -> dict[str, Any]:
        path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": method,
            "root_path": "",
            "path": path.decode("ascii"),
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "bff.target": head.target,
            "bff.frontend": head.frontend,
        }

    @override
    def on_body(self, body: bytes) -> None:
        cycle = self._last
        if cycle is None or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > BUFFERED:
            self.flow.pause_reading()
        cycle.message_event.set()

    @override
    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_timer()
        if self._last is not None and not self._last.response_complete:
            self._last.more_body = False
            self._last.message_event.set()

    # Answers, in their order.

    def _enqueue(self, cycle: Cycle | Prepared) -> None:
        """Answer now, or when the answers before it are given."""
        previous, self._last = self._last, cycle
        self.cycle = cycle  # type: ignore[assignment]  # where uvicorn keeps its own
        if previous is None or previous.response_complete:
            self._begin(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]  # the same

    def _begin(self, cycle: Cycle | Prepared) -> None:
        self.running = cycle
        task = self.loop.create_task(cycle.run_asgi(self.app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _refuse(self, refused: Refused) -> None:
        """Refuse, in turn, and read nothing further as a request."""
        broken = self._last if self._in_body else None
        self._shut = True
        self._in_head = self._in_body = False
        self._stop_timer()
        answer = refusal(refused, request_id=secrets.token_hex(8), secure=self.rules.secure)
        prepared = Prepared(self, answer, keep_alive=False)
        if broken is None or broken.response_complete:
            self._enqueue(prepared)
        elif broken is not self.running:
            # Its turn has not come: the refusal takes its place, the newest of those that wait.
            self.pipeline.popleft()
            self.pipeline.appendleft((prepared, self.app))  # type: ignore[arg-type]  # the same
        else:
            self._refuse_running(broken, prepared)

    def _refuse_running(self, broken: Cycle | Prepared, prepared: Prepared) -> None:
        """The body of the request that is being answered is none: answer in its stead."""
        if isinstance(broken, Cycle) and broken.response_started:
            self.break_off()
            return
        broken.disconnected = True
        broken.message_event.set()
        self._begin(prepared)

    def answered(self, *, keep_alive: bool, body_unread: bool) -> None:
        """An answer is complete: close, or go on with what waits."""
        if keep_alive:
            self.on_response_complete()
            return
        self._shut = True
        self._stop_timer()
        if body_unread:
            self._close_gently()
        else:
            self.transport.close()

    @override
    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._begin(cycle)  # type: ignore[arg-type]  # ours stand in uvicorn's queue
        else:
            self._start_idling()

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
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER, self.transport.close)

    def break_off(self) -> None:
        """An answer cannot be finished: it must not look complete."""
        self._shut = True
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.abort()

    def date_line(self) -> bytes:
        """The Date field that uvicorn makes once a second."""
        return b"".join(
            b"%s: %s\r\n" % (name, value)
            for name, value in self.server_state.default_headers
            if name == b"date"
        )

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
