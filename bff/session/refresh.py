"""One refresh per session, everywhere, whatever fails.

One task per session in this process, one lease per session across processes. The winner presents
the refresh token (`spend`) and writes the new ones before anybody uses them; everyone else waits
and re-reads. Only a refresh token proven dead, or an answer that names another person, ends a
session; everything else is passing.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from typing import Final

from bff.clock import Clock
from bff.config.lease import lease_seconds
from bff.config.load import FrontEnd
from bff.problem import Reason, Refused
from bff.provider.server import AuthorizationServer
from bff.session.background import Background
from bff.session.opened import Found, Opened
from bff.session.record import expired
from bff.session.spend import Owned, Spender
from bff.session.steps import Need, need
from bff.session.store import Lease, LeaseOutcome, Store, StoreUnavailable
from bff.session.watch import POLL, Watch

FORCED_AFTER: Final = 30.0  # seconds; a younger token is not renewed for an upstream's 401
FORCED_KEPT: Final = 8192


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
        spender: Spender,
    ) -> None:
        self._frontend = frontend
        self._store = store
        self._opened = opened
        self._watch = watch
        self._server = server
        self._clock = clock
        self._background = background
        self._spender = spender
        self._forced: OrderedDict[str, str] = OrderedDict()  # key → the version refused once
        self._running: dict[str, asyncio.Task[Found | Refused]] = {}
        self._lease_seconds = lease_seconds(
            frontend.refresh.lease,
            server.config.total_timeout,
            frontend.session.store_deadline,
        )
        # Whoever began together with an owner that died is there when its lease has lapsed.
        self._patience = self._lease_seconds + 2 * POLL

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
        result = await self._joined(self._task(found, forced=True))
        if isinstance(result, Refused) or result.version == found.version:
            return None  # the upstream's own answer says more than our trouble
        return result

    async def _wait_for_fresh(self, found: Found) -> Found:
        """Join the refresh until the access token is good."""
        while True:
            result = await self._joined(self._task(found))
            if isinstance(result, Refused):
                raise Refused(result.reason, retry_after=result.retry_after)
            if result.version != found.version or not self._over(result):
                return result  # however short a life the provider gave it
            found = result  # the task we joined had begun ahead, and left it to another process

    async def _joined(self, task: asyncio.Task[Found | Refused]) -> Found | Refused:
        """What comes of a refresh. Its owner may be writing for longer than anybody waits."""
        # Not cancelled with us: a browser that goes away does not end a refresh.
        await asyncio.wait([task], timeout=self._patience)
        return task.result() if task.done() else Refused(Reason.STORE_UNAVAILABLE)

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
        deadline = time.monotonic() + self._patience
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
        if (wait := self._server.restraint.wait(asked_at)) > 0:
            return self._left_alone(found, forced, wait)
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
                owned = Owned(
                    owner=owner,
                    until=asked_at + self._lease_seconds,
                    maybe_spent=lease.outcome is LeaseOutcome.GRANTED_AFTER_LAPSE,
                    definite_400_at=lease.definite_400_at,
                    definite_400_by=lease.definite_400_by,
                )
                return await self._spender.spend(found, owned)

    async def _wait(self, found: Found, lease: Lease, forced: bool) -> Found | Refused | None:
        left = (lease.until or 0.0) - self._clock.now()
        if lease.backing_off or not (forced or self._over(found)):
            return self._left_alone(found, forced, left)
        await self._watch.changed(found.key, min(max(left, 0.01), POLL))
        return None

    def _left_alone(self, found: Found, forced: bool, seconds: float) -> Found | Refused:
        """What a request gets while nobody is to ask, or another one is at it: no hurry ahead."""
        if not (forced or self._over(found)):
            return found
        return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(seconds)))
