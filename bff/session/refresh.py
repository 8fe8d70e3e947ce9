"""One refresh per session, everywhere, whatever fails.

One task per session in this process, one lease per session across processes. The winner presents
the refresh token and writes the new ones before anybody uses them; everyone else waits and
re-reads. Only a refresh token proven dead, or an answer that names another person, ends a
session; everything else is passing.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.identity import verify_refreshed
from bff.provider.revocation import revoke
from bff.provider.server import AuthorizationServer
from bff.provider.token import TokenOutcome, TokenResponse, refresh
from bff.session.background import Background
from bff.session.opened import Found, Opened
from bff.session.record import Session, expired, original_claims, refreshed
from bff.session.steps import ENDS, RELEASES, STEPS, Need, Step, need
from bff.session.store import (
    Ended,
    Lease,
    LeaseOutcome,
    OutcomeUnknown,
    Release,
    Store,
    StoreUnavailable,
)
from bff.session.watch import Watch

BACK_OFF: Final = 2.0  # seconds in which a failing provider is left alone; up to twice with jitter
FORCED_AFTER: Final = 30.0  # seconds; a younger token is not renewed for an upstream's 401
FORCED_KEPT: Final = 8192
POLL: Final = 0.5  # seconds; the change stream is only a hint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owned:
    """A lease in hand: who holds it, and until when by our own monotonic clock."""

    owner: str
    until: float
    maybe_spent: bool


class Refresher:
    """Keeps the tokens of one front end's sessions fresh."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        store: Store,
        opened: Opened,
        watch: Watch,
        server: AuthorizationServer,
        clock: Clock,
        background: Background,
    ) -> None:
        self._frontend = frontend
        self._store = store
        self._opened = opened
        self._watch = watch
        self._server = server
        self._clock = clock
        self._background = background
        self._forced: OrderedDict[str, str] = OrderedDict()  # key → the version refused once
        self._running: dict[str, asyncio.Task[Found | Refused]] = {}
        # The request itself, the keys to verify its ID token, and the write: all under one lease.
        self._budget = 2 * frontend.provider.total_timeout + frontend.session.store_deadline
        self._lease_seconds = self._budget + 4 * frontend.session.store_deadline

    async def fresh(self, found: Found) -> Found:
        """The session with an access token that is good to use. Raises Refused."""
        settings = self._frontend.refresh
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
        tokens = found.session.tokens
        if tokens.access_token != refused.session.tokens.access_token:
            return found
        young = self._clock.now() - tokens.issued_at < FORCED_AFTER
        if young or tokens.refresh_token is None or self._forced.get(found.key) == found.version:
            return None
        self._forced[found.key] = found.version
        if len(self._forced) > FORCED_KEPT:
            self._forced.popitem(last=False)
        result = await asyncio.shield(self._task(found, forced=True))
        if isinstance(result, Refused) or result.version == found.version:
            return None  # the upstream's own answer says more than our trouble
        return result

    async def _wait_for_fresh(self, found: Found) -> Found:
        """Join the refresh until the access token is good."""
        while True:
            # Shielded: a browser that goes away does not cancel a refresh.
            result = await asyncio.shield(self._task(found))
            if isinstance(result, Refused):
                raise Refused(result.reason, retry_after=result.retry_after)
            if result.version != found.version or not self._over(result):
                return result  # however short a life the provider gave it
            found = result  # the task we joined had begun ahead, and left it to another process

    def _over(self, found: Found) -> bool:
        return expired(found.session.tokens, self._clock.now())

    def _task(self, found: Found, *, forced: bool = False) -> asyncio.Task[Found | Refused]:
        task = self._running.get(found.key)
        if task is None:
            task = self._running[found.key] = self._background.start(self._run(found, forced))
            task.add_done_callback(lambda _: self._running.pop(found.key, None))
        return task

    async def _run(self, found: Found, forced: bool) -> Found | Refused:
        """Refresh, or wait for whoever does, until the session has other tokens."""
        deadline = time.monotonic() + self._lease_seconds
        try:
            while True:
                result = await self._attempt(found, forced)
                if result is not None:
                    return result
                known, found = found, await self._opened.find(found.session_id)
                if found.version != known.version or not (forced or self._still_due(found)):
                    return found
                if time.monotonic() > deadline:
                    return Refused(Reason.PROVIDER_UNAVAILABLE)
        except Refused as refused:
            return refused
        except StoreUnavailable:
            return Refused(Reason.STORE_UNAVAILABLE)

    def _still_due(self, found: Found) -> bool:
        settings = self._frontend.refresh
        wanted = need(
            found.session, self._clock.now(), ahead=settings.ahead, jitter=settings.jitter
        )
        return wanted in (Need.NOW, Need.AHEAD)

    async def _attempt(self, found: Found, forced: bool) -> Found | Refused | None:
        """One try for the lease; None: look again."""
        asked_at = time.monotonic()
        owner = secrets.token_hex(12)
        lease = await self._store.lease(
            found.key, found.version, owner=owner, seconds=self._lease_seconds
        )
        match lease.outcome:
            case LeaseOutcome.HELD:
                return await self._wait(found, lease, forced)
            case LeaseOutcome.STALE | LeaseOutcome.GONE:
                return None
            case LeaseOutcome.GRANTED | LeaseOutcome.GRANTED_AFTER_LAPSE:
                spent = lease.outcome is LeaseOutcome.GRANTED_AFTER_LAPSE
                until = asked_at + self._lease_seconds
                return await self._spend(found, _Owned(owner=owner, until=until, maybe_spent=spent))

    async def _wait(self, found: Found, lease: Lease, forced: bool) -> Found | Refused | None:
        if not (forced or self._over(found)):
            return found  # renewed ahead by another, or left alone for a while: no hurry
        left = (lease.until or 0.0) - self._clock.now()
        if lease.backing_off:
            return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(left)))
        await self._watch.changed(found.key, min(max(left, 0.01), POLL))
        return None

    async def _spend(self, found: Found, owned: _Owned) -> Found | Refused | None:
        """Present the refresh token, under the lease, and do what its answer means."""
        token = found.session.tokens.refresh_token
        if token is None or owned.until - time.monotonic() < self._budget:
            # Too late to be sure that nobody else begins before we are done.
            await self._release(found, owned, Release.CLEAN, None)
            return Refused(Reason.PROVIDER_UNAVAILABLE)
        asked_at = self._clock.now()
        outcome = await refresh(self._server, token)
        step = STEPS[outcome.answer, owned.maybe_spent]
        if step is Step.STORE and outcome.response is not None:
            return await self._verified(found, owned, outcome.response, asked_at)
        if step in ENDS:
            return await self._end(found, owned, ENDS[step])
        return await self._back_off(found, owned, outcome, RELEASES[step])

    async def _back_off(
        self, found: Found, owned: _Owned, outcome: TokenOutcome, how: Release
    ) -> Refused:
        wait = float(outcome.retry_after or BACK_OFF * (1 + secrets.randbelow(1000) / 1000))
        tell(Event.REFRESH_FAILED, frontend=self._frontend.name, error=outcome.answer.value)
        await self._release(found, owned, how, self._clock.now() + wait)
        return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(wait)))

    async def _release(
        self, found: Found, owned: _Owned, how: Release, not_before: float | None
    ) -> None:
        try:
            await self._store.release(found.key, owner=owned.owner, how=how, not_before=not_before)
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="release")  # the lease lapses by itself

    async def _verified(
        self, found: Found, owned: _Owned, response: TokenResponse, asked_at: float
    ) -> Found | Refused | None:
        """Check the answer's ID token before the new access token is used (I-13)."""
        believed = True
        if response.id_token is not None:
            try:
                await verify_refreshed(
                    self._server,
                    response.id_token,
                    access_token=response.access_token,
                    original=original_claims(found.session.identity),
                )
            except Refused as refused:
                if refused.reason is Reason.ID_TOKEN_INVALID:
                    self._drop(response)
                    return await self._end(found, owned, Reason.REFRESH_REJECTED)
                believed = False
        return await self._write(found, owned, response, asked_at, believed=believed)

    async def _write(
        self,
        found: Found,
        owned: _Owned,
        response: TokenResponse,
        asked_at: float,
        *,
        believed: bool,
    ) -> Found | Refused | None:
        """Store the new tokens over the version read; they are used only when that is sure.

        Where the keys to verify the ID token could not be had, the refresh token is kept (the
        old one is spent) and the access token counts as over, so that it is never used.
        """
        tokens = refreshed(
            found.session.tokens,
            response,
            now=asked_at,
            id_token=response.id_token if believed else None,
            assume_expires_in=self._frontend.provider.assume_expires_in,
        )
        if not believed:
            tokens = replace(tokens, expires_at=asked_at)
        session = replace(found.session, tokens=tokens)
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

    async def _replaced(self, found: Found, owned: _Owned, session: Session, version: str) -> bool:
        """Whether the record now holds `version`; asked until the lease is over.

        The old refresh token is spent: giving up early would lose the grant.
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
                if time.monotonic() > owned.until:
                    raise
                await asyncio.sleep(POLL)

    async def _not_replaced(self, found: Found, response: TokenResponse) -> None:
        """A logout won, or another owner did: re-read before anything is revoked (R-11)."""
        there = await self._store.peek(found.key)
        if there is None or isinstance(there, Ended):
            self._drop(response)

    def _drop(self, response: TokenResponse) -> None:
        """Revoke what nobody will use, behind everybody's back."""
        if response.refresh_token is not None:
            work = revoke(self._server, response.refresh_token, hint="refresh_token")
        else:
            work = revoke(self._server, response.access_token, hint="access_token")
        self._background.run(work)

    async def _end(self, found: Found, owned: _Owned, reason: Reason) -> Refused | None:
        """End the session, only over the version read and only under our live lease (R-06)."""
        answer = await self._store.end_if(
            found.key, found.version, owner=owned.owner, reason=reason.value
        )
        if not answer.ended:
            return None  # whoever lost the lease ends nothing and re-reads
        self._opened.forget(found.key)
        tell(Event.REFRESH_REJECTED, frontend=self._frontend.name, reason=reason.value)
        return Refused(reason)
