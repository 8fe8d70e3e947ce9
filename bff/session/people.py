"""The sessions of one person in all browsers: listed, ended without their cookies, bounded.

What is listed comes from the index; whether it lives, and when it was last used, from the records
themselves, whose peeks travel together. A session ended from here has its tokens destroyed with
its record: nobody at hand could open it to revoke them.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from bff.journal.log import Event, tell
from bff.journal.metrics import ENDED, count
from bff.session.index import IndexEntry
from bff.session.sessions import Sessions
from bff.session.store import Live, StoreUnavailable

# Seconds after which an entry without a record is one that is over. Entries are written before
# their records, and the time in them is from before the tokens were asked for.
SETTLED: Final = 300.0
AT_ONCE: Final = 256  # peeks under way: the store has others to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A live session as its person, or an operator, sees it."""

    key: str = field(repr=False)
    entry: IndexEntry
    live: Live


class People:
    """Those of one front end. Every method raises StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._issuers = tuple(sessions.dealings)

    async def listed(self, sub: str, *, iss: str | None = None) -> list[Listed]:
        """The live sessions of that person, the newest first. What is over is listed no longer.

        Without `iss`, for an operator: of whoever has that `sub` at any of the providers."""
        members = await self._members(sub, iss)
        return await self._live({key: entry for key, entry in members.items() if entry is not None})

    async def everyone(self) -> list[Listed]:
        """The live sessions of everybody, the newest first. Reads the whole store, step by step."""
        entries: dict[str, IndexEntry] = {}
        async for some in self._sessions.index.everyone():
            entries.update(some)
        return await self._live(entries)

    async def some(self, *, most: int, seconds: float) -> tuple[list[Listed], bool]:
        """Live sessions of anybody, the newest first; and whether there may be others.

        The index is read until it has named `most`, for `seconds` at most."""
        entries: dict[str, IndexEntry] = {}
        cut = True
        end = asyncio.get_running_loop().time() + seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for few in self._sessions.index.everyone():
                    entries.update(few)
                    # Looked at here too: a cancellation may be lost in a connection's own time-out.
                    if len(entries) > most or asyncio.get_running_loop().time() >= end:
                        break
                else:
                    cut = False
        return await self._live(dict(islice(entries.items(), most))), cut

    async def _members(self, sub: str, iss: str | None) -> dict[str, IndexEntry | None]:
        found: dict[str, IndexEntry | None] = {}
        for each in self._issuers if iss is None else (iss,):
            found |= await self._sessions.index.members("sub", each, sub)
        return found

    def _iss(self, entry: IndexEntry) -> str:
        """Its issuer; an entry from before there could be several has the only one."""
        return entry.iss or self._issuers[0]

    async def _live(self, entries: Mapping[str, IndexEntry]) -> list[Listed]:
        found: list[Listed] = []
        over: dict[str, IndexEntry] = {}
        keys = list(entries)
        for place in range(0, len(keys), AT_ONCE):
            some = keys[place : place + AT_ONCE]
            there = await asyncio.gather(*(self._sessions.store.peek(key) for key in some))
            for key, live in zip(some, there, strict=True):
                if isinstance(live, Live):
                    found.append(Listed(key=key, entry=entries[key], live=live))
                elif self._sessions.clock.now() - entries[key].created_at > SETTLED:
                    over[key] = entries[key]
        if over:
            self._sessions.background.run(self._prune(over))
        return sorted(found, key=_age, reverse=True)

    async def _prune(self, over: Mapping[str, IndexEntry]) -> None:
        try:
            for key, entry in over.items():
                await self._unlist(key, entry)
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="index_remove")  # another time, or at its deadline

    async def end(self, listed: Collection[Listed], *, cause: str) -> None:
        """End these; `cause` is for the auditor."""
        for each in listed:
            await self._end(each.key, each.entry, cause)

    async def end_all(
        self, sub: str, *, spared: str | None, cause: str, iss: str | None = None
    ) -> None:
        """End every session of that person but the one at the key `spared`.

        Those that are just beginning too, and those of which only the index still knows.
        """
        for key, entry in (await self._members(sub, iss)).items():
            if key != spared:
                await self._end(key, entry, cause)

    async def _end(self, key: str, entry: IndexEntry | None, cause: str) -> None:
        if await self._sessions.end_listed(key):
            tag = self._sessions.subject_tag
            count(ENDED, self._sessions.frontend.name, cause)
            tell(
                Event.SESSION_KILLED,
                frontend=self._sessions.frontend.name,
                session=self._sessions.key_tag(key),
                person=None if entry is None else tag(self._iss(entry), entry.sub),
                reason=cause,
            )
        if entry is not None:
            await self._unlist(key, entry)

    async def _unlist(self, key: str, entry: IndexEntry) -> None:
        await self._sessions.index.remove(key, iss=self._iss(entry), sub=entry.sub, sid=entry.sid)

    async def bound(self, sub: str, *, iss: str | None = None) -> None:
        """End the oldest sessions of a person who has more than `session.max_per_user` (S-17).

        Called after each login, when the new session is there. Of several at once the one whose
        session was stored last sees all of them, and everybody ends by the same order.
        """
        most = self._sessions.frontend.session.max_per_user
        if most is not None:
            await self.end((await self.listed(sub, iss=iss))[most:], cause="max_per_user")


def _age(listed: Listed) -> tuple[float, str]:
    return listed.entry.created_at, listed.key
