"""The Dockerfile's steps end in a tree on which `bff serve` runs as nobody, and writes nothing."""

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bff.keys import new_key
from bff.simulator import Simulator
from tests.parts.config import SECRET, config_text
from tests.parts.redis_process import RedisProcess
from tests.ship.conftest import ROOT
from tests.ship.dockerfile import Stage, carry_out, inside
from tests.wire.serve_process import PATIENCE, QUICK_TO_STOP, running

# In the process that was started, so that its signals reach bff.
BECOME = ("-c", "import os, sys; os.chdir('/'); os.execvp(sys.argv[1], sys.argv[1:])")
READ_ONLY = 'mount -o remount,bind,ro / && exec "$@"'


@dataclass(frozen=True, slots=True)
class Image:
    """What the steps left, and how to start something in it."""

    root: Path
    stage: Stage

    def command(self, *command: str) -> list[str]:
        """As the image's user, with its environment alone, nothing writable (needs root)."""
        env = [f"{name}={value}" for name, value in self.stage.env.items()]
        plain = ["env", "-i", *env, *command]
        if os.getuid() != 0:
            return plain  # the tree's permissions must do
        uid, _, gid = self.stage.user.partition(":")
        nobody = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups"]
        nobody += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        space = ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, "sh"]
        return [*space, *nobody, *plain]

    def said(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*command),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture(scope="module")
def image(open_folder: Path) -> Image:
    return built(open_folder / "image")


def built(root: Path, **arguments: str) -> Image:
    root.mkdir(mode=0o755)
    _, stage = carry_out(ROOT, root, **arguments)
    _shut(root)
    return Image(root, stage)


def _shut(root: Path) -> None:
    """Everybody may read it, nobody may write in it."""
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(root)], check=True)


@pytest.fixture
def configured(image: Image, simulator: Simulator, redis: RedisProcess) -> Path:
    """The file where the image looks for it, with its secrets as files beside it."""
    image.root.chmod(0o755)
    folder = image.root / "etc/bff"
    folder.mkdir(parents=True)
    (folder / "key").write_text(new_key() + "\n")
    (folder / "secret").write_text(SECRET)
    text = config_text(
        issuer=simulator.issuer,
        api=simulator.api,
        store=redis.url,
        provider=QUICK_TO_STOP["provider"],
        session=QUICK_TO_STOP["session"],
        more='[operate]\nlisten = "127.0.0.1:0"\ndrain_delay = "0s"\nstop_deadline = "1s"',
    )
    text = text.replace('{ env = "BFF_TEST_SECRET" }', f'{{ file = "{folder}/secret" }}')
    text = text.replace('{ env = "BFF_TEST_KEY" }', f'{{ file = "{folder}/key" }}')
    (folder / "bff.toml").write_text(text)
    _shut(image.root)
    return folder


def test_it_serves_as_nobody_on_a_read_only_tree(image: Image, configured: Path) -> None:
    entry = image.command(*image.stage.entrypoint, "--port", "0")
    assert f"{configured}/bff.toml" in entry
    with (
        running(*entry, program=BECOME) as process,
        httpx.Client(trust_env=False, timeout=PATIENCE) as http,
    ):
        public = process.event("started")["address"]
        operations = process.event("started", endpoint="operations")["address"]
        assert http.get(operations + "/live").json() == {"live": True}
        port = public.rpartition(":")[2]
        host = {"host": "app.example.com"}
        answer = http.get(f"http://127.0.0.1:{port}/bff/session", headers=host)
        assert answer.json()["reason"] == "not_same_origin"
        image.stage.env["BFF_LIVE"] = operations + "/live"
        assert image.said(*image.stage.healthcheck).returncode == 0
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
    assert image.said(*image.stage.healthcheck).returncode != 0


def test_what_was_installed_is_the_wheel_alone(image: Image) -> None:
    done = image.said("python", "-c", "import bff; print(bff.__file__)")
    assert done.stdout.startswith(inside(image.root, "/opt/bff/lib/"))
    assert image.said("python", "-m", "pip", "--version").returncode != 0


def test_with_the_lock_of_the_page_on_traces_it_can_send_them(
    image: Image, open_folder: Path
) -> None:
    (lock,) = re.findall(r"--build-arg LOCK=(\S+)", (ROOT / "docs/traces.md").read_text())
    sends = ("python", "-c", "import bff.serve.otlp")
    assert "No module named 'opentelemetry'" in image.said(*sends).stderr
    done = built(open_folder / "traces", LOCK=lock).said(*sends)
    assert done.returncode == 0, done.stderr


def test_its_user_can_write_nothing_of_it(image: Image) -> None:
    uid = int(image.stage.user.partition(":")[0])
    assert uid >= 10000  # no user of the machine that runs it
    found = image.said("/usr/bin/find", str(image.root), "-writable", "!", "-type", "l")
    assert (found.returncode, found.stdout) == (0, "")


def test_only_what_the_build_copies_is_sent_to_it() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    text = (ROOT / "Dockerfile").read_text()
    copies = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
    wanted = {name.removeprefix("./") for names in copies for name in names if "/opt" not in name}
    assert {line[1:] for line in lines if line.startswith("!")} == {
        name for name in wanted if not name.startswith("--")
    }
