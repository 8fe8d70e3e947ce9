"""What the memory store keeps at a key: a record or a tombstone. Times in store time."""

from dataclasses import dataclass, field

from bff.session.store import TOMBSTONE_SECONDS


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
    not_before: float = 0.0

    def end(self) -> float:
        """When it is over."""
        ends = (self.idle_at, self.absolute_at, self.refresh_at)
        return min(end for end in ends if end is not None)

    def leased_by(self, owner: str, now: float) -> bool:
        """Whether `owner` holds the live lease."""
        return self.lease_owner == owner and self.lease_until > now


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
