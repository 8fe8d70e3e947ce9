"""Raw bytes to the BFF and what comes back, byte for byte; and an upstream that is a villain."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from typing_extensions import override


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        return next((value for found, value in self.headers if found == name), None)

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found == name]


class Raw:
    """One connection, written and read as octets."""

    def __init__(self, port: int, *, timeout: float = 20) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        """The next status line and fields."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                raise ConnectionError(f"closed within a head: {self.buffer!r}")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = []
        for line in lines:
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip()))
        return int(first.split(" ")[1]), fields

    def answer(self, method: str = "GET") -> RawAnswer:
        """The next whole answer, read by its framing. Raises ConnectionError if it is cut."""
        status, headers = self.head()
        found = dict(headers)
        if method == "HEAD" or status in (204, 304) or status < 200:
            return RawAnswer(status, headers, b"")
        if found.get("transfer-encoding") == "chunked":
            return RawAnswer(status, headers, self._chunked())
        if "content-length" in found:
            return RawAnswer(status, headers, self.take(int(found["content-length"])))
        return RawAnswer(status, headers, self.rest())

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self._more():
                raise ConnectionError("closed within a body")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            if not self._more():
                raise ConnectionError("closed within a line")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.line(), 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        while self.line():
            pass
        return body

    def rest(self) -> bytes:
        """Everything until the other side closes."""
        while self._more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    @property
    def closed(self) -> bool:
        """Whether the other side closes without another octet."""
        return self.rest() == b""

    def close(self) -> None:
        self.socket.close()


@contextlib.contextmanager
def raw(port: int, *, timeout: float = 20) -> Iterator[Raw]:
    connection = Raw(port, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


@dataclass
class Received:
    """A request as the upstream read it: by its own simple parser, not the BFF's."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    connection: int

    def all(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.headers if found == name]


@dataclass
class Villain:
    """A raw upstream. `answers` are given in order; each is octets, or a callable on the socket."""

    port: int
    received: list[Received] = field(default_factory=list)
    answers: list[object] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    connections: int = 0
    reading: threading.Event = field(default_factory=threading.Event)  # bodies; set from the start
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reading.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *answers: object) -> None:
        self.received.clear()
        self.answers[:] = answers

    def next_answer(self) -> object:
        with self.lock:
            return self.answers.pop(0) if self.answers else OK


OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


class _Handler(socketserver.StreamRequestHandler):
    @override
    def handle(self) -> None:
        villain: Villain = self.server.villain  # type: ignore[attr-defined]
        with villain.lock:
            villain.connections += 1
            number = villain.connections
        with contextlib.suppress(OSError, ValueError):
            while request := self._read(number):
                villain.received.append(request)
                villain.arrived.release()
                answer = villain.next_answer()
                if callable(answer):
                    if answer(self.connection, request) == "close":
                        return
                elif isinstance(answer, bytes):
                    self.connection.sendall(answer)

    def _exactly(self, count: int) -> bytes:
        """So many octets. A request that was cut short is not one that was received."""
        data = self.rfile.read(count)
        if len(data) < count:
            raise ValueError
        return data

    def _read(self, number: int) -> Received | None:
        line = self.rfile.readline().rstrip(b"\r\n")
        if not line:
            return None
        headers: list[tuple[bytes, bytes]] = []
        while (field_line := self.rfile.readline().rstrip(b"\r\n")) != b"":
            name, _, value = field_line.partition(b":")
            headers.append((name.lower(), value.strip()))
        found = dict(headers)
        body = b""
        self.server.villain.reading.wait()  # type: ignore[attr-defined]
        if b"content-length" in found:
            body = self._exactly(int(found[b"content-length"]))
        elif found.get(b"transfer-encoding") == b"chunked":
            while size := int(self.rfile.readline().strip(), 16):
                body += self._exactly(size)
                self._exactly(2)
            self._exactly(2)
        return Received(line, headers, body, number)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024  # a volley connects at once; five would leave it to retransmissions


@contextlib.contextmanager
def villain() -> Iterator[Villain]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        found = Villain(server.server_address[1])
        server.villain = found  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
