"""What the owner of a lease does: present the refresh token once, and act on the answer.

Under `refresh`, which has got the lease. What an answer means is decided in `steps`; here it is
done, and every way out gives the lease back, writes under it, or ends the session under it.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from bff.clock import Clock
from bff.config.lease import refresh_budget
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.journal.metrics import ENDED, REFRESHES, count
from bff.problem import Reason, Refused
from bff.provider.identity import verify_refreshed
from bff.provider.jws import TokenFault
from bff.provider.organization import is_another
from bff.provider.server import AuthorizationServer
from bff.provider.token import refresh
from bff.provider.token_answer import TokenAnswer, TokenOutcome, TokenResponse
from bff.session.access import claims_asked
from bff.session.history import SharedHistory
from bff.session.opened import Found, Opened
from bff.session.record import Session, expired, original_claims, refreshed
from bff.session.revocations import Revocations
from bff.session.steps import ENDS, RELEASES, STEPS, Step, is_dead
from bff.session.store import Ended, OutcomeUnknown, Release, Store, StoreUnavailable
from bff.session.watch import POLL

LATE: Final = (
    120.0  # seconds after its lease for which an owner goes on writing what it was granted
)
BACK_OFF: Final = 2.0  # seconds in which a failing provider is left alone; up to twice with jitter


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A lease in hand: who holds it, and until when by our own monotonic clock."""

    owner: str
    until: float
    maybe_spent: bool
    definite_400_at: float | None  # store time
    definite_400_by: str


