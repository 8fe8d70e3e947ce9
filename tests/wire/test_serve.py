"""`bff serve` as a real process: readiness, workers that die, signals, and an end in order."""

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bff.simulator import Simulator
from tests.parts.config import SECRET
from tests.parts.raw import Villain, raw, villain
from tests.parts.redis_process import RedisProcess
from tests.wire.serve_process import QUICK_TO_STOP, Served, run, served

HOST = b"Host: app.example.com\r\n"


@contextlib.contextmanager
def _stuck(site: Served, upstream: Villain) -> Iterator[socket.socket]:
    """A request that the upstream has and does not answer yet."""
    upstream.script(lambda *_: None)
    with raw(int(site.public.rpartition(":")[2])) as connection:
        connection.send(b"GET /open/x HTTP/1.1\r\n" + HOST + b"X-CSRF: 1\r\n\r\n")
        assert upstream.arrived.acquire(timeout=20)
        yield connection.socket


def pids(site: Served) -> set[int]:
    return {each["pid"] for each in site.ready()["workers"]}


@pytest.fixture
def upstream() -> Iterator[Villain]:
    with villain() as upstream:
        yield upstream


def _open_route(upstream: Villain) -> str:
    return f'[[routes]]\npath = "/open"\nupstream = "{upstream.url}"\nauth = "none"'


@pytest.fixture(scope="module")
def two(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, redis_server: RedisProcess
) -> Iterator[Served]:
    """Two workers, for tests that leave them ready."""
    folder = tmp_path_factory.mktemp("two")
    with served(folder, workers=2, issuer=simulator.issuer, store=redis_server.url) as site:
        yield site


def test_two_workers_serve_and_are_ready_and_end_with_status_0(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with served(tmp_path, workers=2, issuer=simulator.issuer, store=redis.url) as site:
        health = site.ready()
        pids = {worker["pid"] for worker in health["workers"]}
        assert (health["troubles"], len(pids)) == ([], 2)
        assert site.process.popen.pid not in pids
        assert site.get("/bff/session").status_code == 403  # nothing proves our own page
        site.process.signal(signal.SIGTERM)
        assert site.process.ended() == 0
        assert "Traceback" not in "".join(site.process.output)


def test_a_worker_may_open_as_many_files_as_the_system_lets_it(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))  # as many shells have it
    try:
        with served(tmp_path, issuer=simulator.issuer, store=redis.url) as site:
            (pid,) = pids(site)
            assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.rule("D-05")
def test_live_and_ready_answer_on_the_operations_address_only(two: Served) -> None:
    two.ready()
    for path, status in (("/live", 200), ("/ready", 200), ("/", 404), ("/live/x", 404)):
        assert two.http.get(two.operations + path).status_code == status
    assert two.http.post(two.operations + "/ready").status_code == 405
    assert two.http.head(two.operations + "/live").content == b""
    for path in ("/live", "/ready", "/metrics"):
        assert two.get(path).json()["reason"] == "no_route"


@pytest.mark.rule("T-05")
def test_no_secret_stands_in_the_arguments_or_the_output(two: Served) -> None:
    health = two.ready()
    for pid in (two.process.popen.pid, *(each["pid"] for each in health["workers"])):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert SECRET.encode() not in arguments
        assert os.environ["BFF_TEST_KEY"].encode() not in arguments
    assert SECRET not in "".join(two.process.output)


def test_a_worker_that_dies_is_replaced_and_the_others_serve_on(two: Served) -> None:
    before = {each["pid"] for each in two.ready()["workers"]}
    killed = next(iter(before))
    os.kill(killed, signal.SIGKILL)
    died = two.process.event("worker_died")
    assert (died["code"], died["level"]) == (-signal.SIGKILL, "error")
    assert two.get("/bff/session").status_code == 403
    after = {each["pid"] for each in two.ready()["workers"]}
    assert len(after) == 2
    assert killed not in after


def test_a_hung_worker_is_not_ready_after_ten_seconds(two: Served) -> None:
    hung = two.ready()["workers"][0]["pid"]
    os.kill(hung, signal.SIGSTOP)
    health = two.until(lambda health: not health["ready"])
    assert health["troubles"] == ["silent"]
    os.kill(hung, signal.SIGCONT)
    two.ready()


def test_a_worker_heeds_the_supervisor_and_no_signal(two: Served) -> None:
    before = two.ready()["workers"]
    for worker in before:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(worker["pid"], number)
    two.process.signal(signal.SIGHUP)  # something to wait for
    two.process.event("reloaded", pid=two.process.popen.pid)
    assert pids(two) == {each["pid"] for each in before}


