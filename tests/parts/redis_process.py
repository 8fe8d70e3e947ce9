"""A real Redis process on a free port, that can be stopped, hung, killed and started again."""

import contextlib
import os
import secrets
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
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.canary import RECORDER
from tests.parts.certificates import Authority


def free_port() -> int:
    """A port nobody listens on. Below those that the kernel gives: it may lend none of these."""
    while True:
        port = 12_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class RedisProcess:
    port: int
    folder: Path
    options: tuple[str, ...] = ()
    tls: Authority | None = None  # then it speaks nothing else
    password: str | None = None  # that it demands
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        scheme, host = ("redis", "127.0.0.1") if self.tls is None else ("rediss", "localhost")
        return f"{scheme}://{host}:{self.port}/0"

    def start(self, *more: str, until: bytes = b"Ready to accept connections") -> None:
        """Return when it has said that, or that it is a sentinel."""
        command = [shutil.which("redis-server") or "redis-server", *self._arguments(), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.says(until, b"Sentinel ID is")

    def says(self, *wanted: bytes) -> None:
        """Return when it has said one of these."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if any(each in line for each in wanted):
                return
        self.stop()
        raise RuntimeError("Redis did not start")

    def _arguments(self) -> list[str]:
        if "--sentinel" in self.options:  # it keeps what it learns in its file
            file = self.folder / "sentinel.conf"
            file.write_text("sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n")
            return [str(file), *self._common(), *self.options]
        saving = ("--save", "", "--appendonly", "no", "--daemonize", "no")
        return [*self._common(), *saving, *self.options]

    def _common(self) -> list[str]:
        found = ["--bind", "127.0.0.1", "--dir", str(self.folder)]
        if self.password is not None:
            found += ["--requirepass", self.password]
        if self.tls is None:
            return [*found, "--port", str(self.port)]
        return [
            *found,
            *("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(self.tls.certificate), "--tls-key-file", str(self.tls.key)),
            *("--tls-ca-cert-file", str(self.tls.ca), "--tls-replication", "yes"),
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
        """One that asks once: by itself it would ask a Redis that is loading again and again."""
        more: dict[str, Any] = {"password": self.password, "retry": Retry(NoBackoff(), 0)}
        if self.tls is not None:
            more |= {"ssl": True, "ssl_ca_certs": str(self.tls.ca), "ssl_check_hostname": True}
        return redis.Redis(port=self.port, protocol=2, **more)

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
def redis_process(
    *options: str, tls: Authority | None = None, password: str | None = None
) -> Iterator[RedisProcess]:
    with tempfile.TemporaryDirectory(prefix="bff-redis-") as folder:
        process = RedisProcess(free_port(), Path(folder), options, tls, password)
        process.start()
        try:
            yield process
            if process.process is not None and "--sentinel" not in options:
                process.resume()
                with contextlib.suppress(redis.RedisError):  # full, or of somebody else's types
                    RECORDER.dumped(process.dump())
        finally:
            process.stop()


def has_redis() -> bool:
    return shutil.which("redis-server") is not None and os.access("/", os.R_OK)
