"""The Store protocol: its contract in words, and nothing else.

Every operation touches one key and is atomic. Times are seconds since the epoch in store time.
A version is a random value chosen by the writer, compared for equality only. Every write carries
a token chosen by the caller (version, lease owner, claim's owner): meeting its own token the
store answers as it did the first time, for answers get lost. A store repeats a call once, by
itself, within its deadline; after that it raises.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from bff.session.record import Deadlines

TOMBSTONE_SECONDS: Final = 600
ENDED_BYTES_SECONDS: Final = 30  # how long an ended record's sealed bytes wait for their owner


class StoreUnavailable(Exception):
    """The store did not answer within its deadline; nothing was asked of it that changes it."""


class OutcomeUnknown(StoreUnavailable):
    """A write was asked for and may have been done: re-read before anything is undone."""


class Live(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record that lives: its version and its deadlines."""

    version: str
    idle_at: float
    absolute_at: float
    refresh_at: float | None
    seen_at: float


class Glimpse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Of a record that lives, as much as must be known on every request."""

    version: str
    seen_at: float


class Question(Protocol):
    """One key that is looked at on every request, and what the store said of it last.

    Whoever asks keeps it, and `Store.prepare` makes it ready. All but `key` is the store's own.
    """

    key: str
    name: bytes  # of the record, as a server knows it
    asks: bytes  # what asks for it
    size: int  # how many fields are asked for
    said: bytes  # the reply that meant `glimpse`
    glimpse: Glimpse | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A tombstone: why the record ended."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A record's version and sealed bytes."""

    version: str
    sealed: bytes = field(repr=False)


class LeaseOutcome(StrEnum):
    """What a process may do about a refresh."""

    GRANTED = "granted"
    GRANTED_AFTER_LAPSE = "granted_after_lapse"  # someone may have spent the refresh token
    HELD = "held"  # another one is at it, or all are to wait
    STALE = "stale"  # the version is another by now
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The answer to `lease`."""

    outcome: LeaseOutcome
    until: float | None = None  # HELD: when to ask again at the latest
    backing_off: bool = False  # HELD: nobody is at it, the provider is to be left alone
    definite_400_at: float | None = None  # when the first definite 400 came
    definite_400_by: str = ""  # the credentials that met it


class Release(StrEnum):
    """How a lease was used."""

    CLEAN = "clean"  # nothing reached the provider, or it said that nothing was done
    UNSURE = "unsure"  # the request may have been processed
    DEFINITE_400 = "definite_400"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAnswer:
    """The answer to `end`: the first reason, and the last sealed bytes for whoever ended it."""

    ended: bool
    reason: str | None
    sealed: bytes | None = field(default=None, repr=False)


class Store(Protocol):
    """Where records live. Every method raises StoreUnavailable; writes also OutcomeUnknown."""

    async def create(
        self, key: str, sealed: bytes, deadlines: Deadlines, *, owner: str, kid: str
    ) -> bool:
        """Write a record under a new version; False where a record or tombstone is already.

        Its first version is `owner`. `kid`, the key id of its cookie, is kept in plain.
        """
        ...

    async def peek(self, key: str) -> Live | Ended | None:
        """What is there, by the cheapest question. None is confirmed, never guessed."""
        ...

    def prepare(self, question: Question) -> None:
        """Make ready what `glance` asks about its key."""
        ...

    def glance(self, question: Question, then: Callable[[Glimpse | None], None]) -> None:
        """Call `then` once, with what lives there, or with None: then `peek` must be asked.

        The same question, as short as it can be and without a task, for those who ask it on every
        request. `then` raises nothing.
        """
        ...

    async def load(self, key: str) -> Loaded | Ended | None:
        """The sealed bytes and their version."""
        ...

    async def touch(self, key: str) -> bool:
        """Slide the idle deadline; the version stays, nothing gone returns. Idempotent.

        A change only from the second half of the idle time on: before that nobody has been warned.
        """
        ...

    async def lease(self, key: str, version: str, *, owner: str, seconds: float) -> Lease:
        """Ask for the right to spend the refresh token of that version, once.

        It lives inside the record and dies with it.
        """
        ...

    async def release(
        self,
        key: str,
        *,
        owner: str,
        how: Release,
        not_before: float | None = None,
        credentials: str = "",
    ) -> None:
        """Give a lease back. UNSURE and the time of the first DEFINITE_400 stay until `replace`.

        `not_before` is a time until which nobody is granted a lease. `credentials` names those
        that met the 400: one that others meet is a first one again.
        """
        ...

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
        """Write over `version` only, if `owner` was the last to be granted the lease; ends it.

        Also after that has lapsed: nobody has presented the refresh token since. Sets the refresh
        deadline, earlier or later; idle and absolute stay. `renewed`: the refresh token is another
        or has proven good, so what is known of a spent or refused one is forgotten; else it stays.
        """
        ...

    async def end(self, key: str, *, owner: str, reason: str) -> EndAnswer:
        """Remove and leave a tombstone, also where nothing was. The first reason stays."""
        ...

    async def end_if(self, key: str, version: str, *, owner: str, reason: str) -> EndAnswer:
        """The same, only over that version and only by the owner of the live lease."""
        ...

    def changes(self) -> AsyncIterator[str | None]:
        """Keys that changed: a hint, never a proof. None after each (re)subscription."""
        ...

    async def note(self, key: str, at: float, *, seconds: float) -> None:
        """Keep the time `at` for `seconds`; of several the latest stays. Idempotent."""
        ...

    async def noted(self, key: str) -> float | None:
        """The latest time that anybody noted there."""
        ...

    async def index_add(self, name: str, key: str, entry: bytes, until: float) -> None:
        """Add `key` with its sealed entry to the set `name` until a time. Prunes, idempotent."""
        ...

    async def index_members(self, names: Sequence[str]) -> list[tuple[str, bytes]]:
        """The (key, entry) pairs of several sets that are not over yet."""
        ...

    def index_names(self) -> AsyncIterator[str]:
        """The names of all sets, some perhaps twice. Slow: for an operator, not for a request."""
        ...

    async def index_remove(self, name: str, key: str) -> None:
        """Remove `key` from the set. Idempotent."""
        ...

    async def ping(self) -> None:
        """Return when the store answers."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
