"""Opened records, kept by key and version: decrypted once per change, asked for on every request.

The peek decides whether a record lives; what is kept here only saves the opening. So a session
ended anywhere is refused by the very next request everywhere.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec
from typing_extensions import override

from bff.clock import Clock
from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.session.record import Session
from bff.session.seal import KeyUnknown, SealBroken, Sealer, store_key
from bff.session.store import Ended, Live, Store, StoreUnavailable

UNUSED_SECONDS: Final = 60.0
CAPACITY: Final = 8192  # records; the least recently used goes first

_REASONS: Final = frozenset(
    {
        Reason.SESSION_EXPIRED,
        Reason.SESSION_ENDED,
        Reason.REFRESH_REJECTED,
        Reason.REFRESH_INTERRUPTED,
    }
)


class Found(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A live session as one request sees it."""

    key: str
    session_id: str
    version: str
    live: Live
    session: Session

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: a session id is in it."""
        return "<Found>"


@dataclass(slots=True)
class _Kept:
    version: str
    session: Session
    used_at: float


def why_ended(ended: Ended) -> Refused:
    """The refusal that a tombstone's reason means."""
    known = next((reason for reason in _REASONS if reason == ended.reason), None)
    return Refused(known or Reason.SESSION_ENDED)


class Opened:
    """The records of one front end that this process has opened."""

    def __init__(self, *, store: Store, sealer: Sealer, clock: Clock, frontend: str) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._frontend = frontend
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.key = lru_cache(maxsize=CAPACITY)(self._key)  # pure, and asked on every request

    def _key(self, session_id: str) -> str:
        """The store key of a session id."""
        return store_key("session", self._frontend, session_id)

    async def find(self, session_id: str) -> Found:
        """The live session of that id. Raises Refused with the reason why there is none."""
        key = self.key(session_id)
        try:
            there = await self._store.peek(key)
            if there is None:
                raise Refused(Reason.SESSION_EXPIRED)
            if isinstance(there, Ended):
                raise why_ended(there)
            kept = self._kept.get(key)
            if kept is not None and kept.version == there.version:
                kept.used_at = self._clock.now()
                self._kept.move_to_end(key)
                return _found(key, session_id, there, kept)
            return await self._open(key, session_id, there)
        except StoreUnavailable:
            raise Refused(Reason.STORE_UNAVAILABLE) from None

    async def _open(self, key: str, session_id: str, live: Live) -> Found:
        loaded = await self._store.load(key)
        if loaded is None:
            raise Refused(Reason.SESSION_EXPIRED)
        if isinstance(loaded, Ended):
            raise why_ended(loaded)
        session = self.unseal(key, session_id, loaded.sealed)
        return self.keep(key, session_id, live, loaded.version, session)

    def unseal(self, key: str, session_id: str, sealed: bytes) -> Session:
        """The session in a record's bytes. Raises Refused: KEY_UNKNOWN, SESSION_ENDED."""
        try:
            return self._sealer.open(sealed, Session, place=key, salt=session_id.encode())
        except KeyUnknown:
            raise Refused(Reason.KEY_UNKNOWN) from None
        except SealBroken:
            tell(Event.RECORD_REFUSED, frontend=self._frontend)
            raise Refused(Reason.SESSION_ENDED) from None

    def seal(self, key: str, session_id: str, session: Session) -> bytes:
        """The bytes to store for a session."""
        return self._sealer.seal(session, place=key, salt=session_id.encode())

    def keep(self, key: str, session_id: str, live: Live, version: str, session: Session) -> Found:
        """Keep an opened record at hand."""
        kept = self._kept[key] = _Kept(version, session, self._clock.now())
        self._kept.move_to_end(key)
        if len(self._kept) > CAPACITY:
            self._kept.popitem(last=False)
        return _found(key, session_id, live, kept)

    def forget(self, key: str) -> None:
        """Drop a record that changed."""
        self._kept.pop(key, None)

    async def sweep(self) -> None:
        """For ever: drop what has not been used for a minute. Secrets should not linger."""
        while True:
            await asyncio.sleep(UNUSED_SECONDS / 2)
            self.drop_unused()

    def drop_unused(self) -> None:
        """Drop what has not been used for a minute."""
        limit = self._clock.now() - UNUSED_SECONDS
        for key in [key for key, kept in self._kept.items() if kept.used_at < limit]:
            del self._kept[key]


def _found(key: str, session_id: str, live: Live, kept: _Kept) -> Found:
    return Found(
        key=key, session_id=session_id, version=kept.version, live=live, session=kept.session
    )
