"""Every command of a `sh` block is run, or named here with the reason why it is not.

`bff` runs on a file of these tests, beside a Redis and a provider; what serves is a process of its
own, and is ended when it serves. `make` says what it would do. What is run as a whole has a test of
its own.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from bff.cli import main
from bff.keys import new_key
from bff.simulator import Simulator
from tests.canary import RECORDER
from tests.parts.config import SECRET
from tests.parts.redis_process import RedisProcess, free_port
from tests.ship.conftest import ROOT
from tests.ship.fenced import BLOCKS, Block, every
from tests.wire.serve_process import running

# What cannot be run here, by how it begins, and what stands for it.
ELSEWHERE: Final = {
    "python3 -m venv /opt/bff": "writes to /opt: test_container.py runs the Dockerfile's",
    "/opt/bff/bin/pip install": "the same",
    "docker build": "needs a daemon: test_container.py carries out the same steps",
    "docker compose": "needs a daemon: test_manifests.py reads the file by its published schema",
    "kubectl apply": "needs a cluster: test_manifests.py reads what it would apply by its schema",
    "nginx -t": "reads the system's own file: test_docs_nginx.py has it read ours",
    "pip install": "asks a registry: tests/wire/test_traces.py runs with the extra",
    "cd example-spa && npm install": "asks a registry: tests/spa/test_package.py makes the package",
}
PEOPLE: Final = '[[accounts]]\nsub = "17"\nname = "Mira Okafor"\n'
PORTS: Final = {"serve": ("--port",), "dev": ("--port", "--provider-port", "--api-port")}
OPERATORS: Final = frozenset({"|", ">", ">>", "&&"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where the commands run: a folder with the files that they name."""

    folder: Path
    simulator: Simulator
    env: dict[str, str]


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, redis_server: RedisProcess
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("operator")
    for spa in (folder, folder.parent / "shop/dist"):
        spa.mkdir(parents=True, exist_ok=True)
        (spa / "index.html").write_text("<!doctype html>")
    (folder / "people.toml").write_text(PEOPLE)
    if redis_server.process is None:
        redis_server.start()
    for name, store, port in (
        ("bff.toml", redis_server.url, 8000),
        ("bff.dev.toml", "memory:", free_port()),
    ):
        (folder / name).write_text(file(simulator, store, port, folder))
    here = Path.cwd()
    os.chdir(folder)
    yield Place(folder, simulator, {"BFF_CLIENT_SECRET": SECRET, "BFF_KEY": new_key()})
    os.chdir(here)


def file(simulator: Simulator, store: str, port: int, folder: Path) -> str:
    return f"""
origin = "http://localhost:{port}"
provider.issuer = "{simulator.issuer}"
provider.client_id = "spa"
provider.client_secret = {{ env = "BFF_CLIENT_SECRET" }}
session.store = "{store}"
keys.current = {{ env = "BFF_KEY" }}
routes = [
  {{ path = "/api", upstream = "{simulator.api}" }},
  {{ path = "/", static = "{folder}" }},
]
operate.listen = "127.0.0.1:0"
operate.drain_delay = "0s"
"""


def commands(block: Block) -> list[list[str]]:
    """The command lines of a block as words, without their comments."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run_as_a_whole(block: Block) -> str | None:
    """The file of the tests that runs it line after line, and names its page."""
    if "$1" in block.text:
        return "secret_files.py"  # for test_manifests.py
    return "test_docs_tutorial.py" if block.page == "docs/tutorial.md" else None


def is_elsewhere(words: list[str]) -> bool:
    return " ".join(words).startswith(tuple(ELSEWHERE))


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    blocks = (block for block in BLOCKS if block.language == "sh")
    typed = [" ".join(words) for block in blocks for words in commands(block)]
    assert [each for each in ELSEWHERE if not any(line.startswith(each) for line in typed)] == []


@every("sh")
def test_it_can_be_typed(block: Block, place: Place) -> None:
    if (there := run_as_a_whole(block)) is not None:
        assert f'"{block.page}"' in (Path(__file__).parent / there).read_text()
        return
    for words in commands(block):
        if not is_elsewhere(words):
            assert words[0] in RUNNERS, f"nothing runs {words[0]}"
            run = _shell if OPERATORS & set(words) else RUNNERS[words[0]]
            run(words, place)


_seen: set[tuple[str, ...]] = set()  # a line that several pages have is run once


def _bff(words: list[str], place: Place) -> None:
    if tuple(words) in _seen:
        return
    _seen.add(tuple(words))
    if words[1] in ("serve", "dev"):
        _serves(words, place)
        return
    done = CliRunner().invoke(main, words[1:], env=place.env, input="y\n")
    RECORDER.told(done.output, "process")
    assert done.exit_code == 0, done.output


def _serves(words: list[str], place: Place) -> None:
    arguments = [*words[1:]]
    for option in PORTS[words[1]]:  # of two that are given, click takes the last
        arguments += [option, "0"]
    if words[1] == "dev" and not {"--config", "--spa"} & set(arguments):
        arguments += ["--spa", "."]
    with running(*arguments, env=place.env) as process:
        process.line(lambda line: '"started"' in line or "Ctrl-C" in line)
        process.signal(signal.SIGTERM)
        assert process.ended() == 0, process.output


def _make(words: list[str], _place: Place) -> None:
    _runs(["make", "--dry-run", "--directory", str(ROOT), *words[1:]])


def _curl(words: list[str], place: Place) -> None:
    """Of the provider that runs here."""
    there = [each.replace("http://127.0.0.1:9400", place.simulator.issuer) for each in words[1:]]
    _runs(["curl", "--silent", "--show-error", "--fail", *there])


def _shell(words: list[str], _place: Place) -> None:
    line = " ".join(each if each in OPERATORS else shlex.quote(each) for each in words)
    _runs(["sh", "-e", "-c", line])


def _itself(words: list[str], _place: Place) -> None:
    _runs(words)


def _runs(words: list[str]) -> None:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


RUNNERS: Final[dict[str, Callable[[list[str], Place], None]]] = {
    "bff": _bff,
    "make": _make,
    "curl": _curl,
    "openssl": _itself,
}
