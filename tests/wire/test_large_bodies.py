"""A gibibyte through a real `bff serve`, up and down: it passes by, and no memory keeps it.

Whoever is to take it waits at first until the other side can send no more: all that has been sent
by then lies in sockets, or the worker would hold it.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bff.simulator import Simulator
from tests.parts.raw import Received, Villain, raw, villain
from tests.parts.redis_process import RedisProcess
from tests.wire.serve_process import served

MEBI = 1024 * 1024
GIBI = 1024 * MEBI
MAY_GROW = 32 * MEBI
STILL = 1.0  # seconds in which nothing is taken: then nobody takes anything
PATIENCE = 60.0  # seconds until a test gives up; nothing is expected to take as long
BLOCK = memoryview(b"\xa5" * MEBI)
ROUTES = """
[[routes]]
path = "/{path}"
upstream = "{url}"
auth = "none"
max_body = "1GiB"
"""


def pour(into: socket.socket, size: int, stuck: threading.Event) -> None:
    """Send so many octets; `stuck` is set when nobody takes them for a while."""
    into.settimeout(STILL)
    sent = 0
    while sent < size:
        try:
            sent += into.send(BLOCK[: size - sent])
        except TimeoutError:
            stuck.set()
    stuck.set()  # all of it has gone, into somebody's memory
    into.settimeout(PATIENCE)


def swallow(out_of: socket.socket, size: int) -> int:
    """Take octets and throw them away: so many, or until there are no more; how many it were."""
    out_of.settimeout(PATIENCE)
    room, taken = bytearray(MEBI), 0
    while taken < size and (count := out_of.recv_into(room)):
        taken += count
    return taken


@dataclass(frozen=True)
class Worker:
    """The only one of a `bff serve`, and what is behind its two routes."""

    pid: int
    port: int
    up: socket.socket  # listens: whoever takes an upload
    down: Villain

    def _memory(self, what: str) -> int:
        """Octets."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith(what)))

    def begin(self) -> int:
        """What it holds now; its peak is counted from here."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._memory("VmHWM")

    def peak(self) -> int:
        return self._memory("VmHWM")


def ask(method: str, path: str, *fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: app.example.com", "Sec-Fetch-Site: same-origin"]
    return "\r\n".join([*lines, "X-CSRF: 1", *fields, "\r\n"]).encode()


@pytest.fixture(scope="module")
def worker(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, redis_server: RedisProcess
) -> Iterator[Worker]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        villain() as down,
    ):
        urls = {"up": f"http://127.0.0.1:{listening.getsockname()[1]}", "down": down.url}
        routes = "".join(ROUTES.format(path=path, url=url) for path, url in urls.items())
        folder = tmp_path_factory.mktemp("large")
        with served(folder, issuer=simulator.issuer, store=redis_server.url, routes=routes) as site:
            (only,) = site.ready()["workers"]
            port = int(site.public.rpartition(":")[2])
            yield Worker(only["pid"], port, listening, down)


def upload(worker: Worker, size: int, stuck: threading.Event) -> int:
    """Send so much, and take it upstream once nothing moves; how much has come."""
    with raw(worker.port, timeout=PATIENCE) as wire:
        wire.send(ask("PUT", "/up/x", f"Content-Length: {size}"))
        threading.Thread(target=pour, args=(wire.socket, size, stuck), daemon=True).start()
        connection, _ = worker.up.accept()
        with connection:
            assert stuck.wait(PATIENCE)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            taken = swallow(connection, size)
            connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            assert wire.answer().status == 204
    return taken


def download(worker: Worker, size: int, stuck: threading.Event) -> int:
    """Have so much sent, and take it once nothing moves; how much has come."""

    def answer(connection: socket.socket, _: Received) -> str:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        pour(connection, size, stuck)
        return "open"

    worker.down.script(answer)
    with raw(worker.port, timeout=PATIENCE) as wire:
        wire.send(ask("GET", "/down/x"))
        assert stuck.wait(PATIENCE)
        status, _ = wire.head()
        assert status == 200
        return len(wire.buffer) + swallow(wire.socket, size - len(wire.buffer))


Way = Callable[[Worker, int, threading.Event], int]


@pytest.mark.rule("Q-19")
@pytest.mark.parametrize("way", [upload, download])
def test_a_gibibyte_leaves_the_memory_of_the_worker_as_it_was(worker: Worker, way: Way) -> None:
    at_once = threading.Event()
    at_once.set()
    assert way(worker, MEBI, at_once) == MEBI  # what the first of a kind needs is there by now
    before = worker.begin()
    assert way(worker, GIBI, threading.Event()) == GIBI
    assert worker.peak() - before < MAY_GROW
