"""The simulator's control channel as a test sees it: trouble, habits, and what it has seen."""

import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from bff.simulator import Simulator


def client(**more: Any) -> httpx.Client:
    """A client of plain http on loopback: a context that trusts nobody spares reading CA files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(trust_env=False, timeout=30, verify=context, **more)


@dataclass(frozen=True)
class Control:
    simulator: Simulator
    http: httpx.Client

    def do(self, name: str, body: object = None) -> Any:
        answer = self.http.post(f"{self.simulator.control}/{name}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, name: str, **query: object) -> Any:
        answer = self.http.get(f"{self.simulator.control}/{name}", params=query)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, endpoint: str, **fault: object) -> None:
        self.do("faults", {"endpoint": endpoint, **fault})

    def switch(self, **habits: object) -> None:
        self.do("switches", habits)

    def held(self, endpoint: str, count: int = 1) -> None:
        """Return when so many requests are being held there."""
        self.ask("held", endpoint=endpoint, count=count)

    def release(self, endpoint: str) -> None:
        self.do("release", {"endpoint": endpoint})

    def entries(self, endpoint: str, count: int = 0) -> list[dict[str, Any]]:
        """The requests it has dealt with, after `count` of them have come."""
        found = self.ask("ledger", endpoint=endpoint, count=count)["entries"]
        name, _, grant_type = endpoint.partition(":")
        return [
            entry
            for entry in found
            if entry["endpoint"] == name and grant_type in ("", entry["grant_type"])
        ]

    def count(self, endpoint: str) -> int:
        """How many requests it has dealt with."""
        return len(self.entries(endpoint))
