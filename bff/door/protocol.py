"""The door: a subclass of uvicorn's httptools protocol that says what is a request at all.

Plain uvicorn appends trailers to the headers, accepts 4 MB of header, waits for ever on an
unfinished head, loses the raw target and answers its own 400s as text. Here octets are counted,
timers run for head and progress, and every refusal is ours.
"""

import asyncio
import secrets
import sys
from collections.abc import Coroutine
from typing import Any, Final

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bff.caller.peer import unmapped
from bff.caller.request import BESIDE, Section, read_request
from bff.door.answers import meaning, options
from bff.door.cycle import Cycle, Prepared, asgi_scope
from bff.door.date import date_line
from bff.door.head import (
    SECTION_OCTETS,
    TARGET_OCTETS,
    Head,
    judge,
    read_section,
    section_octets,
)
from bff.door.idle import Idle, make_room
from bff.door.known import known, learn, split
from bff.door.rules import Behind, Rules
from bff.door.turns import Turns
from bff.journal.metrics import REFUSALS, count
from bff.problem import Headers, Reason, Refused, refusal
from bff.relay.proxy_status import with_proxy_status
from bff.wire import BUFFERED, Answering, Turn

CROWDED: Final = 4096  # octets; in a larger read, each head is taken off what the next has used
FIELDS_KEPT: Final = 64  # a section with more of them, or more than those octets, is not remembered
CHUNK_OCTETS: Final = 16  # what an honest chunk takes at most beside its octets
# Of these the parser makes up its mind whether the connection goes on, and so do we.
_HEEDED: Final = frozenset({b"connection", b"proxy-connection"})
FRESH: Final = 1.0  # seconds that a new connection has at the end, for the request it was made for
LINGER: Final = 2.0  # seconds in which what a refused browser still sends is thrown away


