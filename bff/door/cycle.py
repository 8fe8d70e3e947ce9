"""One request and its answer on a connection, in the place where uvicorn keeps its own.

Head and first octets of an answer leave in one write. A refusal stands in the same queue, so
that on a pipelined connection it waits its turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from bff.caller.request import BrowserRequest
from bff.journal.log import crashed
from bff.problem import Aborted, Answer
from bff.wire import BUFFERED, CONTINUE, Framed, Turn, Wire, answer_bytes, answer_lines

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

_GONE: Final = "http.disconnect"


def asgi_scope(request: BrowserRequest, frontend: str, turn: Turn) -> dict[str, Any]:
    """The scope of a request; what the door knows of it goes along."""
    path = request.path.decode("ascii")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": turn.version,
        "method": request.method,
        "root_path": "",
        "path": path,
        "raw_path": request.path,
        "query_string": request.query,
        "headers": [*request.headers, *request.beside.items()],
        "bff.request": request,
        "bff.frontend": frontend,
    }


class Cycle:
    """Speaks ASGI to the application, HTTP/1.1 to the connection."""

    def __init__(self, app: App, scope: dict[str, Any], turn: Turn) -> None:
        self._wire = turn.wire
        self._app = app
        self.scope = scope
        self.keep_alive = turn.keep_alive
        self._expects_continue = turn.expects_continue
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = False
        self.response_started = False
        self.response_complete = False
        self._body = bytearray()
        self._more_body = True
        self._body_given = False
        self._answer: Framed | None = None

    def start(self) -> None:
        """Let the application answer, in a task."""
        _ = self._wire.spawn(self._run())

    async def _run(self) -> None:
        """Whatever the application does, the connection ends in order."""
        try:
            await self._app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._break_off()
            raise
        except Aborted:
            self._break_off()
        except Exception as error:  # noqa: BLE001 - the last resort: the process lives on (E-05)
            crashed(error, request_id=self.scope["bff.request"].request_id)
            self._break_off()
        else:
            if not self.response_complete:
                self._break_off()

    def _break_off(self) -> None:
        """End the connection, unless that was done when the browser went away."""
        if not self._gone:
            self._wire.break_off()

    # What the door tells.

    def take_body(self, data: bytes) -> None:
        """Octets of the request's body; beyond a bound the browser must wait."""
        self._body += data
        if len(self._body) > BUFFERED:
            self._wire.pause_reading()
        self._news.set()

    def end_body(self) -> None:
        """The request is here whole."""
        self._more_body = False
        self._news.set()

    def flush(self) -> None:
        """Nothing waits for it."""

    def congested(self) -> None:
        """The browser takes nothing just now: `send` waits."""
        self._writable.clear()

    def writable(self) -> None:
        """The browser takes more again."""
        self._writable.set()

    def drain(self) -> None:
        """It comes to its end by itself."""

    def gone(self) -> None:
        """The browser has gone, or what it sends is no request."""
        self._gone = True
        self._news.set()
        self._writable.set()

    # What the application asks (ASGI).

    async def receive(self) -> Message:
        """The next octets of the request's body."""
        if self._expects_continue and not self._wire.transport.is_closing():
            self._expects_continue = False
            self._wire.transport.write(CONTINUE)
        while not self._has_news():
            self._wire.resume_reading()
            self._news.clear()
            await self._news.wait()
        if self._gone or self.response_complete:
            return {"type": _GONE}
        body, self._body = bytes(self._body), bytearray()
        self._body_given = not self._more_body
        return {"type": "http.request", "body": body, "more_body": self._more_body}

    def _has_news(self) -> bool:
        """Whether there is something to receive; after the whole body only the end is left."""
        if self._gone or self.response_complete:
            return True
        return not self._body_given and (bool(self._body) or not self._more_body)

    async def send(self, message: Message) -> None:
        """The next part of the answer. The head leaves with the first part of the body."""
        await self._writable.wait()
        if self._gone:
            return
        if message["type"] == "http.response.start":
            self._start_answer(message)
        elif self._answer is not None:
            last = not message.get("more_body", False)
            self._write(self._answer.part(message.get("body", b""), last=last), last=last)

    def _start_answer(self, message: Message) -> None:
        self.response_started = True
        self._expects_continue = False
        self._answer = Framed(
            answer_lines(message["status"], message["headers"]),
            head_only=self.scope["method"] == "HEAD",
            version=self.scope["http_version"],
            # What is left of the body will never be read as a request (RFC 9112 §9.3).
            keep_alive=self.keep_alive and not self._more_body,
            date=self._wire.date_line(),
        )
        self.keep_alive = self._answer.keep_alive

    def _write(self, data: bytes, *, last: bool) -> None:
        if data:
            self._wire.transport.write(data)
        if last:
            self.response_complete = True
            self._news.set()
            self._wire.answered(keep_alive=self.keep_alive, body_unread=self._more_body)


class Prepared:
    """An answer of the door's own, waiting its turn."""

    response_started = False

    def __init__(
        self, wire: Wire, answer: Answer, *, keep_alive: bool, head_only: bool = False
    ) -> None:
        self._wire = wire
        self._answer = answer
        self._head_only = head_only
        self.keep_alive = keep_alive
        self.response_complete = False
        self._gone = False

    def start(self) -> None:
        """Write the answer: its turn has come."""
        self.response_complete = True
        if self._gone:
            return
        self._wire.transport.write(
            answer_bytes(
                self._answer,
                head_only=self._head_only,
                keep_alive=self.keep_alive,
                date=self._wire.date_line(),
            )
        )
        self._wire.answered(keep_alive=self.keep_alive, body_unread=not self.keep_alive)

    def take_body(self, data: bytes) -> None:
        """It is thrown away."""

    def end_body(self) -> None:
        """Nothing waits for it."""

    def flush(self) -> None:
        """Nothing waits for it."""

    def congested(self) -> None:
        """It is small."""

    def writable(self) -> None:
        """It is small."""

    def drain(self) -> None:
        """It comes to its end by itself."""

    def gone(self) -> None:
        """Nobody waits for it any more."""
        self._gone = True
