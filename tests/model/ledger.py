"""What really happened, as nobody in the system can see it: the provider, and the facts.

It shares no code with the store and the refresh that it judges. A refresh token is a number: the
provider takes one, gives the next for it, and kills the grant when an older one comes back, as
rotation with zero grace does (RFC 9700 §4.14.2).
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Death(StrEnum):
    """Why a grant is dead."""

    REVOKED = "revoked"  # somebody took it away at the provider
    REUSED = "reused"  # a spent refresh token came back


@dataclass
class Grant:
    """The provider's side of one session."""

    good: int = 1  # the refresh token that it takes
    death: Death | None = None
    spent: set[int] = field(default_factory=set)

    def take(self, token: int) -> int | None:
        """The next refresh token, or None: invalid_grant."""
        if self.death is not None:
            return None
        if token != self.good:
            self.death = Death.REUSED
            return None
        self.spent.add(token)
        self.good += 1
        return self.good


@dataclass(frozen=True, kw_only=True)
class Presented:
    """A refresh token that left for the provider, and what could be known at that moment."""

    token: int
    warned: bool  # the lease said that it may have been spent
    was_spent: bool
    successor_stored: bool


@dataclass
class Ledger:
    """The facts about one session."""

    grant: Grant = field(default_factory=Grant)
    presented: list[Presented] = field(default_factory=list)
    contents: dict[str, int] = field(default_factory=dict)  # version → its refresh token, in order
    logouts: int = 0
    leased: dict[str, str] = field(default_factory=dict)  # version → who was last told "granted"
    _unfinished: dict[str, set[str]] = field(default_factory=dict)  # version → owners of leases

    def leaves(self, token: int, *, warned: bool) -> None:
        """A refresh token leaves for the provider."""
        self.presented.append(
            Presented(
                token=token,
                warned=warned,
                was_spent=token in self.grant.spent,
                successor_stored=max(self.contents.values()) > token,
            )
        )

    def may_hold(self, version: str, owner: str) -> None:
        """That owner's lease may be in the record from now on."""
        self._unfinished.setdefault(version, set()).add(owner)

    def holds_no_more(self, version: str, owner: str) -> None:
        """That owner has no lease, and nothing was spent under it."""
        self._unfinished.get(version, set()).discard(owner)

    def interrupted(self, version: str, *, but: str) -> bool:
        """Whether a lease over that version, of another owner, had no clean end."""
        return bool(self._unfinished.get(version, set()) - {but})
