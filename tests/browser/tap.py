"""What really goes over the wire between a browser and the BFF: both directions, octet by octet.

The browser's own tools hide what matters here: cookies of navigations, Fetch Metadata, bodies of
pages that have gone. So it is told to find the BFF's host and port at this tap.
"""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httptools
from typing_extensions import override

from tests.canary import RECORDER, Record


@dataclass
class Exchange:
    """One request of the browser and the BFF's answer to it."""

    method: str
    target: str
    headers: dict[str, str]  # cookie joined, as Chromium sends it
    record: Record = field(repr=False)
    status: int = 0
    answer: list[tuple[str, str]] = field(default_factory=list)
    complete: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def set_cookies(self) -> list[str]:
        return [value for name, value in self.answer if name == "set-cookie"]


class Tap:
    """All exchanges so far, in the order in which they began."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.exchanges: list[Exchange] = []
        self.changed = threading.Condition()

    def to(self, path: str) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.path == path]

    def wait_for(self, wanted: Callable[[Exchange], bool], *, after: int = 0) -> Exchange:
        """The first complete exchange of that kind, from the index `after` on."""

        def found() -> Exchange | None:
            later = (each for each in self.exchanges[after:] if each.complete and wanted(each))
            return next(later, None)

        with self.changed:
            exchange = self.changed.wait_for(found, timeout=30)
        assert exchange is not None, "no such exchange in 30 s"
        return exchange

    def wait_for_begun(self, path: str, *, count: int = 1) -> None:
        """Until so many answers from there have begun: a stream is never complete."""

        def begun() -> bool:
            return sum(1 for each in self.to(path) if each.answer) >= count

        with self.changed:
            assert self.changed.wait_for(begun, timeout=30), f"no answer from {path} in 30 s"


class _Asked:
    """httptools' callbacks for what the browser sends."""

    def __init__(self, tap: Tap, connection: "_Connection") -> None:
        self.tap = tap
        self.connection = connection
        self.target = b""
        self.headers: dict[str, str] = {}

    def on_message_begin(self) -> None:
        self.target, self.headers = b"", {}

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        method = self.connection.asking.get_method().decode()
        target = self.target.decode("latin-1")
        record = RECORDER.answer(f"{method} {target.partition('?')[0]}")
        exchange = Exchange(method, target, self.headers, record)
        with self.tap.changed:
            self.tap.exchanges.append(exchange)
            self.connection.exchange = exchange


class _Answered:
    """httptools' callbacks for what the BFF sends."""

    def __init__(self, tap: Tap, connection: "_Connection") -> None:
        self.tap = tap
        self.connection = connection

    def on_header(self, name: bytes, value: bytes) -> None:
        header = (name.decode("latin-1").lower(), value.decode("latin-1"))
        self.connection.current.answer.append(header)

    def on_headers_complete(self) -> None:
        with self.tap.changed:
            self.tap.changed.notify_all()

    def on_message_complete(self) -> None:
        with self.tap.changed:
            self.connection.current.status = self.connection.answering.get_status_code()
            self.connection.current.complete = True
            self.tap.changed.notify_all()


class _Connection:
    def __init__(self, tap: Tap) -> None:
        self.exchange: Exchange | None = None
        self.asking = httptools.HttpRequestParser(_Asked(tap, self))
        self.answering = httptools.HttpResponseParser(_Answered(tap, self))
        self.is_socket = False  # what then passes are frames, not messages of HTTP

    @property
    def current(self) -> Exchange:
        assert self.exchange is not None, "an answer without a request"
        return self.exchange

    def asked(self, data: bytes) -> None:
        if not self.is_socket:
            with contextlib.suppress(httptools.HttpParserUpgrade):
                self.asking.feed_data(data)

    def answered(self, data: bytes) -> None:
        self.current.record.add(data)
        if not self.is_socket:
            try:
                self.answering.feed_data(data)
            except httptools.HttpParserUpgrade:
                self.is_socket = True


def _pump(source: socket.socket, target: socket.socket, see: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            see(data)  # first: whoever gets the octets finds them recorded
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Handler(socketserver.BaseRequestHandler):
    @override
    def handle(self) -> None:
        tap: Tap = self.server.tap  # type: ignore[attr-defined]
        connection = _Connection(tap)
        with socket.create_connection(("127.0.0.1", tap.port)) as bff:
            back = threading.Thread(target=_pump, args=(bff, self.request, connection.answered))
            back.start()
            _pump(self.request, bff, connection.asked)
            back.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


@contextlib.contextmanager
def tapping(port: int) -> Iterator[tuple[Tap, int]]:
    """A tap in front of `port` of loopback, and the port that it listens on itself."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        tap = Tap(port)
        server.tap = tap  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield tap, server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
