"""Logout by the provider: which sessions it means, how they end, and what is remembered of it.

Above `sessions`, below the endpoints that hear of it (OpenID Connect Back-Channel Logout §2.7).
There is no cookie: sessions are found by the index, and their tokens are destroyed with them.
"""

import asyncio
import secrets
from contextvars import copy_context
from typing import Final

from bff.journal.log import Event, crashed, tell
from bff.journal.metrics import ENDED, count
from bff.provider.logout_token import ISSUED_WITHIN, LogoutToken
from bff.session.index import IndexEntry
from bff.session.kept import KeptLogout, KeptLogouts
from bff.session.record import Deadlines
from bff.session.seal import store_key
from bff.session.sessions import Sessions
from bff.session.store import StoreUnavailable

FIRST_PAUSE: Final = 0.5  # seconds between two attempts to carry out what is kept …
LONGEST_PAUSE: Final = 10.0  # … which grow to this


class ProviderLogouts:
    """What the provider says about the sessions of one front end."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._clock = sessions.clock
        # Longer than any token counts: it may be dated ahead, or come late, by the skew.
        skew = max(each.clock_skew for each in sessions.frontend.providers.values())
        self._remembered = ISSUED_WITHIN + max(60.0, 2 * skew + 1)  # seconds

    def run(self) -> None:
        """Begin to carry out what is kept, for ever."""
        self._sessions.background.keep(self._carry_out_kept())

    async def carry_out(self, token: LogoutToken) -> bool:
        """End what the token names; False where this very token has come before (B-05).

        Raises StoreUnavailable: then it is kept, and carried out as soon as that can be (B-09)."""
        heard_at = self._clock.now()
        try:
            return await self._carry_out(token, None)
        except StoreUnavailable:
            lifetime = self._sessions.frontend.session.lifetime
            kept = KeptLogout(
                token=token, heard_at=heard_at, until=heard_at + lifetime, context=copy_context()
            )
            if not self._sessions.kept.keep(kept):
                tell(Event.STORE_FAILED, operation="provider_logout", reason="not_kept")
            raise

    async def end_provider_session(self, iss: str, sid: str) -> None:
        """End the sessions of that provider session, without a proof: nothing is written for
        nobody, and nothing is remembered (FCL §2). Raises StoreUnavailable."""
        for key, entry in (await self._sessions.index.members("sid", iss, sid)).items():
            await self._end(key, entry, iss)

    async def _carry_out(self, token: LogoutToken, kept: KeptLogout | None) -> bool:
        claim = store_key("logout-token", self._sessions.frontend.name, token.iss, token.jti)
        if await self._store.peek(claim) is not None:
            return False
        if token.sid is not None:
            # `note`, not `create`, for which the first `iat` would stay: of several logouts of one
            # provider session the latest decides which login comes after them.
            marker = self._sessions.marker(token.iss, token.sid)
            await self._store.note(marker, token.iat, seconds=self._remembered)
        await self._end_all(token, kept)
        # The claim comes last: a token that was cut short may come again (B-05).
        deadlines = Deadlines(
            idle=self._remembered, absolute=self._clock.now() + self._remembered, refresh=None
        )
        owner = secrets.token_hex(12)
        return await self._store.create(claim, b"", deadlines, owner=owner, kid="")

    async def _end_all(self, token: LogoutToken, kept: KeptLogout | None) -> None:
        if token.sid is not None:
            listed = await self._sessions.index.members("sid", token.iss, token.sid)
        else:
            listed = await self._sessions.index.members("sub", token.iss, token.sub or "")
        meant = {key: entry for key, entry in listed.items() if _is_meant(token, entry, kept)}
        ended = [await self._end(key, entry, token.iss) for key, entry in meant.items()]
        if not any(ended):
            tell(Event.PROVIDER_LOGOUT, frontend=self._sessions.frontend.name, count=0)

    async def _end(self, key: str, entry: IndexEntry | None, iss: str) -> bool:
        """Whether it lived until now. What is only listed ends too: it may be about to begin."""
        lived = await self._sessions.end_listed(key)
        if lived:
            count(ENDED, self._sessions.frontend.name, "provider_logout")
            tell(
                Event.PROVIDER_LOGOUT,
                frontend=self._sessions.frontend.name,
                session=self._sessions.key_tag(key),
                person=None if entry is None else self._sessions.subject_tag(iss, entry.sub),
            )
        if entry is not None:  # else it is pruned at its deadline
            await self._sessions.index.remove(key, iss=iss, sub=entry.sub, sid=entry.sid)
        return lived

    async def _carry_out_kept(self) -> None:
        pause, all_kept = FIRST_PAUSE, self._sessions.kept
        while True:
            for each in await all_kept.some():
                # In the context of the request that brought it: the auditor wants to know.
                attempt = asyncio.create_task(self._try(each, all_kept), context=each.context)
                if not await attempt:
                    break
            if all_kept:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE

    async def _try(self, each: KeptLogout, all_kept: KeptLogouts) -> bool:
        """Carry that one out, and keep it no longer; False where the store is still down."""
        try:
            if self._clock.now() < each.until:
                await self._carry_out(each.token, each)
            all_kept.drop(each)
        except StoreUnavailable:
            return False
        except Exception as error:  # noqa: BLE001 - what breaks at one must not keep the others
            crashed(error)
        return True


def _is_meant(token: LogoutToken, entry: IndexEntry | None, kept: KeptLogout | None) -> bool:
    """Whether the token means a session of that entry, found by the token's `sid`, or its `sub`."""
    if entry is None:
        return True  # nobody can say whose it is, and whoever it is can sign in again
    if kept is not None and kept.spares(entry.created_at):
        return False
    return token.concerns(iss=token.iss, sub=entry.sub, sid=entry.sid)
