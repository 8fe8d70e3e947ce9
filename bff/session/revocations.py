"""Refresh tokens that could not be revoked at once: queued in the store, for any process to try.

Under `sessions`, which ends a session before anything here begins. A queued token is sealed under
the keyring alone, since its session's cookie is gone, and stays for an hour at most. It waits in a
record of its own, so that the store's lease and back-off hold for it as for a session: one process
at a time is at it, and all obey the provider's Retry-After.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.keys import Keyring
from bff.provider.revocation import RevocationAnswer, Revoked, revoke, revoke_once
from bff.provider.server import AuthorizationServer
from bff.session.background import Background
from bff.session.record import Deadlines
from bff.session.seal import KeyUnknown, SealBroken, Sealer, store_key
from bff.session.store import LeaseOutcome, Loaded, Release, Store, StoreUnavailable

MOST: Final = 1000  # of a front end, over all processes; what comes then is tried here alone
SECONDS: Final = 3540.0  # in the queue; a tombstone keeps the bytes a little longer: an hour in all
POLL: Final = 10.0  # seconds between two looks at the queue, up to twice with jitter
FIRST_PAUSE: Final = 2.0  # seconds after a failure, where the provider names none …
LONGEST_PAUSE: Final = 120.0  # … which grow to this
UNAUTHORIZED: Final = 401

_OURS: Final = frozenset({LeaseOutcome.GRANTED, LeaseOutcome.GRANTED_AFTER_LAPSE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """One revocation that is still to be made."""

    refresh_token: str = field(repr=False)
    queued_at: float  # store time


def pause_after(answer: RevocationAnswer, waited: float) -> float:
    """Seconds until the next try of one that has waited so many: as long again, with jitter."""
    if answer.retry_after is not None:
        return answer.retry_after
    return min(max(FIRST_PAUSE, waited), LONGEST_PAUSE) * (1 + secrets.randbelow(500) / 1000)


class Revocations:
    """The revocations of one front end at one provider."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        keyring: Keyring,
        store: Store,
        clock: Clock,
        server: AuthorizationServer,
        background: Background,
    ) -> None:
        self._both = frontend.logout.revoke_access_token
        self._exchanges = server.config.route_tokens == "exchange"
        self._frontend = frontend.name
        self._store = store
        self._clock = clock
        self._server = server
        self._background = background
        self._sealer = Sealer(keyring, "revocation", frontend.origin)
        self._list = store_key("revocations", frontend.name, server.config.issuer)
        self._due_at = 0.0  # in the event loop's time; at once, for others may have left some
        self._news = asyncio.Event()
        # Of one try: the metadata, the place, the call, and the store before and after.
        self._lease = 3 * server.config.total_timeout + 3 * frontend.session.store_deadline

    def revoke(
        self, *, refresh_token: str | None, access_token: str, others: Sequence[str] = ()
    ) -> None:
        """Revoke at the provider, behind the caller (RFC 7009).

        `others`: access tokens of routes, which were got through the refresh token and end with it,
        or by an exchange, and then need not (RFC 8693 §2.2.1).
        """
        all_too = refresh_token is None or self._both
        too = [access_token, *others] if all_too else others if self._exchanges else []
        self._background.run(self._revoke(refresh_token, too))

    async def length(self) -> int:
        """How many are queued, over all processes. Raises StoreUnavailable."""
        return len(await self._store.index_members([self._list]))

    async def run(self) -> None:
        """For ever: try again what is queued, by whatever process."""
        rest = FIRST_PAUSE
        while True:
            await self._until_due()
            self._due_at = self._now() + POLL * (1 + secrets.randbelow(1000) / 1000)
            wait = await self._look()
            if wait is None:
                rest = FIRST_PAUSE
            else:  # not one after the other where each fails: nobody is helped by that
                # The token waits as long as the provider says; all others no longer than this.
                await asyncio.sleep(min(max(wait, rest), LONGEST_PAUSE))
                rest = min(2 * rest, LONGEST_PAUSE)

    async def _until_due(self) -> None:
        """Return when it is time to look at the queue; meanwhile that may be brought forward."""
        while (wait := self._due_at - self._now()) > 0:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    async def _revoke(self, refresh_token: str | None, access_tokens: Sequence[str]) -> None:
        if refresh_token is not None:
            answer = await revoke_once(self._server, refresh_token, hint="refresh_token")
            if answer.outcome is Revoked.LATER and not await self._queue(refresh_token, answer):
                await revoke(self._server, refresh_token, hint="refresh_token")
        for access_token in access_tokens:
            # Not queued: it is over soon by itself, and the store is to hold no more than it must.
            await revoke(self._server, access_token, hint="access_token")

    async def _queue(self, refresh_token: str, answer: RevocationAnswer) -> bool:
        """Whether it waits in the store now."""
        now = self._clock.now()
        key = store_key("revocation", self._frontend, secrets.token_urlsafe(32))
        queued = Queued(refresh_token=refresh_token, queued_at=now)
        sealed = self._sealer.seal(queued, place=key)
        deadlines = Deadlines(idle=SECONDS, absolute=now + SECONDS, refresh=None)
        version = secrets.token_hex(12)
        try:
            if await self.length() >= MOST:
                return False
            # Listed last: whoever found it on the list before it is there would strike it off.
            await self._store.create(key, sealed, deadlines, owner=version, kid="")
            await self._store.index_add(self._list, key, version.encode(), deadlines.absolute)
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="revocation")
            return False
        self._wake(pause_after(answer, 0.0))
        return True

    def _wake(self, seconds: float) -> None:
        """Look at the queue after so many seconds, if not earlier."""
        if self._now() + seconds < self._due_at:
            self._due_at = self._now() + seconds
            self._news.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _look(self) -> float | None:
        """Try what is due, one after the other; seconds to rest where the provider fails."""
        try:
            for key, version in await self._store.index_members([self._list]):
                wait = await self._try(key, version.decode())
                if wait is not None:
                    return wait
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="revocation")
        return None

    async def _try(self, key: str, version: str) -> float | None:
        owner = secrets.token_hex(12)
        lease = await self._store.lease(key, version, owner=owner, seconds=self._lease)
        if lease.outcome in _OURS:
            return await self._leased(key, owner)
        if lease.outcome is LeaseOutcome.HELD:
            self._wake((lease.until or 0.0) - self._clock.now())
        else:
            await self._store.index_remove(self._list, key)  # it is over
        return None

    async def _leased(self, key: str, owner: str) -> float | None:
        """One try, and what follows; seconds to rest where the provider fails."""
        try:
            queued = await self._opened(key)
        except KeyUnknown:  # another process may know it
            await self._later(key, owner, LONGEST_PAUSE)
            return None
        if queued is None:
            await self._done(key)
            return None
        answer = await revoke_once(self._server, queued.refresh_token, hint="refresh_token")
        # By another secret, while one takes the place of the other, it may be let in yet.
        if answer.outcome is not Revoked.LATER and answer.status != UNAUTHORIZED:
            await self._done(key)
            return None
        waited = self._clock.now() - queued.queued_at
        pause = pause_after(answer, waited)
        if waited + pause < SECONDS:
            await self._later(key, owner, pause)
        else:
            tell(Event.REVOCATION_FAILED, frontend=self._frontend, reason="too_late")
            await self._done(key)
        return float(answer.retry_after or 0)

    async def _later(self, key: str, owner: str, pause: float) -> None:
        not_before = self._clock.now() + pause
        await self._store.release(key, owner=owner, how=Release.CLEAN, not_before=not_before)
        self._wake(pause)

    async def _opened(self, key: str) -> Queued | None:
        """What is queued there; None for what nobody can ever open. Raises KeyUnknown."""
        loaded = await self._store.load(key)
        if not isinstance(loaded, Loaded):
            return None
        try:
            return self._sealer.open(loaded.sealed, Queued, place=key)
        except SealBroken:
            tell(Event.RECORD_REFUSED, frontend=self._frontend)
            return None

    async def _done(self, key: str) -> None:
        await self._store.end(key, owner=secrets.token_hex(12), reason="revoked")
        await self._store.index_remove(self._list, key)
