"""GET /live and /ready on the operations address: does the process live, may requests come.

Pure but for the ASGI shell; how the workers are is told by whoever runs them.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from bff.problem import Answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
SILENT_SECONDS: Final = 10.0  # after which a worker that says nothing is not ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker as the supervisor sees it."""

    worker: int
    pid: int | None  # None: it is not running
    troubles: tuple[str, ...]
    heard: float | None  # seconds ago; None: not yet

    def why_not(self) -> tuple[str, ...]:
        """Why it is not ready; nothing if it is."""
        if self.pid is None or self.heard is None:
            return ("starting",)
        return ("silent",) if self.is_mute() else self.troubles

    def is_mute(self) -> bool:
        """Whether it has said nothing, or nothing for too long."""
        return self.heard is None or self.heard > SILENT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """All workers, and whether the process is about to stop."""

    workers: tuple[Worker, ...]
    draining: bool

    def troubles(self) -> list[str]:
        """Why no requests should come, each once; nothing: ready."""
        found = ["draining"] if self.draining else []
        return list(
            dict.fromkeys([*found, *(why for each in self.workers for why in each.why_not())])
        )


def answer(method: str, path: str, health: Health, metrics: Callable[[], bytes]) -> Answer:
    """The answer to a request on the operations address. `metrics`: in Prometheus' text format."""
    if path not in ("/live", "/ready", "/metrics"):
        return _json(404, {"title": "There is nothing here"})
    if method not in ("GET", "HEAD"):
        refused = _json(405, {"title": "The method is not allowed here"})
        refused.headers.append((b"allow", b"GET, HEAD"))
        return refused
    if path == "/metrics":
        return _answer(200, _TEXT, metrics())
    if path == "/live":
        return _json(200, {"live": True})
    troubles = health.troubles()
    workers = [
        {"worker": each.worker, "pid": each.pid, "troubles": list(each.why_not())}
        for each in health.workers
    ]
    document = {"ready": not troubles, "troubles": troubles, "workers": workers}
    return _json(503 if troubles else 200, document)


def _json(status: int, document: object) -> Answer:
    return _answer(status, b"application/json", json.dumps(document).encode() + b"\n")


def _answer(status: int, kind: bytes, body: bytes) -> Answer:
    headers = [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    return Answer(status=status, headers=headers, body=body)


@dataclass(frozen=True, slots=True)
class Operations:
    """The ASGI application of the operations address."""

    health: Callable[[], Health]
    metrics: Callable[[], bytes]
    admin: Callable[[Message, Receive], Awaitable[Answer | None]]  # None: there is no such page

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        said: Answer | None = None
        if scope["path"] == "/admin" or scope["path"].startswith("/admin/"):
            said = await self.admin(scope, receive)
        if said is None:
            said = answer(scope["method"], scope["path"], self.health(), self.metrics)
        await send({"type": "http.response.start", "status": said.status, "headers": said.headers})
        await send({"type": "http.response.body", "body": said.body})
