"""One refresh per session, everywhere, whatever fails.

One task per session in this process, one lease per session across processes (`leased`). The winner
presents the refresh token (`spend`). Only a refresh token proven dead, or an answer that names
another person, ends a session; everything else is passing.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.config.model import Refresh
from bff.problem import Reason, Refused
from bff.session.background import Background
from bff.session.leased import Leases, Owned, Tasks
from bff.session.opened import Found, Opened
from bff.session.record import expired
from bff.session.spend import Spender
from bff.session.steps import Need, need

FORCED_AFTER: Final = 30.0  # seconds; a younger token is not renewed for an upstream's 401
FORCED_KEPT: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """The errand of a refresh: other tokens than those that were issued at that time.

    By their time and not by their text: a provider may give the same access token again.
    """

    issued_at: float
    forced: bool
    settings: Refresh
    clock: Clock
    spender: Spender

    def is_due(self, found: Found) -> bool:
        """Whether the session still has those, and needs others."""
        if found.session.tokens.issued_at != self.issued_at:
            return False  # however short a life the provider gave the new ones
        now, settings = self.clock.now(), self.settings
        wanted = need(found.session, now, ahead=settings.ahead, jitter=settings.jitter)
        return self.forced or wanted in (Need.NOW, Need.AHEAD)

    def is_urgent(self, found: Found) -> bool:
        """Whether a caller waits."""
        return self.forced or expired(found.session.tokens, self.clock.now())

    async def do(self, found: Found, owned: Owned) -> Found | Refused | None:
        """Present the refresh token."""
        return await self.spender.spend(found, owned)


class Refresher:
    """Keeps the tokens of one front end's sessions fresh."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        opened: Opened,
        clock: Clock,
        background: Background,
        leases: Leases,
        spender: Spender,
    ) -> None:
        self._settings = frontend.refresh
        self._opened = opened
        self._clock = clock
        self._leases = leases
        self._spender = spender
        self._tasks = Tasks(background, leases.patience)
        self._forced: OrderedDict[str, float] = OrderedDict()  # key → when the one was issued

    async def fresh(self, found: Found) -> Found:
        """The session with an access token that is good to use. Raises Refused."""
        settings = self._settings
        now = self._clock.now()
        match need(found.session, now, ahead=settings.ahead, jitter=settings.jitter):
            case Need.NOTHING:
                return found
            case Need.IMPOSSIBLE:
                raise Refused(Reason.SESSION_EXPIRED)
            case Need.AHEAD:
                _ = self._task(found)
                return found
            case Need.NOW:
                return await self._wait_for_fresh(found)

    async def after_refusal(self, refused: Found) -> Found | None:
        """The session with another access token than the one an upstream refused, if there is one.

        If the session holds another by now, that one. Else it is renewed once, if it is not quite
        new: a refusal of a fresh token is about something else (R-08). Raises Refused.
        """
        found = await self._opened.find(refused.session_id)
        if found.bearer != refused.bearer:
            return found
        result = await self.renewed(found)
        if result is None or isinstance(result, Refused) or result.bearer == found.bearer:
            return None  # the upstream's own answer says more than our trouble
        return result

    async def renewed(self, found: Found) -> Found | Refused | None:
        """What comes of renewing an access token before its time; None: that is not done.

        Not with a young one, nor twice with one and the same.
        """
        tokens = found.session.tokens
        young = self._clock.now() - tokens.issued_at < FORCED_AFTER
        if young or tokens.refresh_token is None or self._forced.get(found.key) == tokens.issued_at:
            return None
        self._forced[found.key] = tokens.issued_at
        if len(self._forced) > FORCED_KEPT:
            self._forced.popitem(last=False)
        result = await self._tasks.joined(self._task(found, forced=True))
        if isinstance(result, Refused):
            self._forced.pop(found.key, None)  # it was not done: the store bounds how often
        return result

    async def _wait_for_fresh(self, found: Found) -> Found:
        """Join the refresh until the access token is good."""
        while True:
            result = await self._tasks.joined(self._task(found))
            if isinstance(result, Refused):
                raise Refused(result.reason, retry_after=result.retry_after)
            tokens, former = result.session.tokens, found.session.tokens
            if tokens.issued_at != former.issued_at or not expired(tokens, self._clock.now()):
                return result  # however short a life the provider gave it
            found = result  # the task we joined had begun ahead, and left it to another process

    def _task(self, found: Found, *, forced: bool = False) -> asyncio.Task[Found | Refused]:
        errand = Renewal(
            issued_at=found.session.tokens.issued_at,
            forced=forced,
            settings=self._settings,
            clock=self._clock,
            spender=self._spender,
        )
        return self._tasks.start(found.key, lambda: self._leases.run(found, errand))
