"""The field of a run: the simulator and `bff serve`, all of them real processes."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.peers import SECRET, family, free_port
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
total_timeout = "{total_timeout}"
[session]
store = "{store}"
[keys]
current = {{ env = "BFF_BENCH_KEY" }}
[[routes]]
path = "/api"
upstream = "{api}"
strip = true
[operate]
listen = "127.0.0.1:{operate}"
drain_delay = "0s"
{more}
"""


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
    """One `bff serve`, that can be killed with its workers and started again on its port.

    `more`: further lines of its file, from `[operate]` on.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        store: str,
        simulator: Simulator,
        *,
        workers: int = 1,
        more: str = "",
        total_timeout: str = "2s",
    ) -> None:
        self.name = name
        self.port = free_port()
        self.told: Counter[str] = Counter()
        self.operations = free_port()
        self._workers = workers
        self._file = folder / f"{name}.toml"
        self._file.write_text(
            CONFIG.format(
                origin=ORIGIN, issuer=simulator.issuer, store=store, api=simulator.api,
                operate=self.operations, more=more, total_timeout=total_timeout,
            )
        )  # fmt: skip
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bff", "serve", "--config", str(self._file)),
            *("--port", str(self.port), "--workers", str(self._workers)),
            env={**os.environ, "BFF_BENCH_SECRET": SECRET, "BFF_BENCH_KEY": KEY},
            stdin=DEVNULL,
            stdout=PIPE,
        )
        self._reading = asyncio.create_task(self._read(self._process))

    @property
    def family(self) -> list[int]:
        """The supervisor's process and its workers'."""
        return [] if self._process is None else family(self._process.pid)

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
