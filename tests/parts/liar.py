"""An upstream that picks a lie for every request, by a seed; and the people who ask it.

Whoever knows the seed knows what each request is to be told, so that both sides need no other word
with each other. Each person has marks of an own: what carries another's is a leak.
"""

import contextlib
import hashlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from typing_extensions import override

from tests.parts.hearing import Incoming
from tests.parts.lies import CUT, FAULT, FAULTS, UNREACHABLE, Lie, answer
from tests.parts.odd_answers import ODD
from tests.parts.raw import Raw

EARLY: Final = "an answer before the request was whole"
_HONEST: Final = [
    Lie("an honest answer", answer(b"content-length: 2\r\n", body=b"ok"), (200, b"ok")),
    Lie("honest chunks", answer(b"transfer-encoding: chunked\r\n", body=b"2\r\nok\r\n0\r\n\r\n"),
        (200, b"ok")),
    Lie("an honest POST", answer(b"content-length: 2\r\n", body=b"ok"), (200, b"ok"),
        method="POST"),
    Lie(EARLY, answer(b"content-length: 2\r\n", body=b"ok"), (200, b"ok"), method="POST"),
]  # fmt: skip
_REASONS: Final = {
    "bff; error=http_protocol_error": FAULT,
    "bff; error=connection_terminated": UNREACHABLE,
}


@dataclass(frozen=True)
class Mark:
    """What only one person's answers carry: as long as what stands in the lies."""

    name: str
    short: bytes  # for "ok"
    long: bytes  # for "foreign"

    def on(self, lie: Lie) -> Lie:
        """The lie, told to that person."""
        octets = lie.octets.replace(b"ok", self.short).replace(b"foreign", self.long)
        if isinstance(lie.told, str):
            return replace(lie, octets=octets)
        status, body = lie.told
        own = body.replace(b"ok", self.short).replace(b"foreign", self.long)
        return replace(lie, octets=octets, told=(status, own))


MARKS: Final = {
    each.name: each for each in (Mark("ada", b"AD", b"ada-own"), Mark("grace", b"GR", b"grc-own"))
}


def picked(seed: int, person: str, number: int) -> Lie:
    """What that request is told: every third time the truth."""
    digest = hashlib.sha256(f"{seed}/{person}/{number}".encode()).digest()
    rows = _HONEST if digest[0] % 3 == 0 else FAULTS + ODD
    return MARKS[person].on(rows[int.from_bytes(digest[1:5]) % len(rows)])


@dataclass
class Liar:
    seed: int
    port: int = 0
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Lying(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    @override
    def handle(self) -> None:
        liar: Liar = self.server.liar  # type: ignore[attr-defined]
        incoming = Incoming(self.rfile)  # type: ignore[arg-type]  # makefile gives one that peeks
        with contextlib.suppress(OSError, EOFError):
            while self._one(liar, incoming):
                pass

    def _one(self, liar: Liar, incoming: Incoming) -> bool:
        _, target, _ = incoming.line().split(b" ")
        length = 0
        while line := incoming.line().rstrip(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name == b"content-length":
                length = int(value)
        _, person, number = target.decode().split("/")
        lie = picked(liar.seed, person, int(number))
        liar.asked += 1
        if lie.sentence != EARLY:
            incoming.take(length)
        self.connection.sendall(lie.octets)
        if lie.sentence == EARLY:
            incoming.take(length)
        return not lie.closes


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024


@contextlib.contextmanager
def lying(seed: int) -> Iterator[Liar]:
    with _Server(("127.0.0.1", 0), _Lying) as server:
        found = Liar(seed, server.server_address[1])
        server.liar = found  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


class Asker:
    """One person on a connection of their own, asking one thing after the other."""

    def __init__(self, port: int, mark: Mark, fields: bytes, seed: int) -> None:
        self._port = port
        self._mark = mark
        self._fields = fields
        self._seed = seed
        self._wire: Raw | None = None
        self.surprises: list[tuple[str, object, object]] = []
        self.whole = 0  # answers that came as they were meant

    def ask(self, count: int) -> None:
        """So many exchanges; what was not told as it should be is a surprise."""
        for number in range(count):
            lie = picked(self._seed, self._mark.name, number)
            found = self._told(lie, number)
            # A POST is never repeated: it may meet a connection that the upstream has just closed.
            unlucky = lie.method == "POST" and found == UNREACHABLE
            if found == lie.told:
                self.whole += not isinstance(found, str)
            elif not unlucky:
                self.surprises.append((lie.sentence, lie.told, found))
        self._hang_up()

    def _told(self, lie: Lie, number: int) -> object:
        if self._wire is None:
            self._wire = Raw(self._port)
        wire = self._wire
        post = lie.method == "POST"
        length = b"content-length: 8\r\n" if post else b""
        first = f"{lie.method} /api/{self._mark.name}/{number} HTTP/1.1\r\n".encode()
        body = b"half" if lie.sentence == EARLY else b"it whole"
        wire.send(first + self._fields + length + b"\r\n" + (body if post else b""))
        try:
            found = wire.answer(lie.method)
        except ConnectionError:
            self._hang_up()
            return CUT
        if found.get("connection") == "close":
            self._hang_up()
        if found.status == 502:
            return _REASONS[found.get("proxy-status") or ""]
        return found.status, found.body

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
