"""The Store inside one process: the default of `bff dev`, and the contract's second witness.

It yields before and after each operation, returns copies and expires by the clock, so that code
tested on it meets the same interleavings as on Redis.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from bff.clock import Clock
from bff.session.deadline import ConnectionLost, within
from bff.session.entries import Record, Tombstone
from bff.session.record import Deadlines
from bff.session.store import (
    ENDED_BYTES_SECONDS,
    EndAnswer,
    Ended,
    Glimpse,
    Lease,
    LeaseOutcome,
    Live,
    Loaded,
    Question,
    Release,
)

T = TypeVar("T")

Hook = Callable[[str, str], Awaitable[None]]  # (operation, "before" | "after"); may raise


async def _nothing_special(_operation: str, _stage: str) -> None:
    await asyncio.sleep(0)


class MemoryStore:
    """Records in a dict. `hook` runs around each operation: tests lose answers and delay there."""

    def __init__(
        self, clock: Clock, *, deadline: float = 1.0, hook: Hook = _nothing_special
    ) -> None:
        self._clock = clock
        self._deadline = deadline
        self._hook = hook
        self._entries: dict[str, Record | Tombstone] = {}
        self._index: dict[str, dict[str, tuple[bytes, float]]] = {}
        self._notes: dict[str, tuple[float, float]] = {}  # (the time, kept until)
        self._listeners: set[asyncio.Queue[str | None]] = set()

    async def create(
        self, key: str, sealed: bytes, deadlines: Deadlines, *, owner: str, kid: str
    ) -> bool:
        """Write a record under a new version, unless something is there."""

        def create() -> bool:
            now = self._clock.now()
            entry = self._entry(key)
            if entry is not None:
                return isinstance(entry, Record) and entry.created_by == owner
            self._entries[key] = Record(
                version=owner,
                sealed=sealed,
                created_by=owner,
                kid=kid,
                idle=deadlines.idle,
                idle_at=now + deadlines.idle,
                absolute_at=deadlines.absolute,
                refresh_at=deadlines.refresh,
                seen_at=now,
            )
            self._changed(key)
            return True

        return await self._call("create", create, writes=True)

    async def peek(self, key: str) -> Live | Ended | None:
        """What is there."""

        return await self._call("peek", lambda: self._peek(key), writes=False)

    def _peek(self, key: str) -> Live | Ended | None:
        entry = self._entry(key)
        if entry is None or isinstance(entry, Tombstone):
            return None if entry is None else Ended(reason=entry.reason)
        return Live(
            version=entry.version,
            idle_at=entry.idle_at,
            absolute_at=entry.absolute_at,
            refresh_at=entry.refresh_at,
            seen_at=entry.seen_at,
        )

    def prepare(self, question: Question) -> None:
        """There is nothing to it but the key."""

    def glance(self, question: Question, then: Callable[[Glimpse | None], None]) -> None:
        """The hot question without a task; where a test makes trouble, `peek` is to meet it."""

        def answer() -> None:
            there = self._peek(question.key) if self._hook is _nothing_special else None
            if isinstance(there, Live):
                then(Glimpse(version=there.version, seen_at=there.seen_at))
            else:
                then(None)

        asyncio.get_running_loop().call_soon(answer)

    async def load(self, key: str) -> Loaded | Ended | None:
        """The sealed bytes and their version."""

        def load() -> Loaded | Ended | None:
            entry = self._entry(key)
            if entry is None or isinstance(entry, Tombstone):
                return None if entry is None else Ended(reason=entry.reason)
            return Loaded(version=entry.version, sealed=entry.sealed)

        return await self._call("load", load, writes=False)

    async def touch(self, key: str) -> bool:
        """Slide the idle deadline."""

        def touch() -> bool:
            entry = self._entry(key)
            if not isinstance(entry, Record):
                return False
            entry.seen_at = self._clock.now()
            if entry.idle_at - entry.seen_at < entry.idle / 2:  # somebody may have been warned
                self._changed(key)
            entry.idle_at = entry.seen_at + entry.idle
            return True

        return await self._call("touch", touch, writes=True)

    async def lease(self, key: str, version: str, *, owner: str, seconds: float) -> Lease:
        """Ask for the right to refresh."""

        def lease() -> Lease:
            entry = self._entry(key)
            if not isinstance(entry, Record):
                return Lease(outcome=LeaseOutcome.GONE)
            return entry.lease(version, owner, self._clock.now(), seconds)

        return await self._call("lease", lease, writes=True)

    async def release(
        self,
        key: str,
        *,
        owner: str,
        how: Release,
        not_before: float | None = None,
        credentials: str = "",
    ) -> None:
        """Give a lease back."""

        def release() -> None:
            entry = self._entry(key)
            if not isinstance(entry, Record) or entry.lease_owner != owner:
                return
            entry.lease_owner, entry.lease_until = None, 0.0
            entry.not_before = not_before or 0.0
            if how is Release.UNSURE:
                entry.maybe_spent = True
            elif how is Release.DEFINITE_400:
                entry.definite_400(self._clock.now(), credentials)
            self._changed(key)

        await self._call("release", release, writes=True)

    async def replace(
        self,
        key: str,
        version: str,
        sealed: bytes,
        *,
        owner: str,
        new_version: str,
        refresh_at: float | None,
        renewed: bool = True,
    ) -> bool:
        """Write over that version under the last lease."""

        def replace() -> bool:
            entry = self._entry(key)
            if not isinstance(entry, Record):
                return False
            if entry.version == new_version:
                return True
            if entry.version != version or entry.lease_owner != owner:
                return False
            entry.version, entry.sealed = new_version, sealed
            entry.refresh_at = refresh_at
            entry.lease_owner, entry.lease_until = None, 0.0
            if renewed:
                entry.maybe_spent, entry.definite_400_at, entry.not_before = False, None, 0.0
            self._changed(key)
            return True

        return await self._call("replace", replace, writes=True)

    async def end(self, key: str, *, owner: str, reason: str) -> EndAnswer:
        """Remove and leave a tombstone."""
        return await self._call("end", lambda: self._end(key, owner, reason), writes=True)

    async def end_if(self, key: str, version: str, *, owner: str, reason: str) -> EndAnswer:
        """Remove that version under the live lease."""

        def end_if() -> EndAnswer:
            entry = self._entry(key)
            if isinstance(entry, Record):
                fits = entry.version == version and entry.leased_by(owner, self._clock.now())
                return (
                    self._end(key, owner, reason) if fits else EndAnswer(ended=False, reason=None)
                )
            if isinstance(entry, Tombstone):
                return self._end(key, owner, reason)
            return EndAnswer(ended=False, reason=None)

        return await self._call("end_if", end_if, writes=True)

    def _end(self, key: str, owner: str, reason: str) -> EndAnswer:
        now = self._clock.now()
        entry = self._entry(key)
        if isinstance(entry, Tombstone):
            mine = entry.owner == owner and now < entry.at + ENDED_BYTES_SECONDS
            sealed = entry.sealed if mine else None
            return EndAnswer(ended=entry.owner == owner, reason=entry.reason, sealed=sealed)
        sealed = entry.sealed if entry is not None else None
        self._entries[key] = Tombstone(reason=reason, owner=owner, sealed=sealed, at=now)
        self._changed(key)
        return EndAnswer(ended=True, reason=reason, sealed=sealed)

    async def changes(self) -> AsyncIterator[str | None]:
        """Keys that changed."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield None
            while True:
                key = await queue.get()
                with contextlib.suppress(ConnectionLost):  # a dropped message
                    await self._hook("changes", "before")
                    yield key
        finally:
            self._listeners.discard(queue)

    async def note(self, key: str, at: float, *, seconds: float) -> None:
        """Keep the latest time."""

        def note() -> None:
            latest = max(at, self._noted(key) or at)
            self._notes[key] = (latest, self._clock.now() + seconds)

        await self._call("note", note, writes=True)

    async def noted(self, key: str) -> float | None:
        """The latest time that was noted."""
        return await self._call("noted", lambda: self._noted(key), writes=False)

    def _noted(self, key: str) -> float | None:
        at, until = self._notes.get(key, (None, 0.0))
        return at if until > self._clock.now() else None

    async def index_add(self, name: str, key: str, entry: bytes, until: float) -> None:
        """Add to a set, pruning what is over."""

        def add() -> None:
            now = self._clock.now()
            kept = {k: v for k, v in self._index.get(name, {}).items() if v[1] > now}
            self._index[name] = {**kept, key: (entry, until)}

        await self._call("index_add", add, writes=True)

    async def index_members(self, names: Sequence[str]) -> list[tuple[str, bytes]]:
        """The members of several sets."""

        def members() -> list[tuple[str, bytes]]:
            now = self._clock.now()
            return [
                (key, entry)
                for name in names
                for key, (entry, until) in self._index.get(name, {}).items()
                if until > now
            ]

        return await self._call("index_members", members, writes=False)

    async def index_names(self) -> AsyncIterator[str]:
        """The names of all sets."""
        for name in await self._call("index_names", lambda: list(self._index), writes=False):
            yield name

    async def index_remove(self, name: str, key: str) -> None:
        """Remove from a set."""

        def remove() -> None:
            self._index.get(name, {}).pop(key, None)

        await self._call("index_remove", remove, writes=True)

    async def ping(self) -> None:
        """Always answers."""
        await self._call("ping", lambda: None, writes=False)

    async def close(self) -> None:
        """Nothing to close."""

    def _entry(self, key: str) -> Record | Tombstone | None:
        entry = self._entries.get(key)
        if entry is not None and entry.end() <= self._clock.now():
            del self._entries[key]
            return None
        return entry

    def _changed(self, key: str) -> None:
        for queue in self._listeners:
            queue.put_nowait(key)

    async def _call(self, operation: str, do: Callable[[], T], *, writes: bool) -> T:
        async def ask() -> T:
            await self._hook(operation, "before")
            answer = do()
            await self._hook(operation, "after")
            return answer

        return await within(self._deadline, ask, operation=operation, writes=writes)
