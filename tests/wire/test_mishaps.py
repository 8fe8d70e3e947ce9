"""What goes wrong beside a request: nobody is served less for it than has to be."""

import signal
from pathlib import Path

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
