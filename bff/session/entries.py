"""What the memory store keeps at a key: a record or a tombstone. Times in store time."""

from dataclasses import dataclass, field

from bff.session.store import TOMBSTONE_SECONDS, Lease, LeaseOutcome


@dataclass(slots=True, kw_only=True)
class Record:
    """A record that lives, and its lease."""

    version: str
    sealed: bytes = field(repr=False)
    created_by: str
    kid: str
    idle: float
    idle_at: float
    absolute_at: float
    refresh_at: float | None
    seen_at: float
    lease_owner: str | None = None
    lease_until: float = 0.0
    maybe_spent: bool = False
    definite_400_at: float | None = None
    definite_400_by: str = ""
    not_before: float = 0.0

    def end(self) -> float:
        """When it is over."""
        ends = (self.idle_at, self.absolute_at, self.refresh_at)
        return min(end for end in ends if end is not None)

    def leased_by(self, owner: str, now: float) -> bool:
        """Whether `owner` holds the live lease."""
        return self.lease_owner == owner and self.lease_until > now

    def lease(self, version: str, owner: str, now: float, seconds: float) -> Lease:
        """What `owner` gets who asks for the lease over that version."""
        if self.version != version:
            return Lease(outcome=LeaseOutcome.STALE)
        if not self.leased_by(owner, now):
            if self.lease_owner is not None and self.lease_until > now:
                return Lease(outcome=LeaseOutcome.HELD, until=self.lease_until)
            if self.not_before > now:
                return Lease(
                    outcome=LeaseOutcome.HELD,
                    until=self.not_before,
                    backing_off=True,
                    definite_400_at=self.definite_400_at,
                    definite_400_by=self.definite_400_by,
                )
            self.maybe_spent = self.maybe_spent or self.lease_owner is not None
            self.lease_owner, self.lease_until = owner, now + seconds
        outcome = LeaseOutcome.GRANTED_AFTER_LAPSE if self.maybe_spent else LeaseOutcome.GRANTED
        return Lease(
            outcome=outcome,
            definite_400_at=self.definite_400_at,
            definite_400_by=self.definite_400_by,
        )

    def definite_400(self, now: float, credentials: str) -> None:
        """Keep when the first one came that these credentials met."""
        if self.definite_400_at is None or self.definite_400_by != credentials:
            self.definite_400_at, self.definite_400_by = now, credentials


@dataclass(slots=True, kw_only=True)
class Tombstone:
    """What a record leaves."""

    reason: str
    owner: str
    sealed: bytes | None = field(repr=False)
    at: float

    def end(self) -> float:
        """When it is over."""
        return self.at + TOMBSTONE_SECONDS
