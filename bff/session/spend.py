"""What the owner of a lease does for the session: present the refresh token, act on the answer.

Under `refresh`. What an answer means is decided in `steps`; here it is done, and every way out
gives the lease back, writes under it, or ends the session under it.
"""

from dataclasses import replace

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.journal.metrics import REFRESHES, count
from bff.problem import Reason, Refused
from bff.provider.server import AuthorizationServer
from bff.provider.token import refresh
from bff.provider.token_answer import TokenAnswer, TokenResponse
from bff.session.history import SharedHistory
from bff.session.holding import Holding
from bff.session.leased import Owned
from bff.session.opened import Found
from bff.session.record import Session, expired, refreshed
from bff.session.steps import DEFINITE_400S, ENDS, RELEASES, STEPS, Step, is_dead


class Spender:
    """Presents refresh tokens under leases, for the sessions of one front end at one provider."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        server: AuthorizationServer,
        clock: Clock,
        history: SharedHistory,
        holding: Holding,
    ) -> None:
        self._frontend = frontend.name
        self._server = server
        self._clock = clock
        self._history = history
        self._holding = holding

    async def spend(self, found: Found, owned: Owned) -> Found | Refused | None:
        """The session with other tokens, why there are none, or None: look again."""
        token = found.session.tokens.refresh_token
        patience = self._holding.patience(owned)
        if token is None or patience <= 0:
            await self._holding.release(found, owned)
            return Refused(Reason.PROVIDER_UNAVAILABLE)
        asked_at = self._clock.now()
        outcome = await refresh(
            self._server, token, patience=patience, dpop_key=found.session.dpop_key
        )
        count(REFRESHES, self._frontend, outcome.answer.value)
        step = STEPS[await self._meant(found, owned, outcome.answer), owned.maybe_spent]
        if step is Step.STORE and outcome.response is not None:
            return await self._stored(found, owned, outcome.response, asked_at)
        if step in ENDS:
            return await self._holding.end(found, owned, ENDS[step])
        return await self._holding.back_off(found, owned, outcome, RELEASES[step])

    async def _meant(self, found: Found, owned: Owned, answer: TokenAnswer) -> TokenAnswer:
        """The answer; a definite 400 that is not the first may prove the token dead (R-07).

        One that other credentials met before is no first one: it may have been about them.
        """
        first_at = owned.definite_400_at
        if answer not in DEFINITE_400S or first_at is None:
            return answer
        if not self._history.ours(owned.definite_400_by):
            return answer
        now = self._clock.now()
        over = expired(found.session.tokens, now)
        worked_at = await self._history.last_success()
        dead = is_dead(first_at=first_at, worked_at=worked_at, now=now, over=over)
        return TokenAnswer.INVALID_GRANT if dead else answer

    async def _stored(
        self, found: Found, owned: Owned, response: TokenResponse, asked_at: float
    ) -> Found | Refused | None:
        """Store the new tokens over the version read."""

        def bought(session: Session) -> Session:
            tokens = refreshed(
                session.tokens,
                response,
                now=asked_at,
                id_token=response.id_token,
                assume_expires_in=self._server.config.assume_expires_in,
            )
            return replace(session, tokens=tokens)

        fresh = await self._holding.keep(found, owned, response, asked_at, bought)
        if isinstance(fresh, Found):
            tell(Event.REFRESHED, frontend=self._frontend)
        return fresh
