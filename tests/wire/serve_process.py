"""`bff` as a process of its own: its output is read line by line, so that nothing has to sleep."""

import contextlib
import json
import os
import pty
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import httpx

from tests.canary import RECORDER
from tests.parts.config import config_text

# As short a stop as there may be: it must leave a refresh its time.
QUICK_TO_STOP = {
    "stop_deadline": "1s",
    "provider": 'total_timeout = "250ms"',
    "session": 'store_deadline = "250ms"',
}
PATIENCE = 30.0  # seconds until something that must come is given up


def run(
    *arguments: str, env: dict[str, str] | None = None, says: str = ""
) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself; `says`: what is typed at it."""
    done = subprocess.run(
        [sys.executable, "-m", "bff", *arguments],
        capture_output=True,
        input=says,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **(env or {})},
        check=False,
    )
    RECORDER.told(done.stdout + done.stderr, "process")
    return done


@dataclass
class Process:
    """A `bff serve` or `bff dev` that is running."""

    popen: subprocess.Popen[bytes]
    said: TextIO
    output: list[str] = field(default_factory=list)
    fresh: "queue.Queue[str | None]" = field(default_factory=queue.Queue)

    def read(self) -> None:
        with contextlib.suppress(OSError):  # so ends what a terminal has to say
            for line in self.said:
                RECORDER.told(line, "process")
                self.output.append(line)
                self.fresh.put(line)
        self.fresh.put(None)

    def line(self, wanted: Callable[[str], bool]) -> str:
        """The next line of output that is wanted."""
        while (line := self.fresh.get(timeout=PATIENCE)) is not None:
            if wanted(line):
                return line
        raise AssertionError(f"ended without that line: {self.output}")

    def event(self, name: str, **fields: object) -> dict[str, Any]:
        """The next line of the log about that, with those fields."""

        def wanted(line: str) -> bool:
            if not line.startswith("{"):
                return False
            told: dict[str, Any] = json.loads(line)
            return told["event"] == name and fields.items() <= told.items()

        found: dict[str, Any] = json.loads(self.line(wanted))
        return found

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def ended(self) -> int:
        return self.popen.wait(timeout=PATIENCE)


@contextlib.contextmanager
def running(
    *arguments: str,
    program: Sequence[str] = ("-m", "bff"),
    env: Mapping[str, str] | None = None,
    hands: Sequence[int] = (),
    terminal: bool = False,
) -> Iterator[Process]:
    """`hands`: descriptors that it inherits; `terminal`: it writes to one, and not to a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    popen = subprocess.Popen(
        [sys.executable, *program, *arguments],
        env={**os.environ, **(env or {})},
        stdout=theirs,
        stderr=subprocess.STDOUT,
        pass_fds=hands,
    )
    os.close(theirs)
    process = Process(popen, os.fdopen(ours))
    reading = threading.Thread(target=process.read, daemon=True)
    reading.start()
    try:
        yield process
    finally:
        # In order if it can: what was covered in it is written at its end.
        popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(timeout=PATIENCE)
        popen.kill()
        popen.wait()
        reading.join()
        process.said.close()


@dataclass
class Served:
    """A `bff serve` that listens, and its operations address."""

    process: Process
    public: str
    operations: str
    http: httpx.Client

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.http.get(self.public + path, headers={"host": "app.example.com"}, **more)

    def health(self) -> dict[str, Any]:
        document: dict[str, Any] = self.http.get(self.operations + "/ready").json()
        return document

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask for the health until it is as wanted. Each report of a worker may change it."""
        for _ in range(int(PATIENCE / 0.05)):
            health = self.health()
            if wanted(health):
                return health
            threading.Event().wait(0.05)
        raise AssertionError(f"never: {self.health()}")

    def ready(self) -> dict[str, Any]:
        return self.until(lambda health: bool(health["ready"]))


def command(folder: Path, operate: str = "", **parts: str) -> tuple[str, ...]:
    """`bff serve` on free ports, with the configuration of the tests."""
    more = f'[operate]\nlisten = "127.0.0.1:0"\n{operate}{parts.pop("more", "")}'
    file = folder / "bff.toml"
    file.write_text(config_text(**{"api": "http://127.0.0.1:9", **parts, "more": more}))
    return ("serve", "--config", str(file), "--port", "0")


@contextlib.contextmanager
def served(
    folder: Path,
    *,
    workers: int = 1,
    drain_delay: str = "0s",
    stop_deadline: str = "22s",
    program: Sequence[str] = ("-m", "bff"),
    env: Mapping[str, str] | None = None,
    hands: Sequence[int] = (),
    **parts: str,
) -> Iterator[Served]:
    """That command, when it listens."""
    operate = f'drain_delay = "{drain_delay}"\nstop_deadline = "{stop_deadline}"\n'
    arguments = (*command(folder, operate, **parts), "--workers", str(workers))
    with (
        running(*arguments, program=program, env=env, hands=hands) as process,
        httpx.Client(trust_env=False, timeout=PATIENCE) as http,
    ):
        public = process.event("started")["address"]
        operations = process.event("started", endpoint="operations")["address"]
        yield Served(process, public, operations, http)
