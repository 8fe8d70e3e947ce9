"""How near a session's ends are: what is left of it, and since when a page is to be warned.

Pure; times in store time. Of the two ends only one that comes first is worth a warning: sliding
would not help against an idle deadline beyond the end of the session itself.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from bff.config.model import SessionSection
from bff.session.record import Tokens
from bff.session.store import Live

LATE: Final = 0.1  # seconds after an end in which the store makes it true


class Cause(StrEnum):
    """Why a session is about to end."""

    IDLE = "idle"
    LIFETIME = "lifetime"


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of a session as it was last seen, and when the warning of each begins."""

    idle_at: float
    idle_warned_at: float
    lifetime_at: float
    lifetime_warned_at: float
    access_token_at: float | None  # None: the provider did not say

    @property
    def at(self) -> float:
        """When the session ends if nothing happens."""
        return min(self.idle_at, self.lifetime_at)

    def moved(self, live: Live) -> "Ends":
        """The ends of the same session, with the same tokens, after the idle deadline has moved."""
        by = live.idle_at - self.idle_at
        return replace(self, idle_at=live.idle_at, idle_warned_at=self.idle_warned_at + by)

    def near(self, now: float) -> frozenset[Cause]:
        """The ends of which a page is to know by now."""
        idle = self.idle_warned_at <= now and self.idle_at < self.lifetime_at
        lifetime = self.lifetime_warned_at <= now
        return frozenset(
            cause for cause, near in ((Cause.IDLE, idle), (Cause.LIFETIME, lifetime)) if near
        )

    def due(self, now: float) -> float:
        """When something is to be said or looked at next; inf: all of it is past."""
        moments = (self.idle_warned_at, self.lifetime_warned_at, self.at + LATE)
        return min((at for at in moments if at > now), default=inf)

    def seconds_left(self, now: float) -> dict[str, int | None]:
        """Whole seconds, as a page is told them."""
        token = self.access_token_at
        return {
            "idle": _left(self.idle_at, now),
            "lifetime": _left(self.lifetime_at, now),
            "access_token": None if token is None else _left(token, now),
        }


def ends(live: Live, tokens: Tokens, section: SessionSection) -> Ends:
    """The ends of a session with those tokens.

    A warning comes `section.expiring` seconds ahead, and never in the first half of the idle time
    or of the life that the session, or its newest refresh token, was given.
    """
    lifetime_at, life = live.absolute_at, section.lifetime
    if live.refresh_at is not None and live.refresh_at < lifetime_at:
        lifetime_at, life = live.refresh_at, max(0.0, live.refresh_at - tokens.issued_at)
    return Ends(
        idle_at=live.idle_at,
        idle_warned_at=live.idle_at - min(section.expiring, section.idle / 2),
        lifetime_at=lifetime_at,
        lifetime_warned_at=lifetime_at - min(section.expiring, life / 2),
        access_token_at=tokens.expires_at,
    )


def _left(end: float, now: float) -> int:
    return max(0, int(end - now))
