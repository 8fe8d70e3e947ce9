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
)
from bff.relay.framing import AnswerHead
from bff.relay.upstream import Upstream
from bff.session.opened import Found
from bff.session.sessions import Sessions

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


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
        token = None if found is None else found.session.tokens.access_token
        head = request_head(self.way, request, access_token=token)
        await self._exchange(request, head, receive, send)
        if found is not None and request.get(b"x-bff-background") != b"1":
            self.sessions.slide(found)

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

    async def _exchange(
        self, request: BrowserRequest, head: bytes, receive: Receive, send: Send
    ) -> None:
        body = has_body(request)
        repeatable = request.method in _REPEATABLE and not body
        connection = await self._send_head(request, head, careful=not repeatable)
        try:
            if body:
                answer = await self._send_body(connection, request, receive)
            else:
                answer = await connection.head()
        except Refused as refused:
            closed = refused.reason is Reason.UPSTREAM_UNREACHABLE
            stale = closed and connection.used and not connection.seen_octet
            self.upstream.give_back(connection)
            if not (stale and repeatable):
                raise
            # A kept connection that closed before a byte came back: once more, on a new one.
            connection = await self._send_head(request, head, careful=True)
            answer = await self._head_or_give_back(connection)
        except BaseException:
            self.upstream.give_back(connection)
            raise
        await self._send_answer(connection, request, answer, send)

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
        self, connection: UpstreamConnection, request: BrowserRequest, receive: Receive
    ) -> AnswerHead:
        """Stream the body up while listening for the answer, which may come early (Q-19)."""
        pump = asyncio.ensure_future(self._pump(connection, request, receive))
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
        self, connection: UpstreamConnection, request: BrowserRequest, receive: Receive
    ) -> None:
        chunked = is_chunked(request)
        scan = scanner(self.way, request)
        taken = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Aborted
            data: bytes = message.get("body", b"")
            taken += len(data)
            if taken > self.way.route.max_body:
                raise Refused(Reason.BODY_TOO_LARGE)
            more = bool(message.get("more_body"))
            _scan(scan, data, more=more)
            if data:
                connection.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
                connection.push(self.way.route.answer_timeout)
                await connection.drain()
            if not more:
                if chunked:
                    connection.write(b"0\r\n\r\n")
                connection.end_request()
                return

    async def _send_answer(
        self,
        connection: UpstreamConnection,
        request: BrowserRequest,
        answer: AnswerHead,
        send: Send,
    ) -> None:
        try:
            headers = answer_head(self.way, answer.status, answer.headers)
            start = {"type": "http.response.start", "status": answer.status, "headers": headers}
            await send(start)
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
