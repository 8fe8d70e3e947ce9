"""A real Redis process on a free port, that can be stopped, hung, killed and started again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RedisProcess:
    port: int
    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [shutil.which("redis-server") or "redis-server", *self._arguments()]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if b"Ready to accept connections" in line or b"Sentinel ID is" in line:
                return
        self.stop()
        raise RuntimeError("Redis did not start")

    def _arguments(self) -> list[str]:
        if "--sentinel" in self.options:  # it keeps what it learns in its file
            file = self.folder / "sentinel.conf"
            file.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n")
            return [str(file), *self.options]
        return [
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            *self.options,
        ]

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def hang(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def do(self, *command: str | int) -> Any:
        """Have it do a command."""
        with contextlib.closing(self.client()) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def client(self) -> "redis.Redis":
        return redis.Redis(port=self.port, protocol=2)

    def dump(self) -> bytes:
        """Every key and value that Redis holds, as one run of octets."""
        with contextlib.closing(self.client()) as client:
            found: list[Any] = []  # redis-py's types leave room for decoded answers
            for key in client.scan_iter(count=1000):
                found.append(key)
                if client.type(key) == b"hash":
                    found += [part for pair in client.hgetall(key).items() for part in pair]
                else:
                    found += client.zrange(key, 0, -1)
            return b"\n".join(found)

    def flush(self) -> None:
        with contextlib.closing(self.client()) as client:
            client.flushall()


@contextlib.contextmanager
def redis_process(*options: str) -> Iterator[RedisProcess]:
    with tempfile.TemporaryDirectory(prefix="bff-redis-") as folder:
        process = RedisProcess(free_port(), Path(folder), options)
        process.start()
        try:
            yield process
        finally:
            process.stop()


def has_redis() -> bool:
    return shutil.which("redis-server") is not None and os.access("/", os.R_OK)
