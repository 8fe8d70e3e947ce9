"""The shell around `exchange` on plain ASGI: bytes from the browser to the upstream and back."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from bff.caller.cookies import Cookies
from bff.caller.request import BrowserRequest
from bff.problem import Aborted, Reason, Refused
from bff.relay.connection import Cut, UpstreamConnection
from bff.relay.exchange import (
    FormScanner,
    Relayed,
    admit,
    answer_head,
    has_body,
    is_chunked,
    request_head,
    scanner,
    wants_another_token,
)
from bff.relay.framing import AnswerHead
from bff.relay.upstream import Upstream
from bff.session.opened import Found
from bff.session.sessions import Sessions

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NOTHING_YET: Final = {"type": "http.response.body", "body": b"", "more_body": True}
HELD: Final = 64 * 1024  # octets of a body kept for a repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One route with its upstream, and the sessions it may need."""

    way: Relayed
    upstream: Upstream
    sessions: Sessions
    cookies: Cookies

    async def serve(self, request: BrowserRequest, receive: Receive, send: Send) -> None:
        """Answer the request. Raises Refused before an answer has begun, Aborted after."""
        admit(self.way, request)
        found = await self.authorize(request)
        body = _Body(receive, request)
        connection, answer = await self._ask(request, found, body)
        if answer.status == 401 and found is not None:
            again = await self._fresher(found, connection, answer, body)
            if again is not None:
                # What was refused with the old token was not done, so it may be said again.
                self.upstream.give_back(connection)
                found = again
                connection, answer = await self._ask(request, found, body.again())
        await self._send_answer(connection, answer, send)
        if found is not None and request.get(b"x-bff-background") != b"1":
            self.sessions.slide(found)

    async def _fresher(
        self, found: Found, connection: UpstreamConnection, answer: AnswerHead, body: "_Body"
    ) -> Found | None:
        """The session with another access token than the one that the upstream refused."""
        if not body.held or not wants_another_token(answer.headers):
            return None
        try:
            return await self.sessions.after_refusal(found)
        except BaseException:
            self.upstream.give_back(connection)
            raise

    async def authorize(self, request: BrowserRequest) -> Found | None:
        """The session whose token goes with the request, if the route gives one (Q-07)."""
        auth = self.way.route.auth
        if auth == "none":
            return None
        try:
            session_id = self.cookies.read_session(request)
            return await self.sessions.fresh(await self.sessions.find(session_id))
        except Refused as refused:
            if auth == "optional" and refused.reason in _AS_NOBODY:
                return None
            raise

    async def _ask(
        self, request: BrowserRequest, found: Found | None, body: "_Body"
    ) -> tuple[UpstreamConnection, AnswerHead]:
        """Send the request, once more if its kept connection turns out closed (Q-21)."""
        token = None if found is None else found.session.tokens.access_token
        head = request_head(self.way, request, access_token=token)
        repeatable = request.method in _REPEATABLE and not body.expected
        connection = await self._send_head(request, head, careful=not repeatable)
        try:
            if body.expected:
                return connection, await self._send_body(connection, request, body)
            return connection, await connection.head()
        except Refused as refused:
            closed = refused.reason is Reason.UPSTREAM_UNREACHABLE
            stale = closed and connection.used and not connection.seen_octet
            self.upstream.give_back(connection)
            if not (stale and repeatable):
                raise
        except BaseException:
            self.upstream.give_back(connection)
            raise
        # A kept connection that closed before a byte came back: once more, on a new one.
        connection = await self._send_head(request, head, careful=True)
        return connection, await self._head_or_give_back(connection)

    async def _send_head(
        self, request: BrowserRequest, head: bytes, *, careful: bool
    ) -> UpstreamConnection:
        connection = await self.upstream.acquire(careful=careful)
        patience = self.way.route.answer_timeout
        connection.begin(request.method, head, patience=patience, body=has_body(request))
        return connection

    async def _head_or_give_back(self, connection: UpstreamConnection) -> AnswerHead:
        try:
            return await connection.head()
        except BaseException:
            self.upstream.give_back(connection)
            raise

    async def _send_body(
        self, connection: UpstreamConnection, request: BrowserRequest, body: "_Body"
    ) -> AnswerHead:
        """Stream the body up while listening for the answer, which may come early (Q-19)."""
        pump = asyncio.ensure_future(self._pump(connection, request, body))
        head = asyncio.ensure_future(connection.head())
        try:
            await asyncio.wait({pump, head}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done() and not head.done():
                pump.result()
            answer = await head
            if not pump.done():
                raise _Early(answer)
            pump.result()
        except _Early as early:
            return early.answer
        finally:
            for task in (pump, head):
                if not task.done():
                    task.cancel()
            await asyncio.gather(pump, head, return_exceptions=True)
        return answer

    async def _pump(
        self, connection: UpstreamConnection, request: BrowserRequest, body: "_Body"
    ) -> None:
        chunked = is_chunked(request)
        scan = scanner(self.way, request)
        more = True
        while more:
            data, more = await body.next()
            if body.taken > self.way.route.max_body:
                raise Refused(Reason.BODY_TOO_LARGE)
            _scan(scan, data, more=more)
            if data:
                connection.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
                connection.push(self.way.route.answer_timeout)
                await connection.drain()
        if chunked:
            connection.write(b"0\r\n\r\n")
        connection.end_request()

    async def _send_answer(
        self, connection: UpstreamConnection, answer: AnswerHead, send: Send
    ) -> None:
        try:
            headers = answer_head(self.way, answer.status, answer.headers)
            start = {"type": "http.response.start", "status": answer.status, "headers": headers}
            await send(start)
            if not connection.ready:
                await send(_NOTHING_YET)  # the head must not wait for a body that takes its time
            while True:
                data = await connection.chunk(self.way.route.idle_timeout)
                last = not data or connection.whole == b""
                await send({"type": "http.response.body", "body": data, "more_body": not last})
                if last:
                    break
        except Cut:
            raise Aborted from None
        finally:
            self.upstream.give_back(connection)


class _Body:
    """The request's body as it comes; kept as long as it is small, for the one repeat of R-08."""

    def __init__(self, receive: Receive, request: BrowserRequest) -> None:
        self._receive = receive
        self._kept: list[bytes] | None = []
        self._whole = not has_body(request)
        self.expected = not self._whole
        self.taken = 0

    @property
    def held(self) -> bool:
        """Whether all of it is here, so that it can be sent again."""
        return self._whole and self._kept is not None

    async def next(self) -> tuple[bytes, bool]:
        """The next octets, and whether more follow. Raises Aborted if the browser went away."""
        message = await self._receive()
        if message["type"] != "http.request":
            raise Aborted
        data: bytes = message.get("body", b"")
        more = bool(message.get("more_body"))
        self.taken += len(data)
        self._whole = not more
        if self._kept is not None:
            self._kept.append(data)
            if self.taken > HELD:
                self._kept = None
        return data, more

    def again(self) -> "_Body":
        """The same body from its beginning."""
        kept = b"".join(self._kept or [])
        self._receive = _given(kept)
        self._kept, self.taken = [], 0
        return self


def _given(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class _Early(Exception):
    def __init__(self, answer: AnswerHead) -> None:
        super().__init__()
        self.answer = answer


_AS_NOBODY: Final = frozenset(
    {
        Reason.NO_SESSION,
        Reason.SESSION_EXPIRED,
        Reason.SESSION_ENDED,
        Reason.REFRESH_REJECTED,
        Reason.REFRESH_INTERRUPTED,
    }
)


def _scan(scan: FormScanner | None, data: bytes, *, more: bool) -> None:
    if scan is not None:
        scan.feed(data)
        if not more:
            scan.finish()
