"""One process that refreshes, step by step: what it knows, what it holds, what it does next.

The steps of `bff.session.refresh`, each by itself, so that anything may happen between two of
them. What an answer of the provider means is read from the product's own tables.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from bff.provider.token_answer import TokenAnswer
from bff.session.steps import ENDS, RELEASES, STEPS, Step
from bff.session.store import Lease, LeaseOutcome, Loaded, Release
from tests.model.bench import Bench, Trouble
from tests.model.ledger import Ledger

# Seconds. Time moves by hundreds and none of these is one, so that no two ends ever coincide, and
# the seconds that a real Redis needs meanwhile decide nothing.
LEASE = 950.0
BUDGET = 520.0  # of the whole token request and the write after it
BACK_OFF = 150.0
LATE = 2050.0  # after the lease, for which its owner goes on writing


class Fate(StrEnum):
    """What becomes of a token request."""

    ANSWERED = "answered"
    ANSWER_LOST = "processed, its answer lost"
    NEVER_ARRIVED = "never arrived, which nobody can know"
    NOT_CONNECTED = "not even connected"
    CLIENT_REFUSED = "the client refused"
    DEFINITE_400 = "a 400 that says nothing"


_UNPROCESSED = {
    Fate.NEVER_ARRIVED: TokenAnswer.UNSURE,
    Fate.NOT_CONNECTED: TokenAnswer.PASSING,
    Fate.CLIENT_REFUSED: TokenAnswer.CLIENT_REFUSED,
    Fate.DEFINITE_400: TokenAnswer.DEFINITE_400,
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """What somebody asked of the store that may change the record."""

    operation: str
    ask: Callable[[], Awaitable[object]]
    trouble: Trouble
    owner: str = ""
    version: str = ""
    new_version: str = ""
    reason: str = ""
    until: float = 0.0  # the end of the lease under which it was asked


@dataclass(frozen=True, kw_only=True)
class Known:
    """The record as it was read."""

    version: str
    token: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """A lease in hand, and how far its owner has come with it."""

    known: Known
    owner: str
    until: float
    warned: bool
    sent_at: float | None = None
    answer: TokenAnswer | None = None
    new_token: int = 0


class Actor:
    """What is remembered between two steps; a crash forgets it all."""

    def __init__(self, name: str, key: str, bench: Bench, ledger: Ledger) -> None:
        self.known: Known | None = None
        self.held: Held | None = None
        self._name = name
        self._key = key
        self._bench = bench
        self._ledger = ledger
        self._leases = 0

    @property
    def believes(self) -> bool:
        """Whether it holds a lease that lives, as far as it can tell."""
        return self.held is not None and self.held.until > self._bench.time

    @property
    def asked_at(self) -> float | None:
        """Since when its token request has been under way."""
        held = self.held
        return None if held is None or held.answer is not None else held.sent_at

    def crash(self) -> None:
        """Everything is forgotten."""
        self.known = self.held = None

    def step(self, trouble: Trouble, fate: Fate) -> Call | None:
        """Go one step; what was asked of the store, if it may change the record."""
        held, known = self.held, self.known
        if held is not None:
            if held.sent_at is None:
                return self._present(held, trouble)
            if held.answer is not None:
                return self._conclude(held, held.answer, trouble)
            self.hear(fate)
        elif known is not None:
            return self._lease(known, trouble)
        else:
            self.read()
        return None

    def read(self) -> None:
        """Read the record."""
        there = self._bench.ask(lambda: self._bench.store.load(self._key))
        self.known = None
        if isinstance(there, Loaded):
            self.known = Known(version=there.version, token=int(there.sealed))

    def hear(self, fate: Fate) -> None:
        """The end of the token request."""
        held = self.held
        assert held is not None
        answer, given = _UNPROCESSED.get(fate, TokenAnswer.UNSURE), None
        if fate not in _UNPROCESSED:
            given = self._ledger.grant.take(held.known.token)
            if fate is Fate.ANSWERED:
                answer = TokenAnswer.INVALID_GRANT if given is None else TokenAnswer.GRANTED
        self.held = replace(held, answer=answer, new_token=given or 0)

    def _lease(self, known: Known, trouble: Trouble) -> Call:
        self._leases += 1
        owner, asked_at = f"{self._name}-{self._leases}", self._bench.time
        if trouble is not Trouble.NEVER_DONE:
            self._ledger.may_hold(known.version, owner)

        async def ask() -> Lease:
            store = self._bench.store
            return await store.lease(self._key, known.version, owner=owner, seconds=LEASE)

        lease = self._bench.ask(ask, trouble)
        if lease is None:
            return Call(operation="lease", ask=ask, trouble=trouble)
        match lease.outcome:
            case LeaseOutcome.GRANTED | LeaseOutcome.GRANTED_AFTER_LAPSE as outcome:
                warned = outcome is LeaseOutcome.GRANTED_AFTER_LAPSE
                until = asked_at + LEASE
                self.held = Held(known=known, owner=owner, until=until, warned=warned)
                self._ledger.leased[known.version] = owner
            case LeaseOutcome.HELD:
                self._ledger.holds_no_more(known.version, owner)
            case LeaseOutcome.STALE | LeaseOutcome.GONE:
                self._ledger.holds_no_more(known.version, owner)
                self.known = None
        return Call(operation="lease", ask=ask, trouble=trouble)

    def _present(self, held: Held, trouble: Trouble) -> Call | None:
        """Send the refresh token, if enough is left of the lease; else give that back."""
        if held.until - self._bench.time < BUDGET:
            return self._release(held, Release.CLEAN, 0.0, trouble)
        self._ledger.leaves(held.known.token, warned=held.warned)
        self.held = replace(held, sent_at=self._bench.time)
        return None

    def _conclude(self, held: Held, answer: TokenAnswer, trouble: Trouble) -> Call:
        step = STEPS[answer, held.warned]
        if step is Step.STORE:
            return self._replace(held, trouble)
        if step in ENDS:
            return self._end_if(held, ENDS[step].value, trouble)
        return self._release(held, RELEASES[step], BACK_OFF, trouble)

    def _replace(self, held: Held, trouble: Trouble) -> Call:
        """Write the new token; while nobody knows whether it was written, ask again."""
        version, new = held.known.version, f"{held.owner}-wrote"
        sealed = str(held.new_token).encode()

        async def ask() -> bool:
            return await self._bench.store.replace(
                self._key, version, sealed, owner=held.owner, new_version=new, refresh_at=None
            )

        asked_again = self._bench.time < held.until + LATE
        written = self._bench.ask(ask, trouble)
        if written is not None or not asked_again:
            self.held = None
            self.known = Known(version=new, token=held.new_token) if written else None
        return Call(
            operation="replace", ask=ask, trouble=trouble, owner=held.owner, version=version,
            new_version=new, until=held.until,
        )  # fmt: skip

    def _end_if(self, held: Held, reason: str, trouble: Trouble) -> Call:
        version = held.known.version

        async def ask() -> object:
            store = self._bench.store
            return await store.end_if(self._key, version, owner=held.owner, reason=reason)

        self._bench.ask(ask, trouble)
        self.crash()  # ended, or to be read anew
        return Call(
            operation="end_if", ask=ask, trouble=trouble, owner=held.owner, version=version,
            reason=reason, until=held.until,
        )  # fmt: skip

    def _release(self, held: Held, how: Release, back_off: float, trouble: Trouble) -> Call:
        wait = self._bench.time + back_off

        async def ask() -> None:
            await self._bench.store.release(
                self._key,
                owner=held.owner,
                how=how,
                not_before=self._bench.store_time(wait) if back_off else None,
            )

        if how is not Release.UNSURE and trouble.done and self.believes:
            self._ledger.holds_no_more(held.known.version, held.owner)
        self._bench.ask(ask, trouble)
        self.held = None
        return Call(operation="release", ask=ask, trouble=trouble)
