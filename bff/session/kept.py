"""Logouts by the provider that could not be carried out yet, kept in this process (B-09, K-09).

Until they are carried out, the sessions that they name are over as far as this process can say.
One value per front end; it outlives the Site, so that another configuration forgets none.
"""

import asyncio
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final

from bff.provider.logout_token import LogoutToken
from bff.session.record import Session

MOST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLogout:
    """A verified logout. Times in store time; `until`: later than any session that it names."""

    token: LogoutToken
    heard_at: float
    until: float
    context: Context = field(repr=False)  # on whose behalf, for the auditor

    def spares(self, created_at: float) -> bool:
        """Whether a session that began then is a later login's, which it does not speak of."""
        return created_at > self.heard_at


class KeptLogouts:
    """Those of one front end, `MOST` at most; the same token is kept once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], KeptLogout] = {}
        self._some = asyncio.Event()

    def __bool__(self) -> bool:
        """Whether there are any: asked on every request."""
        return bool(self._kept)

    def keep(self, logout: KeptLogout) -> bool:
        """Whether there was room for it."""
        name = _name(logout)
        if name not in self._kept and len(self._kept) >= MOST:
            return False
        self._kept.setdefault(name, logout)
        self._some.set()
        return True

    def drop(self, logout: KeptLogout) -> None:
        """It has been carried out, or there is nothing left to end."""
        self._kept.pop(_name(logout), None)
        if not self._kept:
            self._some.clear()

    async def some(self) -> list[KeptLogout]:
        """All of them, the oldest first, as soon as there are any."""
        await self._some.wait()
        return list(self._kept.values())

    def ends(self, session: Session) -> bool:
        """Whether one of them speaks of that session."""
        who = session.identity
        return any(
            each.token.concerns(iss=who.iss, sub=who.sub, sid=who.sid)
            and not each.spares(session.created_at)
            for each in self._kept.values()
        )


def _name(logout: KeptLogout) -> tuple[str, str]:
    return (logout.token.iss, logout.token.jti)
