"""The lane: one relayed exchange, from the browser's connection to the upstream's and back.

The shell around `exchange`, driven by what the two connections tell it. On the usual way, with a
session at hand and a connection kept alive, no task and no future is made; whatever has to wait
runs in one task of its own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec

from bff.caller.request import BrowserRequest
from bff.journal.log import crashed, on_behalf_of
from bff.problem import Reason, Refused
from bff.relay.authorize import Relay
from bff.relay.body import NO_BODY, request_body
from bff.relay.challenge import refusal_in
from bff.relay.connection import UpstreamConnection
from bff.relay.exchange import admit, answer_head, request_head, wants_another_token
from bff.relay.framing import AnswerHead
from bff.session.opened import Found
from bff.wire import BUFFERED, CONTINUE, Framed, Turn, answer_bytes

P = ParamSpec("P")

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
Step = Callable[Concatenate["Passage", P], None]
Work = Callable[[], Coroutine[Any, Any, None]]


def _guarded(step: Step[P]) -> Step[P]:
    """A step whose refusal becomes an answer, and whose crash a 500 (E-05): it raises nothing."""

    def run(passage: "Passage", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            step(passage, *args, **kwargs)
        except Refused as refused:
            passage.refuse(refused)
        except Exception as error:  # noqa: BLE001 - an exception in any check refuses (E-05)
            passage.crash(error)

    return run


class Passage:
    """One exchange on its way."""

    def __init__(self, relay: Relay, request: BrowserRequest, turn: Turn) -> None:
        self._relay = relay
        self._request = request
        self._turn = turn
        self._wire = turn.wire
        self.keep_alive = turn.keep_alive
        self.response_complete = False
        self._body = request_body(relay.way, request)
        self._found: Found | None = None
        self._connection: UpstreamConnection | None = None
        self._repeatable = False  # the request may be said again if nothing was answered
        self._framed: Framed | None = None  # the answer, once it has begun
        self._task: asyncio.Task[None] | None = None  # what has to wait
        self._doubted = False  # whether a 401 has been looked into: once is enough
        self._over = False
        relay.users.enter()

    @property
    def response_started(self) -> bool:
        """Whether the answer has begun."""
        return self._framed is not None

    # The way in: who asks, and with which token.

    @_guarded
    def start(self) -> None:
        """Its turn has come."""
        request = self._request
        on_behalf_of(request.peer, request.request_id)
        admit(self._relay.way, request)
        session_id = self._relay.session_id(request)
        if session_id is None:
            self._ask()
        else:
            self._relay.sessions.glance(session_id, partial(self._glanced, session_id))

    @_guarded
    def _glanced(self, session_id: str, found: Found | None) -> None:
        if self._over:
            return
        if found is None:
            self._slowly(partial(self._find, session_id))
        else:
            self._found = found
            self._ask()

    async def _find(self, session_id: str) -> None:
        self._found = await self._relay.find(session_id)
        self._ask()

    # The request, on its way up.

    def _ask(self) -> None:
        """Send the request, on a connection that is kept alive or on a new one."""
        self._repeatable = self._request.method in _REPEATABLE and self._body is NO_BODY
        connection = self._relay.upstream.take(careful=not self._repeatable)
        if connection is None:
            self._slowly(self._connect)
        else:
            self._send(connection)

    async def _connect(self) -> None:
        self._send(await self._relay.upstream.acquire(careful=not self._repeatable))

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        if not self._body.complete:
            self._wire.resume_reading()
        way, request = self._relay.way, self._request
        head = request_head(
            way, request, bearer=None if self._found is None else self._found.bearer
        )
        if self._turn.expects_continue and not self._body.complete:
            self._wire.transport.write(CONTINUE)
        connection.begin(
            self,
            request.method,
            head if self._body is NO_BODY else head + self._body.next(),
            patience=way.route.answer_timeout,
            body_patience=way.route.idle_timeout,
            more=not self._body.complete,
        )

    @_guarded
    def take_body(self, data: bytes) -> None:
        """Octets of the request's body; beyond a bound the browser must wait."""
        if self._over or self._framed is not None:
            return  # answered early: nobody wants the rest
        self._body.take(data)
        if self._connection is None and self._body.waiting > BUFFERED:
            self._wire.pause_reading()

    @_guarded
    def end_body(self) -> None:
        """The request is here whole."""
        if not self._over:
            self._body.end()

    @_guarded
    def flush(self) -> None:
        """All that one read brought has been told: one write upstream."""
        connection = self._connection
        if connection is None or self._framed is not None or not connection.request_open:
            return
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

    @_guarded
    def news(self) -> None:
        """The answer's head, more of its body, or its end is here."""
        connection = self._connection
        if connection is None or connection.answer is None or self._task is not None:
            return
        if self._framed is None:
            if connection.answer.status == 401 and self._deserves_repeat(connection.answer):
                connection.hold()
                self._slowly(partial(self._renew, connection))
                return
            if self._found is not None:
                self._refuse_what_a_login_would_mend(connection.answer)
            self._begin_answer(connection.answer)
        self._pass_on(connection)

    def _refuse_what_a_login_would_mend(self, answer: AnswerHead) -> None:
        if (refused := refusal_in(answer.status, answer.headers)) is not None:
            raise refused

    def _deserves_repeat(self, answer: AnswerHead) -> bool:
        """Whether another token might help: what was refused was not done (R-08)."""
        if self._found is None or self._doubted or not self._body.held:
            return False
        return wants_another_token(answer.headers)

    async def _renew(self, connection: UpstreamConnection) -> None:
        """Ask once more with another access token, if the session has one."""
        self._doubted = True
        again = None
        if self._found is not None:
            again = await self._relay.sessions.after_refusal(self._found)
        if again is None:
            self._task = None
            connection.go_on()
            self.news()
            return
        self._give_back()
        self._found = again
        self._body.again()
        self._ask()

    def _begin_answer(self, answer: AnswerHead) -> None:
        self._framed = Framed(
            answer.status,
            answer_head(self._relay.way, answer.status, answer.headers),
            head_only=self._request.method == "HEAD",
            version=self._turn.version,
            # What is left of the body will never be read as a request (RFC 9112 §9.3).
            keep_alive=self.keep_alive and self._body.complete,
            date=self._wire.date_line(),
        )

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
        if self._found is not None and self._request.get(b"x-bff-background") != b"1":
            self._relay.sessions.slide(self._found)
        keep_alive = framed.keep_alive and self.keep_alive
        self._wire.answered(keep_alive=keep_alive, body_unread=not self._body.complete)

    def congested(self) -> None:
        """The browser takes nothing just now: the upstream waits."""
        if self._connection is not None and self._framed is not None:
            self._connection.hold()

    def writable(self) -> None:
        """The browser takes more again."""
        if self._connection is not None and self._framed is not None:
            self._connection.go_on()

    # When it does not go on.

    @_guarded
    def failed(self, reason: Reason, phase: str) -> None:
        """There will be no answer, or no more of it."""
        connection = self._connection
        if connection is None or self._over:
            return
        self._give_back()
        if self._task is not None:
            self._task.cancel()  # a 401 was about to be answered anew
        if self._framed is not None:
            self._end()
            self._wire.break_off()
            return
        closed = reason is Reason.UPSTREAM_UNREACHABLE
        if closed and connection.used and not connection.seen_octet and self._repeatable:
            # A kept connection that closed before a byte came back: once more, on a new one.
            self._repeatable = False
            self._slowly(self._connect)
            return
        raise Refused(reason, phase=phase)

    def gone(self) -> None:
        """The browser has gone: nothing of this goes on but a refresh."""
        if self._over:
            return
        self._end()
        self.response_complete = True
        if self._task is not None:
            self._task.cancel()

    def refuse(self, refused: Refused) -> None:
        """Answer with a refusal, or break off an answer that has begun."""
        if self._over:
            return
        self._end()
        if self._framed is not None:
            self._wire.break_off()
            return
        self.response_complete = True
        on_behalf_of(self._request.peer, self._request.request_id)
        self._wire.transport.write(
            answer_bytes(
                self._relay.refuse(self._request, refused),
                head_only=self._request.method == "HEAD",
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
        crashed(error, request_id=self._request.request_id)
        self.refuse(Refused(Reason.INTERNAL_ERROR))

    def _end(self) -> None:
        self._over = True
        self._relay.users.leave()
        self._give_back()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._relay.upstream.give_back(connection)

    def _slowly(self, work: Work) -> None:
        self._task = self._wire.spawn(self._watched(work))

    async def _watched(self, work: Work) -> None:
        on_behalf_of(self._request.peer, self._request.request_id)
        task = self._task
        try:
            await work()
        except Refused as refused:
            self.refuse(refused)
        except Exception as error:  # noqa: BLE001 - an exception in any check refuses (E-05)
            self.crash(error)
        finally:
            if self._task is task:
                self._task = None
