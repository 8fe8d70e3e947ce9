"""One request and its answer on a connection, in the place where uvicorn keeps its own.

Head and first octets of an answer leave in one write. A refusal stands in the same queue, so
that on a pipelined connection it waits its turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from bff.journal.log import crashed
from bff.problem import Aborted, Answer, Headers

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

BUFFERED: Final = 64 * 1024  # octets of a request body held before the browser must wait


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


class Wire(Protocol):
    """The connection, as far as a request on it needs it."""

    transport: asyncio.Transport
    flow: FlowControl
    running: "Cycle | Prepared | None"

    def answered(self, *, keep_alive: bool, body_unread: bool) -> None:
        """An answer is complete."""
        ...

    def break_off(self) -> None:
        """An answer cannot be finished."""
        ...

    def date_line(self) -> bytes:
        """The Date field."""
        ...


class Cycle:
    """Speaks ASGI to the application, HTTP/1.1 to the connection."""

    def __init__(self, door: Wire, scope: dict[str, Any], *, keep_alive: bool) -> None:
        self._door = door
        self.scope = scope
        self.keep_alive = keep_alive
        self.message_event = asyncio.Event()
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.waiting_for_100_continue = False
        self.body = bytearray()
        self.more_body = True
        self._body_given = False
        self._head = b""  # waits for the first part of the body, which may be empty
        self._chunked = False
        self._left: int | None = None  # octets of the body still to come, where it has a length
        self._bodyless = False

    async def run_asgi(self, app: App) -> None:
        """Let the application answer; whatever it does, the connection ends in order."""
        self._door.running = self
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._break_off()
            raise
        except Aborted:
            self._break_off()
        except Exception as error:  # noqa: BLE001 - the last resort: the process lives on (E-05)
            crashed(error, request_id=self.scope.get("bff.request_id"))
            self._break_off()
        else:
            if not self.response_complete:
                self._break_off()

    def _break_off(self) -> None:
        """End the connection, unless that was done when the browser went away."""
        if not self.disconnected:
            self._door.break_off()

    async def receive(self) -> Message:
        """The next octets of the request's body (ASGI)."""
        if self.waiting_for_100_continue and not self._door.transport.is_closing():
            self.waiting_for_100_continue = False
            self._door.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._has_news():
            self._door.flow.resume_reading()
            self.message_event.clear()
            await self.message_event.wait()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        self._body_given = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def _has_news(self) -> bool:
        """Whether there is something to receive; after the whole body only the end is left."""
        if self.disconnected or self.response_complete:
            return True
        return not self._body_given and (bool(self.body) or not self.more_body)

    async def send(self, message: Message) -> None:
        """The next part of the answer (ASGI). The head leaves with the first part of the body."""
        if self.disconnected:
            return
        if self._door.flow.write_paused:
            await self._door.flow.drain()
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
        else:
            self._continue(message.get("body", b""), more=message.get("more_body", False))

    def _start(self, status: int, headers: Headers) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        self._bodyless = self.scope["method"] == "HEAD" or status in (204, 304)
        if self.more_body:
            # What is left of the body will never be read as a request (RFC 9112 §9.3).
            self.keep_alive = False
        lines = self._field_lines(headers)
        if self._left is None and not self._bodyless:
            self._chunked = self.scope["http_version"] == "1.1"
            self.keep_alive = self.keep_alive and self._chunked
            if self._chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        self._head = b"".join((STATUS_LINES[status], *lines, b"\r\n"))

    def _field_lines(self, headers: Headers) -> list[bytes]:
        lines: list[bytes] = []
        dated = False
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                self._left = int(value)
            elif name == b"date":
                dated = True
        if not dated:
            lines.append(self._door.date_line())
        return lines

    def _continue(self, body: bytes, *, more: bool) -> None:
        head, self._head = self._head, b""
        if self._bodyless:
            parts = [head]
        elif self._chunked:
            parts = [head]
            if body:
                parts.append(b"%x\r\n%s\r\n" % (len(body), body))
            if not more:
                parts.append(b"0\r\n\r\n")
        else:
            parts = [head, self._counted(body, more=more)]
        data = b"".join(parts)
        if data:
            self._door.transport.write(data)
        if not more:
            self._complete()

    def _counted(self, body: bytes, *, more: bool) -> bytes:
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise ValueError("the body does not fit its Content-Length")
        return body

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        self._door.answered(keep_alive=self.keep_alive, body_unread=self.more_body)


class Prepared:
    """An answer of the door's own, waiting its turn."""

    def __init__(self, door: Wire, answer: Answer, *, keep_alive: bool) -> None:
        self._door = door
        self._answer = answer
        self.keep_alive = keep_alive
        self.message_event = asyncio.Event()
        self.disconnected = False
        self.response_complete = False
        self.more_body = False
        self.body = bytearray()

    async def run_asgi(self, _app: App) -> None:
        """Write the answer: its turn has come."""
        self._door.running = self
        if not self.disconnected:
            close = b"" if self.keep_alive else b"connection: close\r\n"
            self._door.transport.write(answer_bytes(self._answer, close + self._door.date_line()))
        self.response_complete = True
        self._door.answered(keep_alive=self.keep_alive, body_unread=not self.keep_alive)


def answer_bytes(answer: Answer, more: bytes) -> bytes:
    """A whole answer as octets; `more`: further field lines."""
    fields = b"".join(b"%s: %s\r\n" % field for field in answer.headers)
    return STATUS_LINES[answer.status] + fields + more + b"\r\n" + answer.body
