"""What goes wrong beside a request: nobody is served less for it than has to be."""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from bff.simulator import Simulator
from tests.parts.certificates import authority
from tests.parts.raw import villain
from tests.parts.redis_process import RedisProcess
from tests.wire.serve_process import PATIENCE, Served, served


def pids(site: Served) -> list[int]:
    return [each["pid"] for each in site.health()["workers"]]


def reload(site: Served, folder: Path) -> None:
    """Serve another configuration, as far as anybody can see who compares them."""
    file = folder / "bff.toml"
    file.write_text(file.read_text().replace("[operate]\n", "[operate]\ntrace_ratio = 0.5\n"))
    site.process.signal(signal.SIGHUP)
    site.process.event("reloaded", pid=site.process.popen.pid)


def test_a_reload_while_the_provider_hangs_ends_no_worker(
    tmp_path: Path, redis: RedisProcess
) -> None:
    with villain() as hangs:
        hangs.script(*[lambda *_: None] * 4)
        with served(tmp_path, workers=2, issuer=hangs.url, store=redis.url) as site:
            for _ in range(2):  # each worker is asking for its metadata
                assert hangs.arrived.acquire(timeout=PATIENCE)
            before = pids(site)
            reload(site, tmp_path)
            for _ in range(2):  # and asks on behalf of what it serves now
                assert hangs.arrived.acquire(timeout=PATIENCE)
            assert site.get("/bff/session").status_code == 403
            assert pids(site) == before
            assert "worker_died" not in "".join(site.process.output)


def test_a_file_that_has_gone_when_a_worker_comes_to_it_leaves_what_was_served(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    ca = authority(tmp_path / "tls", "localhost").ca
    with villain() as upstream:
        routes = f"""
[[routes]]
path = "/open"
upstream = "{upstream.url}"
auth = "none"
[[routes]]
path = "/far"
upstream = "https://localhost:9"
ca_file = "{ca}"
"""
        parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url}
        with served(tmp_path, routes=routes, **parts) as site:
            site.ready()
            (worker,) = pids(site)
            os.kill(worker, signal.SIGSTOP)
            file = tmp_path / "bff.toml"
            file.write_text(file.read_text().replace('"/open"', '"/elsewhere"'))
            reload(site, tmp_path)
            ca.rename(tmp_path / "away")
            os.kill(worker, signal.SIGCONT)
            assert site.process.event("crashed")["error"] == "FileNotFoundError"
            headers = {"host": "app.example.com", "x-csrf": "1"}
            assert site.http.get(site.public + "/open/x", headers=headers).status_code == 200
            (tmp_path / "away").rename(ca)
            site.process.signal(signal.SIGHUP)
            site.process.event("reloaded", pid=worker)
            assert site.http.get(site.public + "/open/x", headers=headers).status_code == 404


def test_a_worker_that_cannot_be_started_for_want_of_descriptors_comes_later(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with served(tmp_path, workers=2, issuer=simulator.issuer, store=redis.url) as site:
        site.ready()
        killed, other = pids(site)
        supervisor = site.process.popen.pid
        limits = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(killed, signal.SIGKILL)
        site.process.event("worker_died", code=-signal.SIGKILL)
        for _ in range(2):
            site.process.event("worker_died", error="EMFILE")
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, limits)
        site.ready()
        assert pids(site)[1] == other


# Where there are no processes to be had there are no threads either; root has no such limit.
SCARCE: Final = """
from threading import Thread
start, scarce = Thread.start, [True]
def try_to_start(thread):
    if scarce and scarce.pop():
        raise RuntimeError("can't start new thread")
    start(thread)
Thread.start = try_to_start
from bff.cli import main
main()
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="asyncio needs no thread for a child")
def test_a_worker_that_cannot_be_waited_for_is_replaced(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    program, store = ("-c", SCARCE), redis.url
    with served(tmp_path, program=program, issuer=simulator.issuer, store=store) as site:
        site.process.event("worker_died", error="EAGAIN")
        site.ready()
