"""The systemd unit: systemd understands it, and bff runs under what it says."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from bff.config.model import Operate
from bff.keys import new_key
from bff.serve.supervisor import GRACE
from bff.simulator import Simulator
from tests.parts.config import SECRET, config_text
from tests.parts.redis_process import RedisProcess
from tests.ship.conftest import ROOT
from tests.wire.serve_process import QUICK_TO_STOP, running
from tests.wire.test_life import Manager

UNIT = ROOT / "config/bff.service"
MANUAL = (ROOT / "docs/deploy.md").read_text()
# PR_SET_MDWE, by which systemd, too, has the kernel refuse memory that is written and then run.
REFUSING = (
    "-c",
    "import ctypes, os, sys;"
    "assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0;"
    "os.execv(sys.executable, [sys.executable, '-m', 'bff', *sys.argv[1:]])",
)


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
        found[name].append(value)
    return found


def seconds(value: str) -> int:
    return int(value.removesuffix("s"))


@pytest.fixture
def as_installed(tmp_path: Path) -> Path:
    """With a program that is there."""
    file = tmp_path / "bff.service"
    program = Path(sys.executable).parent / "bff"
    file.write_text(UNIT.read_text().replace("/opt/bff/bin/bff", str(program)))
    return file


def analyzed(*arguments: str | Path) -> str:
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_no_fault_in_it(as_installed: Path) -> None:
    assert analyzed("verify", "--man=no", as_installed) == ""


def test_systemd_finds_no_fault_in_its_socket(tmp_path: Path, as_installed: Path) -> None:
    (tmp_path / "bff.socket").write_text((ROOT / "config/bff.socket").read_text())
    assert analyzed("verify", "--man=no", tmp_path / "bff.socket", as_installed) == ""


def test_systemd_finds_it_hardly_exposed(as_installed: Path) -> None:
    analyzed("security", "--offline=true", "--threshold=20", as_installed)  # of 100


def test_it_says_what_the_manual_and_the_defaults_say() -> None:
    found = settings()
    assert found["Type"] == ["notify"]
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert found["DynamicUser"] == found["NoNewPrivileges"] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]
    needed = Operate().drain_delay + Operate().stop_deadline + GRACE
    assert seconds(found["TimeoutStopSec"][0]) >= needed
    credentials = {each.partition(":")[0] for each in found["LoadCredential"]}
    assert credentials == set(re.findall(r"/run/credentials/bff\.service/([\w-]+)", MANUAL))


def test_bff_runs_and_reloads_and_stops_under_it(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    found = settings()
    for name, text in (("client-secret", SECRET), ("key", new_key()), ("store", redis.url)):
        (tmp_path / name).write_text(text + "\n")
    (config,) = re.findall(r"```toml\n(provider\.client_secret.*?)```", MANUAL, re.DOTALL)
    plain = config_text(issuer=simulator.issuer, api=simulator.api, **_quick())
    for key, place in re.findall(r"\.(\w+) = (\{.*\})", config):
        plain = re.sub(rf"^{key} = .*$", f"{key} = {place}", plain, flags=re.MULTILINE)
    plain = plain.replace("/run/credentials/bff.service", str(tmp_path))
    (tmp_path / "bff.toml").write_text(plain)
    arguments = shlex.split(found["ExecStart"][0])[1:]
    arguments = [each.replace("/etc/bff", str(tmp_path)) for each in arguments]
    usec = seconds(found["WatchdogSec"][0]) * 1_000_000
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(usec)}
    manager = Manager(env["NOTIFY_SOCKET"])
    try:
        with running(*arguments, "--port", "0", program=REFUSING, env=env) as process:
            assert manager.hears() == "READY=1"
            pid = str(process.popen.pid)
            reload = found["ExecReload"][0].replace("$MAINPID", pid)
            subprocess.run(shlex.split(reload), check=True)
            assert manager.hears().startswith("RELOADING=1")
            assert manager.hears() == "READY=1"
            os.kill(process.popen.pid, signal.SIGTERM)
            assert manager.hears() == "STOPPING=1"
            assert process.ended() == 0
    finally:
        manager.socket.close()


def _quick() -> dict[str, str]:
    operate = '[operate]\nlisten = "127.0.0.1:0"\ndrain_delay = "0s"\nstop_deadline = "1s"'
    return {
        "provider": QUICK_TO_STOP["provider"],
        "session": QUICK_TO_STOP["session"],
        "more": operate,
    }