def test_workers_end_when_the_supervisor_is_killed(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with served(tmp_path, workers=2, issuer=simulator.issuer, store=redis.url) as site:
        site.ready()
        site.process.signal(signal.SIGKILL)
        # The pipe of the output ends when nobody holds it any more: not the workers either.
        with pytest.raises(AssertionError, match="ended without"):
            site.process.line(lambda _: False)


def test_troubles_name_the_store_and_the_provider(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with served(tmp_path, issuer="http://127.0.0.1:9", store=redis.url) as site:
        assert site.until(lambda health: health["troubles"] == ["provider"])["ready"] is False
        redis.stop()
        site.until(lambda health: health["troubles"] == ["store", "provider"])
        assert site.http.get(site.operations + "/ready").status_code == 503
        assert site.http.get(site.operations + "/live").status_code == 200
        redis.start()
        site.until(lambda health: health["troubles"] == ["provider"])


@pytest.mark.rule("D-08")
def test_sigterm_turns_ready_red_at_once_while_listening_goes_on(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url}
    with served(tmp_path, drain_delay="1h", **parts) as site:
        site.ready()
        site.process.signal(signal.SIGTERM)
        assert "draining" in site.until(lambda health: not health["ready"])["troubles"]
        with httpx.Client(trust_env=False) as newcomer:  # a connection of its own
            headers = {"host": "app.example.com"}
            assert newcomer.get(site.public + "/bff/session", headers=headers).status_code == 403
        site.process.signal(signal.SIGTERM)  # a second one ends it at once
        assert site.process.ended() == 1


@pytest.mark.rule("D-08")
def test_a_running_request_finishes_and_idle_connections_close(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, upstream: Villain
) -> None:
    parts: dict[str, Any] = {
        "issuer": simulator.issuer,
        "store": redis.url,
        "routes": _open_route(upstream),
    }
    with served(tmp_path, **parts) as site:
        site.ready()
        port = int(site.public.rpartition(":")[2])
        answered: list[socket.socket] = []
        upstream.script(lambda connection, _: answered.append(connection))
        with raw(port) as idle, raw(port) as busy:
            idle.send(b"GET /bff/session HTTP/1.1\r\n" + HOST + b"\r\n")
            assert idle.answer().status == 403
            busy.send(b"GET /open/x HTTP/1.1\r\n" + HOST + b"X-CSRF: 1\r\n\r\n")
            assert upstream.arrived.acquire(timeout=20)
            site.process.signal(signal.SIGTERM)
            assert idle.closed
            with pytest.raises(ConnectionError):
                socket.create_connection(("127.0.0.1", port)).close()
            answered[0].sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")
            assert busy.answer().body == b"late"
        assert site.process.ended() == 0


@pytest.mark.rule("D-08")
def test_what_does_not_finish_within_the_deadline_is_answered_503_draining(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, upstream: Villain
) -> None:
    parts: dict[str, Any] = {
        "issuer": simulator.issuer,
        "store": redis.url,
        "routes": _open_route(upstream),
        **QUICK_TO_STOP,
    }
    with served(tmp_path, **parts) as site:
        site.ready()
        with _stuck(site, upstream) as connection:
            site.process.signal(signal.SIGTERM)
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b'"reason":"draining"' in said
        assert site.process.ended() == 0


@pytest.mark.parametrize("taken", ["public", "operations"])
def test_a_taken_address_is_named_with_what_changes_it(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, taken: str
) -> None:
    with served(tmp_path, issuer=simulator.issuer, store=redis.url) as site:
        address = getattr(site, taken).partition("://")[2]
        port = address.rpartition(":")[2]
        file = tmp_path / "bff.toml"
        if taken == "operations":
            file.write_text(file.read_text().replace("127.0.0.1:0", address))
            port = "0"
        done = run("serve", "--config", str(file), "--port", port)
    option = "--host or --port" if taken == "public" else "listen in [operate]"
    assert done.returncode == 1
    assert done.stderr == f"Error: {address} is taken by another process; change {option}\n"


@pytest.mark.rule("T-09")
def test_memory_does_not_start_with_any_number_of_workers(
    tmp_path: Path, simulator: Simulator
) -> None:
    file = tmp_path / "bff.toml"
    with served(tmp_path, issuer=simulator.issuer, store="redis://127.0.0.1:9/0"):
        text = file.read_text()
    file.write_text(text.replace("redis://127.0.0.1:9/0", "memory:"))
    done = run("serve", "--config", str(file), "--workers", "2")
    assert done.returncode == 1
    assert "session.store is memory" in done.stderr
