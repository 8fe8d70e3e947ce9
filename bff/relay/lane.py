"""The lane: one relayed exchange, from the browser's connection to the upstream's and back.

The shell around `exchange`, driven by what the two connections tell it. On the usual way, with a
session at hand and a connection kept alive, no task and no future is made; whatever has to wait
runs in one task of its own.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from bff.caller.request import BrowserRequest
from bff.journal.log import crashed, on_behalf_of
from bff.journal.trace import Traced, traced
from bff.problem import Reason, Refused
from bff.relay.authorize import Relay
from bff.relay.body import NO_BODY, request_body
from bff.relay.connection import UpstreamConnection
from bff.relay.exchange import admit, admit_socket, answer_head, request_head
from bff.relay.framing import AnswerHead
from bff.relay.guard import guarded
from bff.relay.handshake import Wanted
from bff.relay.observed import moment
from bff.relay.opening import open_socket
from bff.relay.place import Place
from bff.relay.shown import Shown, Source
from bff.relay.verdict import Verdict, judge_answer
from bff.relay.waiting import Waiting, Work
from bff.session.opened import Found
from bff.wire import BUFFERED, CONTINUE, Framed, Turn, answer_bytes

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Passage:
    """One exchange on its way."""

    __slots__ = (
        "_asked_at",
        "_began_at",
        "_body",
        "_connection",
        "_doubted",
        "_found",
        "_framed",
        "_over",
        "_place",
        "_proven_again",
        "_refused",
        "_relay",
        "_repeatable",
        "_shown",
        "_traced",
        "_turn",
        "_waiting",
        "_wanted",
        "_wire",
        "keep_alive",
        "request",
        "response_complete",
    )

    def __init__(self, relay: Relay, request: BrowserRequest, turn: Turn) -> None:
        self._relay = relay
        self.request = request
        self._turn = turn
        self._wire = turn.wire
        self.keep_alive = turn.keep_alive
        self.response_complete = False
        self._body = request_body(relay.way, request)
        self._found: Found | None = None
        self._shown: Shown | None = None  # whose token goes along
        self._connection: UpstreamConnection | None = None
        self._repeatable = False  # the request may be said again if nothing was answered
        self._framed: Framed | None = None  # the answer, once it has begun
        self._wanted: Wanted | None = None  # the WebSocket that the request is to open
        self._waiting: Waiting | None = None  # for what takes its time
        self._doubted = False  # whether a 401 has been looked into: once is enough
        self._proven_again = False  # a proof was repeated with a nonce: once is enough
        self._refused: Refused | None = None  # for its body, of which some came before its turn
        self._over = False
        self._began_at = self._asked_at = 0.0
        self._place = Place(relay, request)
        self._traced: Traced | None = None  # for whoever collects traces

    @property
    def response_started(self) -> bool:
        """Whether the answer has begun."""
        return self._framed is not None

    # The way in: who asks, and with which token.

    @guarded
    def start(self) -> None:
        """Its turn has come."""
        request = self.request
        self._began_at = moment()
        on_behalf_of(request.peer, request.request_id)
        if self._relay.way.traced:
            self._traced = traced(request.method, self._relay.way.route.path, request.beside)
        if self._turn.upgrade:
            self._wanted = admit_socket(self._relay.way, request)
        else:
            admit(self._relay.way, request)
        if self._refused is not None:
            self.refuse(self._refused)
            return
        session_id = self._relay.session_id(request)
        self._place.among_requests(session_id)
        if session_id is None:
            self._ask_with(None)
        else:
            self._relay.glance(request, session_id, partial(self._glanced, session_id))

    @guarded
    def _glanced(self, session_id: str, found: Found | None) -> None:
        if self._over:
            return
        if found is None:
            self._wait(partial(self._find, session_id))
        else:
            self._ask_with(found)

    async def _find(self, session_id: str) -> None:
        self._ask_with(await self._relay.find(session_id))

    def _ask_with(self, found: Found | None) -> None:
        """Send the request as that session, if the route's rule lets it."""
        if (rule := self._relay.rule) is not None:
            self._relay.require(rule, found)
        self._found = self._shown = found
        if (source := self._relay.own) is None:
            self._ask()
        else:
            self._ask_with_another(source)

    def _ask_with_another(self, source: Source) -> None:
        """Send the request with another token: the session's own stays here (R-12, R-13)."""
        if self._found is None and source.personal:
            self._ask()  # as nobody
            return
        token = source.at_hand(self._found)
        if token is None:
            self._shown = None
            self._wait(partial(self._get_another, source))
        else:
            self._ask_showing(token)

    async def _get_another(self, source: Source) -> None:
        token = await self._relay.another(source, self._found)
        if token is None:
            self._found = None  # the session has ended meanwhile, and the route is open without
        self._ask_showing(token)

    def _ask_showing(self, token: Shown | None) -> None:
        self._shown = token
        self._ask()

    # The request, on its way up.

    def _ask(self) -> None:
        """Send the request, on a connection that is kept alive or on a new one."""
        if self._over:
            return  # the browser has gone, and what waited for the store was not told in time
        self._repeatable = self.request.method in _REPEATABLE and self._body is NO_BODY
        connection = self._relay.upstream.take(careful=not self._repeatable)
        if connection is None:
            self._wait(self._connect)
        else:
            self._send(connection)

    async def _connect(self) -> None:
        connection = await self._relay.upstream.acquire(careful=not self._repeatable)
        if self._over:
            self._relay.upstream.give_back(connection)
        else:
            self._send(connection)

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        if not self._body.complete:
            self._wire.resume_reading()
        way, request, shown = self._relay.way, self.request, self._shown
        head = request_head(
            way,
            request,
            bearer=None if shown is None else shown.bearer,
            proof=None
            if shown is None or shown.proof_key is None
            else self._relay.proof(request, shown),
            wanted=self._wanted,
            traced=b"" if self._traced is None else self._traced.asks(),
        )
        if self._turn.expects_continue and not self._body.complete:
            self._wire.transport.write(CONTINUE)
        self._asked_at = moment()
        connection.begin(
            self,
            request.method,
            head if self._body is NO_BODY else head + self._body.next(),
            patience=way.route.answer_timeout,
            body_patience=way.route.idle_timeout,
            more=not self._body.complete,
            upgrade=self._wanted is not None,
        )

    @guarded
    def take_body(self, data: bytes) -> None:
        """Octets of the request's body; beyond a bound the browser must wait."""
        if self._over or self._framed is not None or self._refused is not None:
            return  # answered early, or about to be: nobody wants the rest
        self._body.take(data)
        if self._connection is None and self._body.waiting > BUFFERED:
            self._wire.pause_reading()

    def end_body(self) -> None:
        """The request is here whole."""
        if not (self._over or self._body.complete or self._refused is not None):
            self._end_body()

    @guarded
    def _end_body(self) -> None:
        self._body.end()

    def flush(self) -> None:
        """All that one read brought has been told: one write upstream."""
        connection = self._connection
        if connection is not None and connection.request_open and self._framed is None:
            self._pass_up(connection)

    @guarded
    def _pass_up(self, connection: UpstreamConnection) -> None:
        if data := self._body.next():
            connection.push(self._relay.way.route.answer_timeout)
            connection.write(data)
        if self._body.complete:
            connection.end_request()

    def upstream_congested(self) -> None:
        """The upstream takes nothing just now: the browser waits."""
        self._wire.pause_reading()

    def upstream_writable(self) -> None:
        """The upstream takes more again."""
        if not self._over:
            self._wire.resume_reading()

    # The answer, on its way down.

    @guarded
    def news(self) -> None:
        """The answer's head, more of its body, or its end is here."""
        connection = self._connection
        if connection is None or connection.answer is None or self._waiting is not None:
            return
        if self._framed is None and not self._begin(connection, connection.answer):
            return
        self._pass_on(connection)

    def _begin(self, connection: UpstreamConnection, answer: AnswerHead) -> bool:
        """Begin to answer; False where something else is done with the upstream's answer."""
        shown = self._shown
        if shown is not None and shown.proof_key is not None and self._proves_again(answer):
            return False
        verdict = judge_answer(
            self._relay.way,
            answer,
            personal=shown is not None and self._relay.personal,
            repeatable=shown is not None and self._body.held and not self._doubted,
            socket=self._wanted is not None,
        )
        if verdict is Verdict.REPEAT:
            connection.hold()
            self._wait(partial(self._renew, connection))
            return False
        if verdict is Verdict.SOCKET and self._wanted is not None:
            self._open_socket(connection, self._wanted)
            return False
        self._answered(answer.status)
        if verdict is Verdict.STREAM:
            self._place.among_streams(connection, self._found, self._cut)
            if self._wire.draining:
                # Not refused: an EventSource asks again after a cut, and after a 503 never.
                asyncio.get_running_loop().call_soon(self.drain)
        self._framed = Framed(
            answer_head(self._relay.way, answer),
            head_only=self.request.method == "HEAD",
            version=self._turn.version,
            # What is left of the body will never be read as a request (RFC 9112 §9.3).
            keep_alive=self.keep_alive and self._body.complete,
            date=self._wire.date_line(),
        )
        return True

    def _proves_again(self, answer: AnswerHead) -> bool:
        """Whether a bound token is shown once more, with the nonce the upstream wants (P-10)."""
        if not self._relay.asks_for_nonce(answer):
            return False
        self._doubted = True  # the token itself is not what is wrong
        if self._proven_again or not self._body.held:
            return False
        self._proven_again = True
        self._give_back()
        self._body.again()
        self._ask()
        return True

    def _open_socket(self, connection: UpstreamConnection, wanted: Wanted) -> None:
        """Both have shaken hands: a socket goes on in this turn, and this exchange is over."""
        socket = open_socket(
            self._relay, self._wire, connection, wanted, self._found, self._shown, self._place
        )
        self._answered(101)
        self._over = self.response_complete = True
        self._end_span()
        self._connection = None
        self._wire.hand_over(socket)
        if self._wire.draining:
            socket.drain()

    def _answered(self, status: int) -> None:
        self._relay.observed.answered(status, self._asked_at)
        if self._traced is not None:
            self._traced.answered(status)

    async def _renew(self, connection: UpstreamConnection) -> None:
        """Ask once more with another access token, if the session has one."""
        self._doubted = True
        ask_again = await self._another()
        if self._over:
            return
        if ask_again is None:
            self._waiting = None
            connection.go_on()
            self.news()
            return
        self._give_back()
        self._body.again()
        ask_again()

    async def _another(self) -> Callable[[], None] | None:
        """How to ask with another token than the one refused, if there is one."""
        if (source := self._relay.own) is not None and self._shown is not None:
            token = await source.after_refusal(self._found, self._shown.bearer)
            return None if token is None else partial(self._ask_showing, token)
        if self._found is None:
            return None
        found = await self._relay.sessions.after_refusal(self._found)
        return None if found is None else partial(self._ask_with, found)

    def _pass_on(self, connection: UpstreamConnection) -> None:
        """What there is of the answer, in one write."""
        if self._framed is None:
            return
        last = connection.complete
        data = self._framed.part(connection.take(), last=last)
        if data:
            self._wire.transport.write(data)
        if last:
            self._finish(self._framed)
        elif self._wire.write_paused:
            connection.hold()

    def _finish(self, framed: Framed) -> None:
        self._end()
        self.response_complete = True
        if self._found is not None and self._is_wanted():
            self._relay.sessions.slide(self._found)
        if not self._place.streams:
            self._relay.observed.done(self._began_at)
        keep_alive = framed.keep_alive and self.keep_alive
        self._wire.answered(keep_alive=keep_alive, body_unread=not self._body.complete)

    def _is_wanted(self) -> bool:
        """Whether somebody is there: an EventSource asks again by itself when its stream ends."""
        if self._place.streams and self.request.method == "GET":
            return False
        return not self.request.section.background

    def congested(self) -> None:
        """The browser takes nothing just now: the upstream waits."""
        if self._connection is not None and self._framed is not None:
            self._connection.hold()

    def writable(self) -> None:
        """The browser takes more again."""
        if self._connection is not None and self._framed is not None:
            self._connection.go_on()

    # When it does not go on.

    @guarded
    def failed(self, reason: Reason, phase: str) -> None:
        """There will be no answer, or no more of it."""
        connection = self._connection
        if connection is None or self._over:
            return
        self._give_back()
        self._wait_no_longer()  # a 401 was about to be answered anew
        if self._framed is not None:
            self._end()
            self._wire.break_off()
            return
        closed = reason is Reason.UPSTREAM_UNREACHABLE
        if closed and connection.used and not connection.seen_octet and self._repeatable:
            # A kept connection that closed before a byte came back: once more, on a new one.
            self._repeatable = False
            self._wait(self._connect)
            return
        raise Refused(reason, phase=phase)

    def drain(self) -> None:
        """The process is about to stop: a stream would have no end, and its client comes again."""
        if self._place.streams:
            self._cut(Reason.DRAINING)

    def _cut(self, _: Reason) -> None:
        """End a stream: its client sees that it was not complete, and asks again."""
        if not self._over:
            self._end()
            self.response_complete = True
            self._wire.answered(keep_alive=False, body_unread=False)

    def gone(self) -> None:
        """The browser has gone: nothing of this goes on but a refresh."""
        if self._over:
            return
        self._end()
        self._end_span()
        self.response_complete = True
        self._wait_no_longer()

    def refuse(self, refused: Refused) -> None:
        """Answer with a refusal, or break off an answer that has begun."""
        if self._over:
            return
        if not self._began_at:
            # The door reads ahead: answers before this one may be under way, and no place is taken.
            # Where it was raised leads back here: no ring shall be left.
            self._refused = refused.with_traceback(None)
            return
        self._end()
        self._wait_no_longer()  # it may be refused for its body, while the session is looked for
        if self._framed is not None:
            self._wire.break_off()
            return
        self.response_complete = True
        on_behalf_of(self.request.peer, self.request.request_id)
        answer = self._relay.refuse(self.request, refused)
        self._end_span(answer.status)
        self._relay.observed.told(answer.status)
        self._wire.transport.write(
            answer_bytes(
                answer,
                head_only=self.request.method == "HEAD",
                keep_alive=self.keep_alive and self._body.complete,
                date=self._wire.date_line(),
            )
        )
        self._wire.answered(
            keep_alive=self.keep_alive and self._body.complete,
            body_unread=not self._body.complete,
        )

    def crash(self, error: Exception) -> None:
        """Something broke here: the process lives on (E-05)."""
        crashed(error, request_id=self.request.request_id)
        self.refuse(Refused(Reason.INTERNAL_ERROR))

    def _end(self) -> None:
        self._over = True
        if self._framed is not None:
            self._end_span()
        self._place.leave()
        self._give_back()

    def _end_span(self, status: int | None = None) -> None:
        span, self._traced = self._traced, None
        if span is not None:
            span.end(status)

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._relay.upstream.give_back(connection)

    def _wait(self, work: Work) -> None:
        """Do what takes its time; what it raises is answered."""
        if self._traced is not None:
            self._traced.enter()
        self._waiting = Waiting(self._wire, self.request, work, self._waited)

    def _wait_no_longer(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def _waited(self, waiting: Waiting, error: Exception | None) -> None:
        if self._waiting is waiting:
            self._waiting = None
        if isinstance(error, Refused):
            self.refuse(error)
        elif error is not None:
            self.crash(error)
