"""Where sessions are found without their cookies: sets of one person, and of one provider session.

The names of the sets are keyed hashes and the entries are sealed, both under the keyring: a copy of
the store tells neither who is signed in nor where. Added under the current key, looked up and
removed under every key that may open.
"""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Literal

from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.keys import Key, Keyring, derive
from bff.session.record import Session
from bff.session.seal import KeyUnknown, SealBroken, Sealer
from bff.session.store import Store

Kind = Literal["sub", "sid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """What is known of a session without its cookie. Sealed under the keyring."""

    handle: str
    created_at: float
    device: str  # in plain words
    sub: str = field(repr=False)
    sid: str | None = field(repr=False)
    address: str | None = field(default=None, repr=False)  # of the browser, where configured
    iss: str = ""  # none: from before there could be several providers


class Index:
    """The sets of one front end. Every method raises StoreUnavailable."""

    def __init__(self, *, frontend: FrontEnd, keyring: Keyring, store: Store) -> None:
        self._frontend = frontend
        self._keyring = keyring
        self._store = store
        self._sealer = Sealer(keyring, "index", frontend.origin)

    async def add(
        self, key: str, session: Session, *, device: str, address: str | None, until: float
    ) -> None:
        """List a session that is about to begin, until a time."""
        entry = IndexEntry(
            handle=secrets.token_urlsafe(12),
            created_at=session.created_at,
            device=device,
            sub=session.identity.sub,
            sid=session.identity.sid,
            address=address,
            iss=session.identity.iss,
        )
        for name in self._names_of(session.identity.iss, entry.sub, entry.sid, current=True):
            closed = self._sealer.seal(entry, place=name)
            await self._store.index_add(name, key, closed, until)

    async def members(self, kind: Kind, iss: str, value: str) -> dict[str, IndexEntry | None]:
        """The sessions of a person or a provider session by their key; None: does not open."""
        found: dict[str, IndexEntry | None] = {}
        for name in self._names(self._keyring.all(), kind, iss, value):
            for key, closed in await self._store.index_members([name]):
                found[key] = self._opened(closed, name)
        return found

    async def everyone(self) -> AsyncIterator[dict[str, IndexEntry]]:
        """All sessions of this front end by their key, set by set; most are in two sets.

        What does not open is another front end's, or of a key that is gone and opens nothing.
        """
        async for name in self._store.index_names():
            members = await self._store.index_members([name])
            opened = {key: self._open(closed, name) for key, closed in members}
            yield {key: entry for key, entry in opened.items() if entry is not None}

    async def remove(self, key: str, *, iss: str, sub: str, sid: str | None) -> None:
        """List a session no longer. Idempotent."""
        for name in self._names_of(iss, sub, sid, current=False):
            await self._store.index_remove(name, key)

    def _opened(self, closed: bytes, name: str) -> IndexEntry | None:
        entry = self._open(closed, name)
        if entry is None:
            tell(Event.RECORD_REFUSED, frontend=self._frontend.name)
        return entry

    def _open(self, closed: bytes, name: str) -> IndexEntry | None:
        try:
            return self._sealer.open(closed, IndexEntry, place=name)
        except (KeyUnknown, SealBroken):
            return None

    def _names_of(self, iss: str, sub: str, sid: str | None, *, current: bool) -> list[str]:
        keys = (self._keyring.current,) if current else self._keyring.all()
        of_person = self._names(keys, "sub", iss, sub)
        return of_person if sid is None else [*of_person, *self._names(keys, "sid", iss, sid)]

    def _names(self, keys: Iterable[Key], kind: Kind, iss: str, value: str) -> list[str]:
        parts = [part.encode() for part in (kind, self._frontend.name, iss, value)]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return [
            hmac.digest(derive(key, "index", self._frontend.origin), message, hashlib.sha256).hex()
            for key in keys
        ]
