"""The tutorial, typed from its first line to its last; ports and folders are those of this test."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

import pytest
import redis

from tests.canary import RECORDER
from tests.parts.browser import browsing
from tests.parts.redis_process import RedisProcess, free_port
from tests.parts.site import Site
from tests.ship.conftest import ROOT
from tests.ship.fenced import BLOCKS
from tests.wire.serve_process import running

PAGE: Final = "docs/tutorial.md"
OF_IT: Final = [block for block in BLOCKS if block.page == PAGE]
DEMO, *SETTING_UP, SERVE = (block.text for block in OF_IT if block.language == "sh")
(CONFIGURATION,) = (block.text for block in OF_IT if block.language == "toml")
ELSEWHERE: Final = '\n[operate]\nlisten = "127.0.0.1:0"\ndrain_delay = "0s"\n'
# A reader is slower than a provider starts.
SLOWLY: Final = "until curl -sf http://127.0.0.1:9400/control/switches >/dev/null; do :; done\n"


@dataclass(frozen=True, slots=True)
class Reader:
    """The folder in which they type, and their ports by those of the tutorial."""

    folder: Path
    ports: dict[str, str]

    def here(self, text: str) -> str:
        provider = "python -m bff.simulator"  # which listens where it does unless told
        text = text.replace(provider, f"{provider} --issuer-port 9400 --api-port 9401")
        return re.sub("|".join(self.ports), lambda port: self.ports[port[0]], text)

    @property
    def site(self) -> Site:
        """As far as a browser looks at it."""
        host = f"localhost:{self.ports['8080']}"
        seen = SimpleNamespace(
            origin=f"http://{host}",
            host=host,
            port=int(self.ports["8080"]),
            settle=lambda: None,
        )
        return cast(Site, seen)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        secret = (self.folder / "secret").read_text()
        RECORDER.secret("client_secrets", secret)
        arguments = self.here(SERVE).split()[1:]
        with running(*arguments, env={"BFF_CLIENT_SECRET": secret}) as process:
            process.event("started")
            yield
            process.signal(signal.SIGINT)
            assert process.ended() == 0, process.output


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Somebody who has come as far as the last command."""
    found = Reader(tmp_path, {port: str(free_port()) for port in ("8080", "9400", "9401", "6379")})
    monkeypatch.chdir(tmp_path)
    skipped = shutil.ignore_patterns("node_modules")
    shutil.copytree(ROOT / "example-spa", tmp_path / "example-spa", ignore=skipped)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text(f'PATH="{Path(sys.executable).parent}:$PATH"\n')
    (tmp_path / "bff.toml").write_text(found.here(CONFIGURATION) + ELSEWHERE)
    first, *rest = SETTING_UP
    script = found.here("".join([first, SLOWLY, *rest, 'printf %s "$BFF_CLIENT_SECRET" > secret']))
    with open(tmp_path / "said", "w+") as said:
        typed = subprocess.Popen(
            ["bash", "-e", "-c", script], stdout=said, stderr=said, start_new_session=True
        )
        try:
            status = typed.wait(timeout=60)
            said.seek(0)
            text = said.read()
            RECORDER.told(text, "process")
            assert status == 0, text
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(typed.pid, signal.SIGTERM)  # the provider, left in the background
            typed.wait()
            with contextlib.suppress(redis.ConnectionError):
                RedisProcess(int(found.ports["6379"]), tmp_path).do("SHUTDOWN", "NOSAVE")


def test_the_demo_can_be_typed() -> None:
    command = ["make", "--dry-run", "--directory", str(ROOT), *DEMO.split()[1:]]
    subprocess.run(command, check=True, capture_output=True)


def test_whoever_types_it_signs_in_and_stays_so_over_a_restart(reader: Reader) -> None:
    with browsing(reader.site) as browser:
        with reader.serving():
            assert "<!doctype html>" in browser.navigate("/").text.lower()
            browser.sign_in()
            assert browser.fetch("GET", "/api/tasks").status_code == 200
        with reader.serving():
            session = browser.fetch("GET", "/bff/session").json()
            assert session["claims"]["name"] == "Ada Lovelace"
            assert browser.fetch("POST", "/bff/logout").status_code == 200
            assert browser.fetch("GET", "/api/tasks").status_code == 401
