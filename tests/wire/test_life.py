"""A worker that hangs is noticed and replaced; a service manager is told how it goes."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bff.simulator import Simulator
from tests.parts.redis_process import RedisProcess
from tests.wire.serve_process import PATIENCE, served


def impatient(seconds: float) -> tuple[str, str]:
    """`bff` that takes a worker for hung after that time."""
    return (
        "-c",
        f"import bff.serve.keeper as k; k.HUNG = {seconds}; from bff.cli import main; main()",
    )


def test_a_worker_whose_loop_does_not_turn_is_replaced(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url}
    with served(tmp_path, workers=2, program=impatient(2.0), **parts) as site:
        hung, other = (each["pid"] for each in site.ready()["workers"])
        os.kill(hung, signal.SIGSTOP)
        assert site.process.event("worker_hung")["pid"] == hung
        health = site.until(lambda found: found["ready"] and found["workers"][0]["pid"] != hung)
        assert health["workers"][1]["pid"] == other


def test_a_worker_that_was_frozen_with_all_others_is_not_taken_for_hung(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url}
    with served(tmp_path, program=impatient(5.0), **parts) as site:
        (worker,) = (each["pid"] for each in site.ready()["workers"])
        frozen = (site.process.popen.pid, worker)
        for each in frozen:
            os.kill(each, signal.SIGSTOP)
        time.sleep(7)  # a freeze is nothing but time, and it is their clock that has to go on
        os.kill(frozen[0], signal.SIGCONT)
        for _ in range(2):  # its loop has turned before the worker can speak
            site.health()
        os.kill(worker, signal.SIGCONT)
        assert [each["pid"] for each in site.ready()["workers"]] == [worker]
        assert "worker_hung" not in "".join(site.process.output)


class Manager:
    """A service manager, as far as it listens."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(PATIENCE)

    def hears(self) -> str:
        """The next message that is not that it lives."""
        while (message := self.socket.recv(4096).decode()) == "WATCHDOG=1":
            pass
        return message


@pytest.fixture(params=["a path", "an abstract name"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "a path" else f"@bff-{os.getpid()}"


@pytest.fixture
def manager(name: str) -> Iterator[Manager]:
    found = Manager(name.replace("@", "\0", 1))
    yield found
    found.socket.close()


def test_a_service_manager_hears_of_start_reload_and_stop(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, name: str, manager: Manager
) -> None:
    parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url}
    with served(tmp_path, workers=2, env={"NOTIFY_SOCKET": name}, **parts) as site:
        assert manager.hears() == "READY=1"
        site.process.signal(signal.SIGHUP)
        first, second = manager.hears().split("\n")
        assert first == "RELOADING=1"
        assert second.removeprefix("MONOTONIC_USEC=").isdecimal()
        assert manager.hears() == "READY=1"
        site.process.signal(signal.SIGTERM)
        assert manager.hears() == "STOPPING=1"
        assert site.process.ended() == 0


# Each worker waits at its start until somebody opens the pipe.
WAITING: Final = """
import bff.serve.keeper as keeper
from bff.cli import main
command = keeper.command
keeper.command = lambda: ["/bin/sh", "-c", ': > "$HELD"; exec "$@"', "sh", *command()]
main()
"""


def test_a_service_manager_does_not_hear_of_a_reload_before_the_start_or_after_the_stop(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    manager, held = Manager(str(tmp_path / "notify")), tmp_path / "held"
    os.mkfifo(held)
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "HELD": str(held)}
    parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url, "drain_delay": "1h"}
    with served(tmp_path, env=env, program=("-c", WAITING), **parts) as site:
        site.process.signal(signal.SIGHUP)
        site.process.event("reloaded", pid=site.process.popen.pid)
        held.read_bytes()
        assert manager.hears() == "READY=1"
        site.process.signal(signal.SIGTERM)
        assert manager.hears() == "STOPPING=1"
        site.process.signal(signal.SIGHUP)
        site.process.event("reload_refused")
        site.process.signal(signal.SIGTERM)
        site.process.ended()
        manager.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.hears()
    manager.socket.close()


FAILING: Final = """
import bff.serve.supervisor as supervisor
from bff.cli import main
def fail(*_):
    raise RecursionError("a secret")
supervisor.refuse_what_needs_a_restart = fail
main()
"""


def test_a_service_manager_hears_that_all_is_well_after_a_reload_that_breaks(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, name: str, manager: Manager
) -> None:
    parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url}
    env = {"NOTIFY_SOCKET": name}
    with served(tmp_path, env=env, program=("-c", FAILING), **parts) as site:
        assert manager.hears() == "READY=1"
        site.process.signal(signal.SIGHUP)
        assert manager.hears().startswith("RELOADING=1\n")
        assert manager.hears() == "READY=1"
        assert site.process.event("crashed")["error"] == "RecursionError"
        assert site.process.event("reload_refused")["reason"] == "RecursionError"
        assert "a secret" not in "".join(site.process.output)
        site.ready()


def test_a_service_manager_that_watches_hears_that_it_lives(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    watching = Manager(str(tmp_path / "notify"))
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    with served(tmp_path, issuer=simulator.issuer, store=redis.url, env=env):
        heard = [watching.socket.recv(4096) for _ in range(4)]
    assert heard.count(b"WATCHDOG=1") >= 3
    watching.socket.close()


@pytest.mark.parametrize("address", ["relative", "/nobody/listens/here"])
def test_a_service_manager_that_does_not_listen_is_no_trouble(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, address: str
) -> None:
    env = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "soon"}
    with served(tmp_path, issuer=simulator.issuer, store=redis.url, env=env) as site:
        assert site.ready()["ready"]
