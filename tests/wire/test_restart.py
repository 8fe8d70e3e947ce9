"""A restart under load, and not one request fails: nobody retries anything here.

A service manager holds the listening socket, as systemd does (sd_listen_fds(3)); or several
processes stand behind nginx, and are restarted one after the other.
"""

import http.client
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from bff.serve.listening import CannotListen, inherited
from bff.simulator import Simulator
from tests.parts.browser import Browser
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica
from tests.wire.serve_process import PATIENCE, served

# As systemd starts it: the descriptors are 3 and up, and LISTEN_PID is the process itself.
HANDED: Final = (
    "-c",
    "import os, sys\n"
    "for place, each in enumerate(os.environ.pop('HANDED').split(',')):\n"
    "    os.dup2(int(each), 3 + place)\n"
    "os.environ['LISTEN_PID'] = str(os.getpid())\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'bff', *sys.argv[1:]])",
)
PEOPLE: Final = 6


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as held:
        # Far from those that the new process puts its own in.
        descriptor = os.dup(held.fileno())
        while descriptor < 20:
            descriptor = os.dup(held.fileno())
        with socket.socket(fileno=descriptor) as high:
            yield high


@contextmanager
def activated(folder: Path, names: dict[str, socket.socket], **parts: Any) -> Iterator[Replica]:
    """`bff serve` on sockets that it is handed, by their names."""
    descriptors = [each.fileno() for each in names.values()]
    env = {
        "HANDED": ",".join(map(str, descriptors)),
        "LISTEN_FDS": str(len(names)),
        "LISTEN_FDNAMES": ":".join(names),
    }
    with served(folder, program=HANDED, env=env, hands=descriptors, **parts) as here:
        yield Replica(here)


@dataclass
class Load:
    """People who ask again and again, each on a connection that is kept while it may be."""

    port: int
    cookie: str
    over: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    failed: list[str] = field(default_factory=list)

    def ask(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.over.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                connection.request("GET", "/api/tasks", headers=self._headers())
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                connection = None
                continue
            if answer.status != 200:
                self.failed.append(str(answer.status))
            self.answered += 1
            if answer.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _headers(self) -> dict[str, str]:
        return {
            "Host": "app.example.com",
            "Cookie": f"__Host-Http-bff={self.cookie}",
            "Sec-Fetch-Site": "same-origin",
        }


@contextmanager
def loaded(port: int, browser: Browser) -> Iterator[Load]:
    """Load for as long as this takes; nobody has failed at its end."""
    load = Load(port, browser.session_cookie or "")
    with ThreadPoolExecutor(PEOPLE) as pool:
        asking = [pool.submit(load.ask) for _ in range(PEOPLE)]
        try:
            yield load
        finally:
            load.over.set()
        for each in asking:
            each.result()
    assert load.failed == []


def answers(load: Load, more: int) -> None:
    """Wait until so many more have been answered."""
    wanted = load.answered + more
    for _ in range(int(PATIENCE / 0.02)):
        if load.answered >= wanted:
            return
        threading.Event().wait(0.02)
    raise AssertionError(load)


@pytest.fixture
def parts(simulator: Simulator, redis: RedisProcess, provider: Control) -> dict[str, Any]:
    return {
        "issuer": simulator.issuer,
        "api": simulator.api,
        "store": redis.url,
        "provider": "connections = 1000",
        "drain_delay": "1s",
        "workers": 2,
    }


def test_a_restart_under_load_fails_nobody(tmp_path: Path, parts: dict[str, Any]) -> None:
    with listening() as public:
        port = public.getsockname()[1]
        with activated(tmp_path, {"public": public}, **parts) as first, first.browsing() as ada:
            assert urlsplit(first.served.public).port == port
            first.served.ready()
            ada.sign_in()
            with loaded(port, ada) as load:
                answers(load, 50)
                for _ in range(3):
                    first.served.process.signal(signal.SIGTERM)
                    assert first.served.process.ended() == 0
                    with activated(tmp_path, {"public": public}, **parts) as next_one:
                        answers(load, 50)
                        next_one.served.process.signal(signal.SIGTERM)
                        assert next_one.served.process.ended() == 0
                    first = next_one
                with activated(tmp_path, {"public": public}, **parts):
                    answers(load, 50)
                    load.over.set()


def test_each_socket_serves_what_its_name_says(tmp_path: Path, parts: dict[str, Any]) -> None:
    parts["drain_delay"] = "0s"
    with (
        listening() as public,
        listening() as operations,
        activated(tmp_path, {"operations": operations, "public": public}, **parts) as here,
    ):
        assert urlsplit(here.served.public).port == public.getsockname()[1]
        assert urlsplit(here.served.operations).port == operations.getsockname()[1]
        assert here.served.ready()["ready"]


def test_a_connection_that_was_just_made_may_still_ask_at_the_stop(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    parts["drain_delay"] = "0s"
    with served(tmp_path, **parts) as here:
        here.ready()
        port = urlsplit(here.public).port
        with socket.create_connection(("127.0.0.1", port or 0), PATIENCE) as connection:
            # Another one is answered: this one has been taken, too.
            assert here.get("/bff/session").status_code == 403
            here.process.signal(signal.SIGTERM)
            while not refused(port or 0):
                pass
            connection.sendall(b"GET /bff/session HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
            said = connection.recv(65536)
        assert said.startswith(b"HTTP/1.1 403 ")
        assert b"connection: close" in said.lower()
        assert here.process.ended() == 0


def refused(port: int) -> bool:
    """Whether nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it waited to be taken while the last listener closed
    return False


# --- what is handed over


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    return monkeypatch


def test_what_is_handed_to_another_process_is_not_ours(handed: pytest.MonkeyPatch) -> None:
    handed.setenv("LISTEN_PID", "1")
    assert inherited() == ([], [])
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize("kind", ["a pipe", "a connected socket", "datagrams", "nothing"])
def test_what_does_not_listen_is_refused(handed: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "a pipe":
        ends = list(os.pipe())
    elif kind == "a connected socket":
        ends = [each.detach() for each in socket.socketpair()]
    elif kind == "datagrams":
        ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()]
    else:
        ends = []
    handed.setattr("bff.serve.listening.FIRST_DESCRIPTOR", ends[0] if ends else 1023)
    with pytest.raises(CannotListen, match=r"is no listening socket of TCP; change ListenStream"):
        inherited()
    for each in ends:
        with suppress(OSError):
            os.close(each)