def _parser(door: "Door") -> httptools.HttpRequestParser:
    """As uvicorn makes it: what follows the last request of a connection is no fault of its own."""
    parser = httptools.HttpRequestParser(door)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class Door(HttpToolsProtocol):
    """One connection of a browser. `door` makes the class, with its `rules` and `behind`."""

    rules: Rules
    behind: Behind
    leaving = False  # the process is about to stop: each answer is the last of its connection
    draining = False  # it stops

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # It leads back here. Of a TLS handshake that fails nobody hears, and nothing shall be left.
        del self.parser

    @override
    def connection_made(  # type: ignore[override]  # TCP and TLS give a Transport; so uvicorn
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self.parser = _parser(self)
        self._hop = unmapped(self.client[0]) if self.client else ""
        self._in_head = False
        self._in_body = False
        self._at_rest = True  # the parser stands before a request, as on a new connection
        self._goes_on = False  # it will do so again after the present one
        # Of each head that the parser finds in one read, the section if it may be known by it.
        self._heads: list[Section | None] = []
        self._unlike = False  # the last head was one that cannot come again
        self._beside: Headers = []  # fields of one request, which are not of its section
        self._asks_head = False  # nothing of an answer but its head is wanted
        self.turns = Turns(self.resume_reading)
        self._shut = False  # nothing further is read as a request
        self._upgrading = False  # what follows are no requests, but octets of a WebSocket
        self._octets = 0  # of the head that is arriving, and of what else came in the same read
        self._beside_body = 0  # octets after a head that are no body: chunk lines, trailers
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = 0.0
        self._raw: list[bytes] = []
        self._early = b""  # of a WebSocket that is not open yet
        self._crowded = len(self.connections) > self.rules.connections
        self.idle = Idle(
            self.loop,
            transport,
            patience=self.rules.keep_alive,
            unread=self.rules.write_timeout,
        )
        if self._crowded and not make_room(self.connections, self, self.rules.connections):
            transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._shut = True
        self._stop_timer()
        self.idle.stop()
        self.turns.abandon()
        self.cycle = None  # type: ignore[assignment]  # nothing of ours is uvicorn's to tell
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._shut:
            self._after_upgrade(data)
            return
        self._progress_at = self.loop.time()
        if not self._in_head:
            self._octets = 0  # where this chunk begins one or more heads
        self._octets += len(data)
        self._beside_body += len(data)
        try:
            self._read(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._shut = True  # the parser stops here
            self._stop_timer()
            self._early += data[upgrade.args[0] :]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a refusal (E-05)
            self._refuse(meaning(error))  # in its turn: what came before it goes on
        if self._in_head or self._in_body:
            self._judge_unfinished()
        self.turns.advance()
        if (current := self.turns.current) is not None:
            self.idle.busy()
            current.flush()

    def _read(self, data: bytes) -> None:
        """Let the parser read it, unless it is a head that has been read before."""
        parts = split(data) if self._at_rest and not self._unlike else None
        section = None if parts is None else known.get(parts[0])
        if parts is not None and section is not None and section.hosts is self.behind.hosts:
            self._asks_head = section.method == "HEAD"
            head = Head(target=parts[1], frontend=section.frontend, answered_here=False)
            self._begin(section, head, version="1.1", goes_on=True)
            self.on_message_complete()
            return
        self._heads.clear()
        self.parser.feed_data(data)
        heads, self._heads = self._heads, []
        if parts is not None and self._at_rest and len(heads) == 1 and heads[0] is not None:
            learn(parts[0], heads[0], self.behind.hosts)

    def _after_upgrade(self, data: bytes) -> None:
        """Octets of a WebSocket that is open, or of a browser that does not wait until it is."""
        socket = self.turns.newest
        if not self._upgrading or socket is None:
            return  # thrown away
        if not socket.response_started:
            self._early += data
            if len(self._early) > BUFFERED:
                self.pause_reading()
        elif not socket.response_complete:
            socket.take_body(data)

    def _judge_unfinished(self) -> None:
        """Refuse what goes on for too long: a target, a head, chunk lines or trailers.

        Else it must come to its end. Line ends between requests begin none, and are idle time.
        """
        if self._in_body and self._beside_body > SECTION_OCTETS:
            self._refuse(Refused(Reason.HEADERS_TOO_LARGE))
        elif self._in_head and sum(map(len, self._raw)) > TARGET_OCTETS:
            self._refuse(Refused(Reason.TARGET_TOO_LONG))
        elif self._in_head and self._octets > TARGET_OCTETS + SECTION_OCTETS:
            self._refuse(Refused(Reason.HEADERS_TOO_LARGE))
        if not self._shut:
            self.idle.busy()
            self._start_timer()

    # The parser's callbacks.

    @override
    def on_message_begin(self) -> None:
        self._in_head, self._in_body = True, False
        self._at_rest = False
        self._asks_head = False
        self._raw = []
        self.headers: Headers = []
        self._beside = []

    @override
    def on_url(self, url: bytes) -> None:
        self._raw.append(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head these are trailers, and they count for nothing (RFC 9110 §6.5.1).
        if self._in_head:
            lower = name.lower()
            fields = self._beside if lower in BESIDE else self.headers
            fields.append((lower, value.rstrip(b" \t")))
        elif name.lower() in _HEEDED:
            raise Refused(Reason.BAD_REQUEST)  # the parser would heed it and hear nothing further

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        # One word for all: what is of each section is far away when its turn comes again.
        method = sys.intern(self.parser.get_method().decode("ascii"))
        self._asks_head = method == "HEAD"
        target = b"".join(self._raw)
        if len(target) > TARGET_OCTETS:
            raise Refused(Reason.TARGET_TOO_LONG)
        remember = len(self.headers) <= FIELDS_KEPT
        if self._octets > CROWDED:
            octets = section_octets(self.headers) + section_octets(self._beside)
            if min(octets, self._octets) > SECTION_OCTETS:
                raise Refused(Reason.HEADERS_TOO_LARGE)
            remember = remember and octets <= CROWDED
            self._octets -= len(target) + octets + 17  # a method, the version and the line ends
        version = self.parser.get_http_version()
        asked = bool(self.parser.should_upgrade())
        section = read_section(
            method,
            version,
            self.headers,
            asked=asked,
            remember=remember,
        )
        goes_on = version == "1.1" and not asked and self.parser.should_keep_alive()
        head = judge(section, target, self.behind.hosts)
        plain = goes_on and remember and not (section.has_body or self._beside)
        self._heads.append(section if plain and not head.answered_here else None)
        self._unlike = bool(self._beside)  # through that proxy come more of the kind
        self._begin(section, head, version=version, goes_on=goes_on)

    def _begin(self, section: Section, head: Head, *, version: str, goes_on: bool) -> None:
        """Let the request be answered in its turn.

        `goes_on`: the parser will stand before another request when this one is complete.
        """
        self._goes_on = goes_on
        self._upgrading = section.upgrade
        turn = Turn(
            wire=self,
            version=version,
            keep_alive=goes_on and not (self._crowded or self.leaving),
            # What speaks 1.0 knows no interim answer (RFC 9110 §15.2).
            expects_continue=section.expects_continue and version == "1.1",
            upgrade=section.upgrade,
        )
        self.enqueue(self._answering(section, head, turn))
        self._in_body = True  # until the message is complete
        self._beside_body = 0

    def _answering(self, section: Section, head: Head, turn: Turn) -> Answering:
        """Who answers the request."""
        if head.answered_here:
            answer = options(secure=self.rules.secure)
            return Prepared(self, answer, keep_alive=turn.keep_alive and not section.has_body)
        if turn.upgrade and (self.turns.current is not None or self.turns.waiting):
            raise Refused(Reason.BAD_REQUEST)  # frames could not wait for its turn
        request = read_request(
            section, head.target, hop=self._hop, trusted=self.behind.trusted, beside=self._beside
        )
        answering = self.behind.lane(head.frontend, request, turn)
        if answering is not None:
            return answering
        if turn.upgrade:
            raise Refused(Reason.NOT_IMPLEMENTED)
        return Cycle(self.app, asgi_scope(request, head.frontend, turn), turn)

    @override
    def on_body(self, body: bytes) -> None:
        self._octets -= len(body)
        self._beside_body = max(0, self._beside_body - len(body) - CHUNK_OCTETS)
        newest = self.turns.newest
        if newest is not None and not newest.response_complete:
            newest.take_body(body)

    @override
    def on_message_complete(self) -> None:
        self._in_body = False
        self._at_rest = self._goes_on
        self._stop_timer()
        newest = self.turns.newest
        if newest is not None and not newest.response_complete:
            newest.end_body()

    # Answers, in their order.

    def enqueue(self, answering: Answering) -> None:
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
        count(REFUSALS, refused.reason.value)
        answer = refusal(refused, request_id=secrets.token_hex(8), secure=self.rules.secure)
        answer = with_proxy_status(answer, refused)
        prepared = Prepared(self, answer, keep_alive=False, head_only=self._asks_head)
        # Where the body of a request is none, the refusal takes its place.
        if broken is not None and not broken.response_complete and not self.turns.withdraw_newest():
            self.break_off()
            return
        self.enqueue(prepared)
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
            self.idle.close()

    def hand_over(self, answering: Answering) -> None:
        """The connection speaks another protocol from here on, and this is who speaks it."""
        self.cycle = answering  # type: ignore[assignment]  # uvicorn's shutdown looks there
        self.turns.replace(answering)
        self.resume_reading()
        early, self._early = self._early, b""
        if early:
            answering.take_body(early)

    @override
    def shutdown(self) -> None:
        """The process is about to stop (uvicorn asks)."""
        self.draining = True
        if self.cycle is None or self._in_head:
            # It was made to ask something, which may be on its way.
            self.loop.call_later(FRESH, self.idle.close_now)
        else:
            super().shutdown()
        if (current := self.turns.current) is not None:
            current.drain()

    def _go_on(self) -> None:
        if self.transport.is_closing():
            return
        if self.turns.waiting:
            self.turns.advance()
        else:
            self.resume_reading()
            self.idle.start()

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
        if self.flow.read_paused:
            self.flow.resume_reading()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self.idle.not_taken()
        if (current := self.turns.current) is not None:
            current.congested()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self.idle.taken()
        if (current := self.turns.current) is not None:
            current.writable()

    def _close_gently(self) -> None:
        """Close for writing, throw away what still comes, close (RFC 9112 §9.6).

        Closing at once would reset the connection, and the answer might never be read.
        """
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume_reading()
        self._timer = self.loop.call_later(LINGER, self.idle.close)

    def break_off(self) -> None:
        """An answer cannot be finished: it must not look complete."""
        self._shut = self.turns.ended = True
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.abort()

    def date_line(self) -> bytes:
        """The Date field that uvicorn makes once a second."""
        return date_line(self.server_state.default_headers)

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
