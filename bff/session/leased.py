"""The right to ask the provider about one session: one process at a time has it.

Under `refresh` and `route_tokens`, which say what is to be asked. The winner of the lease asks and
writes what came before anybody uses it; everyone else waits and re-reads.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bff.clock import Clock
from bff.config.lease import lease_seconds
from bff.config.load import FrontEnd
from bff.problem import Reason, Refused
from bff.provider.server import AuthorizationServer
from bff.session.background import Background
from bff.session.opened import Found, Opened
from bff.session.store import (
    Lease,
    LeaseOutcome,
    OutcomeUnknown,
    Release,
    Store,
    StoreUnavailable,
)
from bff.session.watch import POLL, Watch

GIVEN_BACK: Final = (0.0, 1.0, 3.0)  # seconds before each time that a lease in doubt is given back


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A lease in hand: who holds it, and until when by our own monotonic clock."""

    owner: str
    until: float
    maybe_spent: bool
    definite_400_at: float | None  # store time
    definite_400_by: str


class Errand(Protocol):
    """What the lease is wanted for."""

    def is_due(self, found: Found) -> bool:
        """Whether it is still to be done: another process may have done it."""
        ...

    def is_urgent(self, found: Found) -> bool:
        """Whether somebody cannot go on before it is done."""
        ...

    async def do(self, found: Found, owned: Owned) -> Found | Refused | None:
        """Do it under the lease, and give that back; None: look again."""
        ...


class Leases:
    """Runs errands about the sessions of one front end at one provider."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        store: Store,
        opened: Opened,
        watch: Watch,
        server: AuthorizationServer,
        clock: Clock,
        background: Background,
    ) -> None:
        self._background = background
        self._store = store
        self._opened = opened
        self._watch = watch
        self._server = server
        self._clock = clock
        self._seconds = lease_seconds(
            frontend.refresh.lease,
            server.config.total_timeout,
            frontend.session.store_deadline,
        )
        # Whoever began together with an owner that died is there when its lease has lapsed.
        self.patience = self._seconds + 2 * POLL

    async def run(self, found: Found, errand: Errand) -> Found | Refused:
        """Do the errand, or wait for whoever does; the session as it is then."""
        deadline = time.monotonic() + self.patience
        try:
            while True:
                result = await self._attempt(found, errand)
                if result is not None:
                    return result
                found = await self._opened.find(found.session_id)
                if not errand.is_due(found):
                    return found
                if time.monotonic() > deadline:
                    return Refused(Reason.PROVIDER_UNAVAILABLE)
        except Refused as refused:
            return refused
        except StoreUnavailable:
            return Refused(Reason.STORE_UNAVAILABLE)

    async def _attempt(self, found: Found, errand: Errand) -> Found | Refused | None:
        """One try for the lease; None: look again."""
        asked_at = time.monotonic()
        if (wait := self._server.restraint.wait(asked_at)) > 0:
            return _left_alone(found, errand, wait)
        owner = secrets.token_hex(12)
        try:
            lease = await self._store.lease(
                found.key, found.version, owner=owner, seconds=self._seconds
            )
        except OutcomeUnknown:
            self._background.run(self._give_back(found.key, owner))
            raise
        match lease.outcome:
            case LeaseOutcome.HELD:
                return await self._wait(found, lease, errand)
            case LeaseOutcome.STALE | LeaseOutcome.GONE:
                return None
            case LeaseOutcome.GRANTED | LeaseOutcome.GRANTED_AFTER_LAPSE:
                owned = Owned(
                    owner=owner,
                    until=asked_at + self._seconds,
                    maybe_spent=lease.outcome is LeaseOutcome.GRANTED_AFTER_LAPSE,
                    definite_400_at=lease.definite_400_at,
                    definite_400_by=lease.definite_400_by,
                )
                return await errand.do(found, owned)

    async def _give_back(self, key: str, owner: str) -> None:
        """Nothing was presented under it, so nobody is to wait for its end.

        More than once: it may be granted yet, by a store that was frozen.
        """
        for pause in GIVEN_BACK:
            await asyncio.sleep(pause)
            with contextlib.suppress(StoreUnavailable):
                await self._store.release(key, owner=owner, how=Release.CLEAN)

    async def _wait(self, found: Found, lease: Lease, errand: Errand) -> Found | Refused | None:
        left = (lease.until or 0.0) - self._clock.now()
        if lease.backing_off or not errand.is_urgent(found):
            return _left_alone(found, errand, left)
        await self._watch.changed(found.key, min(max(left, 0.01), POLL))
        return None


def _left_alone(found: Found, errand: Errand, seconds: float) -> Found | Refused:
    """What a request gets while nobody is to ask, or another one is at it: no hurry ahead."""
    if not errand.is_urgent(found):
        return found
    return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(seconds)))


class Tasks:
    """One task for each key, which all who want the same join."""

    def __init__(self, background: Background, patience: float) -> None:
        self._background = background
        self._patience = patience
        self._running: dict[str, asyncio.Task[Found | Refused]] = {}

    def start(
        self, key: str, work: Callable[[], Coroutine[Any, Any, Found | Refused]]
    ) -> asyncio.Task[Found | Refused]:
        """The task of that key: the one that runs, or a new one that does the work."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = self._background.start(work())
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return task

    async def joined(self, task: asyncio.Task[Found | Refused]) -> Found | Refused:
        """What comes of it. Its owner may be writing for longer than anybody waits."""
        # Not cancelled with us: a browser that goes away does not end a refresh.
        await asyncio.wait([task], timeout=self._patience)
        return task.result() if task.done() else Refused(Reason.STORE_UNAVAILABLE)
