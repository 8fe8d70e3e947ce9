"""The Redis of a chaos run: a master and its replica that keep logs on disk, and a sentinel.

All are real processes. All of them can lose power together, and with it the last moment of their
logs: what was written and not yet synced. Killing a process alone loses nothing of its log, the
kernel has it. What is here blocks; an event loop calls it from a thread.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis as redis_client
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.peers import free_port, wait_for

PATIENCE = 60.0  # seconds until what must come is given up
SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor main 127.0.0.1 {master} 1
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 2000
"""


def until(wanted: Callable[[], bool]) -> None:
    """Ask again until it is so."""
    end = time.monotonic() + PATIENCE
    while not wanted():
        if time.monotonic() > end:
            raise RuntimeError("Redis did not come to where it was wanted")
        time.sleep(0.05)


class Server:
    """One Redis process; `command` is what it is started with."""

    def __init__(self, folder: Path, *command: str) -> None:
        folder.mkdir()
        self.port = free_port()
        self.folder = folder
        self.command = list(command)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        self._process = subprocess.Popen(
            ["redis-server", *self.command, *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.port)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def do(self, *command: str | int) -> Any:
        client: Any = redis_client.Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0))
        with contextlib.closing(client):
            return client.execute_command(*command)


class Keeper(Server):
    """One that keeps what it is told. `sync`: always or everysec."""

    def __init__(self, folder: Path, sync: str) -> None:
        super().__init__(folder)
        self.command = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self.command += ["--save", "", "--appendonly", "yes", "--appendfsync", sync]
        self.command += ["--auto-aof-rewrite-percentage", "0", "--repl-diskless-sync-delay", "0"]
        self._sizes: deque[tuple[float, Path, int]] = deque(maxlen=600)

    def follow(self, master: Server) -> tuple[str, str, str]:
        """What it is started with as a replica of that one."""
        return ("--replicaof", "127.0.0.1", str(master.port))

    def measure(self) -> None:
        """Note how long the log is now."""
        with contextlib.suppress(OSError, ValueError):
            log = self._log()
            self._sizes.append((time.monotonic(), log, log.stat().st_size))

    def lose(self, seconds: float) -> None:
        """What it wrote so shortly before it was killed never reached the disk."""
        log = self._log()
        of_it = [(at, size) for at, path, size in self._sizes if path == log]
        if seconds and of_it:
            kept = [size for at, size in of_it if at <= of_it[-1][0] - seconds]
            os.truncate(log, kept[-1] if kept else of_it[0][1])
        self._sizes.clear()

    def _log(self) -> Path:
        logs = self.folder.glob("appendonlydir/*.incr.aof")
        return max(logs, key=lambda log: int(log.name.split(".")[2]))


class Group:
    """Master, replica and sentinel."""

    def __init__(self, folder: Path, sync: str) -> None:
        self.servers = [Keeper(folder / f"redis-{number}", sync) for number in range(2)]
        place = folder / "sentinel"
        file = place / "sentinel.conf"
        self.sentinel = Server(place, str(file), "--sentinel")
        text = SENTINEL.format(
            port=self.sentinel.port, folder=place, master=self.servers[0].port
        )  # from now on it keeps there what it learns
        file.write_text(text)

    def start(self) -> None:
        first, second = self.servers
        first.start()
        second.start(*second.follow(first))
        self.sentinel.start()
        until(self.ready)

    def stop(self) -> None:
        for server in (self.sentinel, *self.servers):
            server.kill()

    @property
    def master(self) -> Keeper:
        """Whom the sentinel names."""
        _, port = self.sentinel.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return next(each for each in self.servers if each.port == int(port))

    def _other(self, master: Keeper) -> Keeper:
        return next(each for each in self.servers if each is not master)

    def ready(self) -> bool:
        """Whether the sentinel knows a replica that could take over."""
        facts = [
            dict(zip(each[::2], each[1::2], strict=True))
            for each in self.sentinel.do("SENTINEL", "REPLICAS", "main")
        ]
        return any(
            (each[b"flags"], each[b"master-link-status"]) == (b"slave", b"ok") for each in facts
        ) and self._follows(self._other(self.master))

    def _settled(self) -> bool:
        """Whether whom the sentinel names has its replica; whoever follows another is told."""
        with contextlib.suppress(redis_client.RedisError):  # it may be loading
            master = self.master
            replica = self._other(master)
            role = replica.do("ROLE")
            # The sentinel would tell it as well, ten seconds later.
            if role[0] != b"slave" or int(role[2]) != master.port:
                replica.do("REPLICAOF", "127.0.0.1", master.port)
            return master.do("ROLE")[0] == b"master" and self._follows(replica)
        return False

    def _follows(self, replica: Keeper) -> bool:
        role = replica.do("ROLE")
        return bool(role[0] == b"slave" and role[3] == b"connected")

    def fail_over(self) -> Keeper:
        """As planned; returns who has been the master."""
        before = self.master
        self.sentinel.do("SENTINEL", "FAILOVER", "main")
        until(lambda: self.master is not before)
        until(self._settled)
        return before

    def kill_master(self) -> Keeper:
        """-9; returns who has been the master, which is back as a replica."""
        before = self.master
        before.kill()
        until(lambda: self.master is not before)
        before.start(*before.follow(self.master))
        until(self._settled)
        return before

    def lose_power(self, seconds: float) -> Keeper:
        """All of them, and what they wrote in the last seconds; returns the master, still down."""
        master = self.master
        self.stop()
        for server in self.servers:
            server.lose(seconds)
        return master

    def regain_power(self, master: Keeper) -> None:
        replica = self._other(master)
        master.start()
        until(lambda: self._loaded(master))
        replica.start(*replica.follow(master))
        self.sentinel.start()
        until(self._settled)

    def _loaded(self, server: Keeper) -> bool:
        with contextlib.suppress(redis_client.RedisError):
            return server.do("GET", "nothing") is None
        return False
