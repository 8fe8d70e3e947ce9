"""Several `bff serve` processes on one store, as a load balancer would have them behind it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from tests.parts.browser import Browser
from tests.parts.control import client
from tests.parts.site import Site
from tests.wire.serve_process import Served, served

ORIGIN = "https://app.example.com"


@dataclass(frozen=True)
class Replica:
    """One of them. A browser takes it for a site: it asks for no more than is here."""

    served: Served

    @property
    def origin(self) -> str:
        return ORIGIN

    @property
    def host(self) -> str:
        return ORIGIN.partition("://")[2]

    @property
    def port(self) -> int:
        port = urlsplit(self.served.public).port
        assert port is not None
        return port

    def settle(self, seconds: float = 0.5) -> None:
        """What goes on in another process is not ours to wait for."""

    @contextlib.contextmanager
    def browsing(self, like: Browser | None = None) -> Iterator[Browser]:
        """A browser; with the cookies of another, if that is who it is."""
        with client() as http:
            browser = Browser(cast("Site", self), http)
            if like is not None:
                browser.cookies = dict(like.cookies)
            yield browser

    def kill(self) -> None:
        """kill -9. The supervisor is held first: it would start another worker at once."""
        workers = [worker["pid"] for worker in self.served.health()["workers"]]
        supervisor = self.served.process.popen
        supervisor.send_signal(signal.SIGSTOP)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        supervisor.kill()
        supervisor.wait()


@contextlib.contextmanager
def replicas(folder: Path, count: int = 2, **parts: Any) -> Iterator[list[Replica]]:
    """So many, ready to serve."""
    # Else the bound on logins of one address would be met by the tests themselves.
    parts["provider"] = "connections = 1000\n" + parts.get("provider", "")
    with contextlib.ExitStack() as stack:
        found = []
        for number in range(count):
            place = folder / f"replica-{number}"
            place.mkdir(exist_ok=True)
            found.append(Replica(stack.enter_context(served(place, **parts))))
        for each in found:
            each.served.ready()
        yield found
