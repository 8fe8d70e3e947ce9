"""Upstreams that say what they heard: one reads strictly, one as laxly as any server ever did.

Each answers with the method and target that it heard, so that everybody can tell an own answer.
"""

import contextlib
import queue
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Protocol

from typing_extensions import override

from tests.parts.strict import Malformed, Request, Unfinished, read_request

PATIENCE = 20.0  # seconds until a test gives up


@dataclass(frozen=True)
class Heard:
    """One request in the reading of an upstream; without a method it was none."""

    method: str
    target: str
    body: bytes
    connection: int = 0
    request: Request | None = None  # where the reader is the strict one


class Hearing(Protocol):
    """An upstream that was asked something."""

    name: str

    @property
    def url(self) -> str: ...

    def heard(self, until: str) -> list[Heard]:
        """All that it heard, up to the request for that target."""
        ...


def answer_to(method: str, target: str) -> bytes:
    """What every one of them answers, where the method has a body."""
    return f"heard {method} {target}".encode()


def drained(told: "queue.Queue[Heard]", until: str) -> list[Heard]:
    """What is in a queue up to that target."""
    found: list[Heard] = []
    while not found or found[-1].target != until:
        found.append(told.get(timeout=PATIENCE))
    return found


Reader = Callable[["Incoming"], Heard | None]


class Incoming:
    """What a peer sends. Raises EOFError where it ends: a request cut short was not heard."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream

    def take(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def line(self) -> bytes:
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def peek(self) -> bytes:
        """What has come and was not taken; waits for the first octet."""
        data = self._stream.peek()
        if not data:
            raise EOFError
        return data


@dataclass
class Ear:
    """A raw upstream with a reader of ours."""

    name: str
    reader: Reader
    port: int = 0
    told: "queue.Queue[Heard]" = field(default_factory=queue.Queue)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def heard(self, until: str) -> list[Heard]:
        return drained(self.told, until)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    @override
    def handle(self) -> None:
        ear: Ear = self.server.ear  # type: ignore[attr-defined]
        ear.connections += 1
        number = ear.connections
        incoming = Incoming(self.rfile)  # type: ignore[arg-type]  # makefile gives one that peeks
        with contextlib.suppress(OSError, EOFError):
            while True:
                found = ear.reader(incoming)
                if found is None:
                    ear.told.put(Heard("", "", b"", number))
                    return
                method, target = found.method, found.target
                ear.told.put(Heard(method, target, found.body, number, found.request))
                body = answer_to(method, target)
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                self.connection.sendall(head if method == "HEAD" else head + body)


def strict(incoming: Incoming) -> Heard | None:
    """A request by the grammar; None: what came is none."""
    octets = b""
    while True:
        came = incoming.peek()
        try:
            request, end = read_request(octets + came)
        except Unfinished:
            octets += incoming.take(len(came))
        except Malformed:
            return None
        else:
            incoming.take(end - len(octets))
            target = request.target.decode()
            return Heard(request.method.decode(), target, request.body, request=request)


def lax(incoming: Incoming) -> Heard | None:
    """Whatever can be taken for a request: a bare LF is a line end, space is no matter, the
    length comes before the coding, the last of several counts, numbers begin a line."""
    line = b""
    while not line:
        line = incoming.line().strip()
    method, _, rest = line.partition(b" ")
    target = rest.strip().split(b" ")[0]
    fields: dict[bytes, bytes] = {}
    last = b""
    while (line := incoming.line().rstrip(b"\r\n")) != b"":
        if line[:1] in b" \t" and last:
            fields[last] += b" " + line.strip()
            continue
        name, _, value = line.partition(b":")
        last = name.strip(b"\0\x0b\r \t").lower().replace(b"_", b"-")
        fields[last] = value.strip(b"\0\x0b\r \t")
    length = _number(fields.get(b"content-length", b""), 10)
    if length:
        body = incoming.take(length)
    elif b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        body = _lax_chunks(incoming)
    else:
        body = b""
    return Heard(method.decode("latin-1"), target.decode("latin-1"), body)


def _lax_chunks(incoming: Incoming) -> bytes:
    body = b""
    while size := _number(incoming.line(), 16):
        body += incoming.take(size)
        incoming.line()
    while incoming.line().strip():
        pass
    return body


def _number(text: bytes, radix: int) -> int:
    """The number that a text begins with, as C's strtol takes it."""
    digits = b"0123456789abcdef"[:radix]
    text = text.strip().lower().lstrip(b"+-\"'").removeprefix(b"0x")
    count = len(text) - len(text.lstrip(digits))
    return int(text[:count] or b"0", radix)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024


@contextlib.contextmanager
def ear(name: str, reader: Reader) -> Iterator[Ear]:
    with _Server(("127.0.0.1", 0), _Connection) as server:
        found = Ear(name, reader, server.server_address[1])
        server.ear = found  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
