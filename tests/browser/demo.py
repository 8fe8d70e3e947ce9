"""`bff dev` as a process, as whoever types `make demo` has it."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import httpx

from tests.canary import RECORDER
from tests.parts.control import client
from tests.parts.redis_process import free_port


@dataclass(frozen=True)
class Demo:
    """Where its parts are: two sites, since a site is a host and ports do not count."""

    port: int
    provider: str
    http: httpx.Client

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def control(self, name: str, body: object) -> None:
        answer = self.http.post(f"{self.provider}/control/{name}", json=body)
        assert answer.status_code == 200, answer.text

    def count(self, endpoint: str) -> int:
        """How many requests the provider has dealt with there since the last reset."""
        found = self.http.get(f"{self.provider}/control/ledger").json()["entries"]
        return sum(each["endpoint"] == endpoint for each in found)

    def secrets(self) -> dict[str, list[str]]:
        """Every code, token, state, nonce, challenge, verifier and client secret so far."""
        found: dict[str, list[str]] = self.http.get(f"{self.provider}/control/secrets").json()
        for kind, values in found.items():
            for value in values:
                RECORDER.secret(kind, value)
        return found

    def replay(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request as a script of our own page would make it, without a browser."""
        headers = {
            "host": f"localhost:{self.port}",
            "origin": self.origin,
            "sec-fetch-site": "same-origin",
            "x-csrf": "1",
            **more.pop("headers", {}),
        }
        return self.http.request(
            method, f"http://127.0.0.1:{self.port}{path}", headers=headers, **more
        )

    def answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.replay("GET", "/bff/session").status_code == 200
        return False


def _record(output: IO[str]) -> None:
    for line in output:
        RECORDER.told(line, "bff dev")


@contextlib.contextmanager
def demo() -> Iterator[Demo]:
    """Runs until the block ends, then Ctrl-C."""
    port, provider_port, api_port = free_port(), free_port(), free_port()
    command = [sys.executable, "-m", "bff", "dev", "--port", str(port)]
    command += ["--provider-port", str(provider_port), "--api-port", str(api_port)]
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
        client() as http,
    ):
        assert process.stdout is not None
        output = threading.Thread(target=_record, args=(process.stdout,), daemon=True)
        output.start()
        found = Demo(port, f"http://127.0.0.1:{provider_port}", http)
        try:
            deadline = time.monotonic() + 60
            while not found.answers():
                assert process.poll() is None, "`bff dev` has ended"
                assert time.monotonic() < deadline, "`bff dev` does not answer"
                time.sleep(0.05)
            yield found
            found.secrets()  # so that the canaries know them
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=30)
            output.join()
        assert status in (0, 130), f"`bff dev` ended with {status}"
