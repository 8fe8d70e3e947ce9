"""Trouble on demand: which request it hits, when, and requests that are held until released.

The register decides and waits; `watch` applies what it says. Faults of one endpoint queue up: the
first one with a count left takes the request, so "503, then 500, then well" is two faults.
"""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from starlette.responses import JSONResponse, Response


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of trouble; what is left out does not happen.

    `at` is the moment for all of it: before the request is processed, or after, when the peer does
    not know that it was. `status` or `drop` before processing means that nothing is processed."""

    endpoint: str
    at: Literal["before", "after"] = "before"
    count: int | None = None  # how many requests it hits; without one, until cleared
    delay: float = 0.0  # seconds
    hold: bool = False  # until POST /control/release
    drop: bool = False  # the connection closes without an answer
    status: int | None = None
    error: str | None = None  # sent as {"error": …}
    body: str | None = None  # sent instead
    content_type: str = "application/json"
    retry_after: int | None = None  # seconds
    departure: str | None = None  # a named wrong answer, from the endpoint's own table

    @property
    def prevents(self) -> bool:
        """Whether the endpoint never sees the request."""
        return self.at == "before" and (self.drop or self.status is not None)

    @property
    def troubles_connection(self) -> bool:
        """Whether it needs a request of its own to happen to."""
        return bool(self.hold or self.delay or self.drop or self.status is not None)

    def answer(self, status: int) -> Response:
        """What the peer gets instead of the truth."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.error is not None:
            return JSONResponse({"error": self.error}, status, headers)
        return Response(self.body or "", status, headers, self.content_type)


NO_FAULT: Final = Fault(endpoint="")


@dataclass(slots=True, kw_only=True)
class _Pending:
    fault: Fault
    left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    names: tuple[str, ...]
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Faults:
    """The register of one provider; its waiting belongs to one event loop."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._pending: dict[str, _Pending] = {}
        self._held: list[_Held] = []
        self._changed = asyncio.Condition()

    def add(self, fault: Fault) -> str:
        """The id under which the ledger will name it."""
        name = f"fault-{next(self._numbers)}"
        self._pending[name] = _Pending(fault=fault, left=fault.count)
        return name

    def take(self, names: tuple[str, ...]) -> tuple[str | None, Fault]:
        """The first fault that waits for a request of one of these names."""
        for name, pending in self._pending.items():
            if pending.fault.endpoint in names and pending.left != 0:
                if pending.left is not None:
                    pending.left -= 1
                return name, pending.fault
        return None, NO_FAULT

    def clear(self, endpoint: str | None = None) -> None:
        """Removes the faults of an endpoint, or all of them."""
        self._pending = {
            name: pending
            for name, pending in self._pending.items()
            if endpoint not in (None, pending.fault.endpoint)
        }

    def report(self) -> dict[str, object]:
        """Faults that are set, and how often each will still hit."""
        return {
            name: {**msgspec.to_builtins(pending.fault), "left": pending.left}
            for name, pending in self._pending.items()
        }

    async def suffer(self, names: tuple[str, ...], fault: Fault) -> None:
        """Waits as long as the fault wants; a release ends a delay as well."""
        if not fault.hold and not fault.delay:
            return
        held = _Held(names=names)
        await self._note(held)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if fault.hold else fault.delay):
                    await held.released.wait()
        finally:
            self._held.remove(held)

    async def wait_held(self, endpoint: str, count: int) -> None:
        """Returns when `count` requests of that name are being held or delayed."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.held(endpoint) >= count)

    def held(self, endpoint: str) -> int:
        """How many requests of that name are being held or delayed."""
        return sum(endpoint in held.names for held in self._held)

    def release(self, endpoint: str | None = None, count: int | None = None) -> int:
        """How many requests go on now: the oldest first."""
        mine = [
            held
            for held in self._held
            if not held.released.is_set() and (endpoint is None or endpoint in held.names)
        ][:count]
        for held in mine:
            held.released.set()
        return len(mine)

    async def _note(self, held: _Held) -> None:
        async with self._changed:
            self._held.append(held)
            self._changed.notify_all()
