"""The field of a chaos run: Redis that keeps a log on disk, the simulator, `bff serve` processes.

All are real processes. Redis can lose the last moment of its log, as a power cut makes it lose
what was written and not yet synced: killing the process alone loses nothing, the kernel has it.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter, deque
from pathlib import Path
from typing import Any

from benchmarks.peers import SECRET, family, free_port, wait_for
from bff.keys import new_key

ORIGIN = "http://localhost:8480"  # as Host says; each process listens on a port of its own
KEY = new_key()
CONFIG = """
origin = "{origin}"
[provider]
issuer = "{issuer}"
client_id = "spa"
client_secret = {{ env = "BFF_BENCH_SECRET" }}
scopes = ["openid", "profile", "email", "offline_access"]
connections = 1000
total_timeout = "2s"
[session]
store = "redis://127.0.0.1:{redis}/0"
[keys]
current = {{ env = "BFF_BENCH_KEY" }}
[[routes]]
path = "/api"
upstream = "{api}"
strip = true
[operate]
listen = "127.0.0.1:{operate}"
drain_delay = "0s"
"""


class Redis:
    """One Redis with an append-only file. `sync`: always or everysec."""

    def __init__(self, folder: Path, sync: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._sync = sync
        self._process: subprocess.Popen[bytes] | None = None
        self._sizes: deque[tuple[float, int]] = deque(maxlen=600)

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--save", "", "--appendonly", "yes"]
        command += ["--appendfsync", self._sync, "--auto-aof-rewrite-percentage", "0"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self.port)

    def stop(self, *, kill: bool = False, lose: float = 0.0) -> None:
        """End it; `lose`: seconds at the end of its log that never reached the disk."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self._process.wait()
        self._process = None
        if lose and self._sizes:
            now = self._sizes[-1][0]
            kept = [size for at, size in self._sizes if at <= now - lose]
            if kept:
                os.truncate(self._log(), kept[-1])
            self._sizes.clear()

    async def watch(self) -> None:
        """For ever: how long the log was, and when."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(OSError, ValueError):
                self._sizes.append((loop.time(), self._log().stat().st_size))
            await asyncio.sleep(0.05)

    def _log(self) -> Path:
        return max(self._folder.glob("appendonlydir/*.incr.aof"))


class Simulator:
    """The provider and the API, as a process."""

    def __init__(self, process: Process, where: dict[str, str]) -> None:
        self._process = process
        self.issuer, self.api, self.control = where["issuer"], where["api"], where["control"]

    @classmethod
    async def start(cls, token_seconds: int) -> "Simulator":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bff.simulator", "--issuer-port", "0", "--api-port", "0"),
            *("--redirect-uri", f"{ORIGIN}/bff/callback"),
            *("--switches", json.dumps({"access_token_seconds": token_seconds})),
            env={**os.environ, "SIMULATOR_CLIENT_SECRET": SECRET},
            stdout=PIPE,
            stderr=DEVNULL,  # it speaks of every peer that was killed in mid-request
        )
        assert process.stdout is not None
        return cls(process, json.loads(await process.stdout.readline()))

    async def stop(self) -> None:
        self._process.terminate()
        await self._process.wait()


class Bff:
    """One `bff serve`, that can be killed with its worker and started again on its port."""

    def __init__(self, name: str, folder: Path, redis_port: int, simulator: Simulator) -> None:
        self.name = name
        self.port = free_port()
        self.told: Counter[str] = Counter()
        self._file = folder / f"{name}.toml"
        self._file.write_text(
            CONFIG.format(
                origin=ORIGIN, issuer=simulator.issuer, redis=redis_port, api=simulator.api,
                operate=free_port(),
            )
        )  # fmt: skip
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bff", "serve", "--config", str(self._file)),
            *("--port", str(self.port)),
            env={**os.environ, "BFF_BENCH_SECRET": SECRET, "BFF_BENCH_KEY": KEY},
            stdin=DEVNULL,
            stdout=PIPE,
        )
        self._reading = asyncio.create_task(self._read(self._process))

    async def kill(self) -> None:
        """-9, the supervisor first: it would start another worker."""
        if self._process is None or self._reading is None:
            return
        for pid in family(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._process.wait()
        await self._reading
        self._process = None

    async def _read(self, process: Process) -> None:
        """Count what it tells, by event and what it says of it."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                told: dict[str, Any] = json.loads(line)
                why = told.get("reason") or told.get("error") or ""
                self.told[f"{told['event']} {why}".strip()] += 1
