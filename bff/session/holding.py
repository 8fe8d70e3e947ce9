"""What every owner of a lease can do at its end: write, give it back, or end the session under it.

Under `spend` and `route_spend`, which decide which of them. Whatever an answer brought that nobody
will use is revoked, behind everybody's back.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from msgspec import structs

from bff.clock import Clock
from bff.config.access import claims_named
from bff.config.lease import refresh_budget
from bff.config.load import FrontEnd
from bff.journal.log import Event, crashed, tell
from bff.journal.metrics import ENDED, count
from bff.problem import Reason, Refused
from bff.provider.identity import verify_refreshed
from bff.provider.jws import TokenFault
from bff.provider.organization import is_another
from bff.provider.server import AuthorizationServer
from bff.provider.token_answer import TokenOutcome, TokenResponse
from bff.session.access import claims_asked
from bff.session.history import SharedHistory
from bff.session.leased import Owned
from bff.session.opened import Found, Opened
from bff.session.record import Session, good_until, original_claims, rotated
from bff.session.revocations import Revocations
from bff.session.store import (
    Ended,
    LeaseOutcome,
    OutcomeUnknown,
    Release,
    Store,
    StoreUnavailable,
)
from bff.session.watch import POLL

LATE: Final = (
    120.0  # seconds after its lease for which an owner goes on writing what it was granted
)
BACK_OFF: Final = 2.0  # seconds in which a failing provider is left alone; up to twice with jitter


_MOMENT: Final = 1.0  # seconds of a lease that is taken to be given back


def _pause() -> float:
    return BACK_OFF * (1 + secrets.randbelow(1000) / 1000)


class Holding:
    """A lease's ends, for the sessions of one front end at one provider."""

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
        self._frontend = frontend.name
        self._store = store
        self._opened = opened
        self._server = server
        self._clock = clock
        self._revocations = revocations
        self._history = history
        self._asked = claims_asked(frontend.routes)
        self._budget = refresh_budget(server.config.total_timeout, frontend.session.store_deadline)

    def patience(self, owned: Owned) -> float:
        """Seconds within which a request must leave, or another might begin before it is done with.

        None are left where that is 0 or less."""
        return owned.until - time.monotonic() - self._budget

    async def release(
        self,
        found: Found,
        owned: Owned,
        how: Release = Release.CLEAN,
        not_before: float | None = None,
    ) -> None:
        """Give the lease back; nobody is granted one before `not_before`, in store time."""
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

    async def back_off(
        self, found: Found, owned: Owned, outcome: TokenOutcome, how: Release
    ) -> Refused:
        """Give the lease back and leave the provider alone for a while."""
        wait = float(outcome.retry_after or _pause())
        tell(Event.REFRESH_FAILED, frontend=self._frontend, error=outcome.answer.value)
        await self.release(found, owned, how, self._clock.now() + wait)
        return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(wait)))

    async def _hold_off(self, found: Found) -> Refused:
        """Leave the provider alone for a while, after a write that has ended the lease."""
        wait, owner = _pause(), secrets.token_hex(12)
        lease = await self._store.lease(found.key, found.version, owner=owner, seconds=_MOMENT)
        if lease.outcome is LeaseOutcome.GRANTED:
            await self._store.release(
                found.key, owner=owner, how=Release.CLEAN, not_before=self._clock.now() + wait
            )
        return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(wait)))

    async def keep(
        self,
        found: Found,
        owned: Owned,
        response: TokenResponse,
        asked_at: float,
        bought: Callable[[Session], Session],
    ) -> Found | Refused | None:
        """Store what a spent refresh token has bought, once its ID token is believed (I-13).

        What that says now of the claims that rules look at counts from now on. Where it cannot be
        believed yet, the refresh token alone is kept, since the old one is spent: the access token
        that came with it is not even stored.
        """
        session = found.session
        try:
            said = await self._believed(session, response)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old one is spent
            if not isinstance(error, Refused):
                crashed(error)
            elif error.reason is Reason.ID_TOKEN_INVALID:
                self.drop(response)
                return await self.end(found, owned, Reason.REFRESH_REJECTED)
            tokens = rotated(session.tokens, response, now=asked_at, id_token=None)
            kept = await self.write(found, owned, replace(session, tokens=tokens), response)
            return None if kept is None else await self._hold_off(kept)
        former = session.identity
        held = replace(former, held={**former.held, **said})
        return await self.write(found, owned, replace(bought(session), identity=held), response)

    async def _believed(self, session: Session, response: TokenResponse) -> Mapping[str, object]:
        """What the answer's ID token says of the claims that rules look at (I-13).

        Raises Refused: ID_TOKEN_INVALID where it names another person or login, or another
        organisation; PROVIDER_UNAVAILABLE where it cannot be believed.
        """
        if response.id_token is None or self._server.config.identity != "openid":
            return {}
        claims = (
            await verify_refreshed(
                self._server,
                response.id_token,
                access_token=response.access_token,
                original=original_claims(session.identity),
            )
        ).claims
        own = session.identity.organization
        if is_another(self._server.config.organization, claims, own):
            tell(Event.PROVIDER_FAILED, endpoint="id_token", code=TokenFault.ORGANIZATION)
            raise Refused(Reason.ID_TOKEN_INVALID)
        return claims_named(claims, self._asked)

    async def write(
        self,
        found: Found,
        owned: Owned,
        session: Session,
        response: TokenResponse,
        *,
        renewed: bool = True,
    ) -> Found | None:
        """Store the session over the version read; it is used only when that is sure.

        None: a logout won, or another owner did, and whoever asks looks again. `renewed`: what the
        store knows of a spent refresh token is over with it.
        """
        version = secrets.token_hex(12)
        if not await self._replaced(found, owned, session, version, renewed):
            await self._not_replaced(found, owned, response)
            return None
        refresh_at = good_until(session.tokens)
        live = structs.replace(found.live, version=version, refresh_at=refresh_at)
        return self._opened.keep(found.key, found.session_id, live, version, session)

    async def _replaced(
        self, found: Found, owned: Owned, session: Session, version: str, renewed: bool
    ) -> bool:
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
                    refresh_at=good_until(session.tokens),
                    renewed=renewed,
                )
            except OutcomeUnknown:
                if not renewed or time.monotonic() > owned.until + LATE:
                    raise  # of an exchange nothing is lost: it can be made again
                await asyncio.sleep(POLL)

    async def _not_replaced(self, found: Found, owned: Owned, response: TokenResponse) -> None:
        """A logout won, or another owner did: re-read before anything is revoked (R-11).

        Until that is known, or for `LATE`. Raises StoreUnavailable.
        """
        while True:
            try:
                there = await self._store.peek(found.key)
            except StoreUnavailable:
                if time.monotonic() > owned.until + LATE:
                    raise
                await asyncio.sleep(POLL)
                continue
            if there is None or isinstance(there, Ended):
                self.drop(response)
            return

    def drop(self, response: TokenResponse) -> None:
        """Revoke what nobody will use."""
        self._revocations.revoke(
            refresh_token=response.refresh_token, access_token=response.access_token
        )

    async def end(self, found: Found, owned: Owned, reason: Reason) -> Refused | None:
        """End the session, only over the version read and only under our live lease (R-06)."""
        answer = await self._store.end_if(
            found.key, found.version, owner=owned.owner, reason=reason.value
        )
        if not answer.ended:
            return None  # whoever lost the lease ends nothing and re-reads
        self._opened.forget(found.key)
        count(ENDED, self._frontend, reason.value)
        tell(Event.REFRESH_REJECTED, frontend=self._frontend, reason=reason.value)
        return Refused(reason)