class Spender:
    """Presents refresh tokens under leases, for one front end."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        store: Store,
        opened: Opened,
        server: AuthorizationServer,
        clock: Clock,
        revocations: Revocations,
        history: SharedHistory,
    ) -> None:
        self._frontend = frontend
        self._store = store
        self._opened = opened
        self._server = server
        self._clock = clock
        self._revocations = revocations
        self._history = history
        self._asked = claims_asked(frontend.routes)
        self._budget = refresh_budget(server.config.total_timeout, frontend.session.store_deadline)

    async def spend(self, found: Found, owned: Owned) -> Found | Refused | None:
        """The session with other tokens, why there are none, or None: look again."""
        token = found.session.tokens.refresh_token
        if token is None or owned.until - time.monotonic() < self._budget:
            # Too late to be sure that nobody else begins before we are done.
            await self._release(found, owned, Release.CLEAN, None)
            return Refused(Reason.PROVIDER_UNAVAILABLE)
        asked_at = self._clock.now()
        outcome = await refresh(self._server, token, dpop_key=found.session.dpop_key)
        count(REFRESHES, self._frontend.name, outcome.answer.value)
        step = STEPS[await self._meant(found, owned, outcome.answer), owned.maybe_spent]
        if step is Step.STORE and outcome.response is not None:
            return await self._verified(found, owned, outcome.response, asked_at)
        if step in ENDS:
            return await self._end(found, owned, ENDS[step])
        return await self._back_off(found, owned, outcome, RELEASES[step])

    async def _meant(self, found: Found, owned: Owned, answer: TokenAnswer) -> TokenAnswer:
        """The answer; a definite 400 that is not the first may prove the token dead (R-07).

        One that other credentials met before is no first one: it may have been about them.
        """
        first_at = owned.definite_400_at
        if answer is not TokenAnswer.DEFINITE_400 or first_at is None:
            return answer
        if not self._history.ours(owned.definite_400_by):
            return answer
        now = self._clock.now()
        over = expired(found.session.tokens, now)
        worked_at = await self._history.last_success()
        dead = is_dead(first_at=first_at, worked_at=worked_at, now=now, over=over)
        return TokenAnswer.INVALID_GRANT if dead else answer

    async def _back_off(
        self, found: Found, owned: Owned, outcome: TokenOutcome, how: Release
    ) -> Refused:
        wait = float(outcome.retry_after or BACK_OFF * (1 + secrets.randbelow(1000) / 1000))
        tell(Event.REFRESH_FAILED, frontend=self._frontend.name, error=outcome.answer.value)
        await self._release(found, owned, how, self._clock.now() + wait)
        return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(wait)))

    async def _release(
        self, found: Found, owned: Owned, how: Release, not_before: float | None
    ) -> None:
        try:
            await self._store.release(
                found.key,
                owner=owned.owner,
                how=how,
                not_before=not_before,
                credentials=self._history.credentials,
            )
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="release")  # the lease lapses by itself

    async def _verified(
        self, found: Found, owned: Owned, response: TokenResponse, asked_at: float
    ) -> Found | Refused | None:
        """Check the answer's ID token before the new access token is used (I-13)."""
        believed = True
        said: Mapping[str, object] = {}
        if response.id_token is not None and self._server.config.identity == "openid":
            try:
                said = await self._believed(found.session, response, response.id_token)
            except Refused as refused:
                if refused.reason is Reason.ID_TOKEN_INVALID:
                    self._drop(response)
                    return await self._end(found, owned, Reason.REFRESH_REJECTED)
                believed = False
        return await self._write(found, owned, response, asked_at, believed=believed, said=said)

    async def _believed(
        self, session: Session, response: TokenResponse, id_token: str
    ) -> Mapping[str, object]:
        """What that ID token says of the claims that rules look at. Raises Refused."""
        claims = (
            await verify_refreshed(
                self._server,
                id_token,
                access_token=response.access_token,
                original=original_claims(session.identity),
            )
        ).claims
        own = session.identity.organization
        if is_another(self._server.config.organization, claims, own):
            tell(Event.PROVIDER_FAILED, endpoint="id_token", code=TokenFault.ORGANIZATION)
            raise Refused(Reason.ID_TOKEN_INVALID)
        return {name: claims[name] for name in self._asked & claims.keys()}

    async def _write(
        self,
        found: Found,
        owned: Owned,
        response: TokenResponse,
        asked_at: float,
        *,
        believed: bool,
        said: Mapping[str, object],
    ) -> Found | Refused | None:
        """Store the new tokens over the version read; they are used only when that is sure.

        What it says now of the claims that rules look at counts from now on.
        Where the keys to verify the ID token could not be had, the refresh token is kept (the
        old one is spent) and the access token counts as over, so that it is never used.
        """
        tokens = refreshed(
            found.session.tokens,
            response,
            now=asked_at,
            id_token=response.id_token if believed else None,
            assume_expires_in=self._server.config.assume_expires_in,
        )
        if not believed:
            tokens = replace(tokens, expires_at=asked_at)
        former = found.session.identity
        identity = replace(former, held={**former.held, **said})
        session = replace(found.session, tokens=tokens, identity=identity)
        version = secrets.token_hex(12)
        if not await self._replaced(found, owned, session, version):
            await self._not_replaced(found, response)
            return None
        live = structs.replace(found.live, version=version, refresh_at=tokens.refresh_expires_at)
        fresh = self._opened.keep(found.key, found.session_id, live, version, session)
        if not believed:
            return Refused(Reason.PROVIDER_UNAVAILABLE)
        tell(Event.REFRESHED, frontend=self._frontend.name)
        return fresh

    async def _replaced(self, found: Found, owned: Owned, session: Session, version: str) -> bool:
        """Whether the record now holds `version`; asked until that is known, or for `LATE`.

        The old refresh token is spent: giving up early would lose the grant. A store that comes
        back after the lease is over still takes the new one, if it has granted no other lease.
        """
        sealed = self._opened.seal(found.key, found.session_id, session)
        while True:
            try:
                return await self._store.replace(
                    found.key,
                    found.version,
                    sealed,
                    owner=owned.owner,
                    new_version=version,
                    refresh_at=session.tokens.refresh_expires_at,
                )
            except OutcomeUnknown:
                if time.monotonic() > owned.until + LATE:
                    raise
                await asyncio.sleep(POLL)

    async def _not_replaced(self, found: Found, response: TokenResponse) -> None:
        """A logout won, or another owner did: re-read before anything is revoked (R-11)."""
        there = await self._store.peek(found.key)
        if there is None or isinstance(there, Ended):
            self._drop(response)

    def _drop(self, response: TokenResponse) -> None:
        """Revoke what nobody will use, behind everybody's back."""
        self._revocations.revoke(
            refresh_token=response.refresh_token, access_token=response.access_token
        )

    async def _end(self, found: Found, owned: Owned, reason: Reason) -> Refused | None:
        """End the session, only over the version read and only under our live lease (R-06)."""
        answer = await self._store.end_if(
            found.key, found.version, owner=owned.owner, reason=reason.value
        )
        if not answer.ended:
            return None  # whoever lost the lease ends nothing and re-reads
        self._opened.forget(found.key)
        count(ENDED, self._frontend.name, reason.value)
        tell(Event.REFRESH_REJECTED, frontend=self._frontend.name, reason=reason.value)
        return Refused(reason)
