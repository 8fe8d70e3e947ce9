"""Opened records, kept by key and version: decrypted once per change, asked for on every request.

The peek decides whether a record lives; what is kept here only saves the opening. So a session
ended anywhere is refused by the very next request everywhere.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import structs
from typing_extensions import override

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.dpop import DpopKey, open_dpop_key
from bff.session.record import RouteToken, Session, Tokens, quiet_until
from bff.session.seal import KeyUnknown, SealBroken, Sealer, store_key
from bff.session.store import Ended, Glimpse, Live, Store, StoreUnavailable

UNUSED_SECONDS: Final = 60.0
CAPACITY: Final = 8192  # records; the oldest goes first
SLIDE_AT_MOST: Final = 60.0  # seconds; a session may end that much early, never late

_REASONS: Final = frozenset(
    {
        Reason.SESSION_EXPIRED,
        Reason.SESSION_ENDED,
        Reason.REFRESH_REJECTED,
        Reason.REFRESH_INTERRUPTED,
    }
)


class RouteShown(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A token that a route has for itself, ready to be shown. Times are store time."""

    bearer: bytes
    proof_key: DpopKey | None
    issued_at: float
    expires_at: float | None
    quiet_until: float
    asked: str  # the scope that it was asked with
    granted: frozenset[str]  # scopes

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds."""
        return "<RouteShown>"


_NONE: Final[Mapping[str, RouteShown]] = {}


class Found(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A live session as one request sees it."""

    key: str
    session_id: str
    version: str
    live: Live  # when the store was last asked for all of it
    session: Session
    quiet_until: float  # store time until which the access token is good as it is
    slide_at: float  # store time from which on a use pushes the idle deadline out
    bearer: bytes  # the access token, as octets
    proof_key: DpopKey | None = None  # that it is bound to, if it is
    route_tokens: Mapping[str, RouteShown] = _NONE

    @property
    def expires_at(self) -> float | None:
        """When the access token ends, in store time; None: nobody knows."""
        return self.session.tokens.expires_at

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds: a session id is in it."""
        return "<Found>"


class AtHand:
    """A record that is kept opened, and the store's question about it.

    Whoever holds on to it holds nothing once it is let go of.
    """

    __slots__ = ("asks", "found", "glimpse", "key", "known", "name", "said", "size", "used")

    def __init__(self, key: str) -> None:
        self.key = key
        self.name = self.asks = self.said = b""
        self.size = 0
        self.glimpse: Glimpse | None = None
        self.known: Glimpse | None = None  # the last that was one of this very version
        self.found: Found | None = None
        self.used = True  # since the last sweep


def why_ended(ended: Ended) -> Refused:
    """The refusal that a tombstone's reason means."""
    known = next((reason for reason in _REASONS if reason == ended.reason), None)
    return Refused(known or Reason.SESSION_ENDED)


def _proof_key(session: Session, token: Tokens | RouteToken) -> DpopKey | None:
    """The token's type decides: a bearer token goes as one, whatever was asked for."""
    if token.token_type != "DPoP" or session.dpop_key is None:  # noqa: S105 - a name
        return None
    return open_dpop_key(session.dpop_key)


class Opened:
    """The records of one front end that this process has opened."""

    def __init__(self, *, store: Store, sealer: Sealer, clock: Clock, frontend: FrontEnd) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._frontend = frontend.name
        self._refresh = frontend.refresh
        self._lifetime = frontend.session.lifetime
        self._issuers = frozenset(each.issuer for each in frontend.providers.values())
        self._slide = min(frontend.session.idle / 20, SLIDE_AT_MOST)
        self._kept: dict[str, AtHand] = {}  # by key

    def key(self, session_id: str) -> str:
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
            found = None if kept is None else self._as_told(kept, there)
            found = found or await self._open(key, session_id, there)
            await self._require_lifetime(found)
        except StoreUnavailable:
            raise Refused(Reason.STORE_UNAVAILABLE) from None
        return found

    async def _require_lifetime(self, found: Found) -> None:
        """The store's deadlines stand in plain; what is sealed nobody can have put off.

        Raises Refused(SESSION_EXPIRED), by the store's time and not by what we take for it.
        """
        if self._clock.now() >= self._end(found.session):
            await self._store.load(found.key)  # with its answer comes the time
            if self._clock.now() >= self._end(found.session):
                raise Refused(Reason.SESSION_EXPIRED)

    def _end(self, session: Session) -> float:
        return session.created_at + self._lifetime

    def at_hand(self, session_id: str) -> AtHand | None:
        """The record of that session, if it is kept opened."""
        return self._kept.get(self.key(session_id))

    def glance(self, kept: AtHand, then: Callable[[Found | None], None]) -> None:
        """Call `then` with the session if the store says that the copy at hand is it.

        With None where there is more to do: then `find` is the way. Without a task, for the hot
        way; `then` raises nothing.
        """

        def seen(glimpse: Glimpse | None) -> None:
            found = None if glimpse is None else self._as_seen(kept, glimpse)
            then(found if found is not None and self._clock.now() < found.quiet_until else None)

        self._store.glance(kept, seen)

    def _as_seen(self, kept: AtHand, glimpse: Glimpse) -> Found | None:
        """The opened record, if it is still the one of which the store gives a glimpse."""
        found = kept.found
        if found is None:
            return None
        kept.used = True
        if kept.known is glimpse:
            return found
        if found.version != glimpse.version:
            return None
        found = structs.replace(found, slide_at=glimpse.seen_at + self._slide)
        kept.known, kept.found = glimpse, found
        return found

    def _as_told(self, kept: AtHand, live: Live) -> Found | None:
        """The same, with all that the store tells of it."""
        found = kept.found
        if found is None or found.version != live.version:
            return None
        kept.used = True
        found = structs.replace(found, live=live, slide_at=live.seen_at + self._slide)
        kept.found = found
        return found

    async def _open(self, key: str, session_id: str, live: Live) -> Found:
        loaded = await self._store.load(key)
        if loaded is None:
            raise Refused(Reason.SESSION_EXPIRED)
        if isinstance(loaded, Ended):
            raise why_ended(loaded)
        session = self.unseal(key, session_id, loaded.sealed)
        if session.identity.iss not in self._issuers:
            raise Refused(Reason.SESSION_ENDED)  # of a provider that the file names no longer
        return self.keep(key, session_id, live, loaded.version, session)

    def unseal(self, key: str, session_id: str, sealed: bytes) -> Session:
        """The session in a record's bytes. Raises Refused: KEY_UNKNOWN, SESSION_ENDED."""
        try:
            return self._sealer.open(sealed, Session, place=key, salt=session_id.encode())
        except KeyUnknown as unknown:
            ended = unknown.retired  # a replica that had it still has sealed the record since
            raise Refused(Reason.SESSION_ENDED if ended else Reason.KEY_UNKNOWN) from None
        except SealBroken:
            tell(Event.RECORD_REFUSED, frontend=self._frontend)
            raise Refused(Reason.SESSION_ENDED) from None

    def seal(self, key: str, session_id: str, session: Session) -> bytes:
        """The bytes to store for a session."""
        return self._sealer.seal(session, place=key, salt=session_id.encode())

    def keep(self, key: str, session_id: str, live: Live, version: str, session: Session) -> Found:
        """Keep an opened record at hand."""
        tokens, settings = session.tokens, self._refresh
        found = Found(
            key=key,
            session_id=session_id,
            version=version,
            live=live,
            session=session,
            quiet_until=min(
                quiet_until(tokens, ahead=settings.ahead, jitter=settings.jitter),
                self._end(session),
            ),
            slide_at=live.seen_at + self._slide,
            bearer=tokens.access_token.encode(),
            proof_key=_proof_key(session, tokens),
            route_tokens=self._route_tokens(session) if session.route_tokens else _NONE,
        )
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = AtHand(key)
            self._store.prepare(kept)
        kept.found, kept.known, kept.used = found, None, True
        if len(self._kept) > CAPACITY:
            self.forget(next(iter(self._kept)))
        return found

    def _route_tokens(self, session: Session) -> dict[str, RouteShown]:
        ahead, jitter = self._refresh.ahead, self._refresh.jitter
        return {
            name: RouteShown(
                bearer=token.access_token.encode(),
                proof_key=_proof_key(session, token),
                issued_at=token.issued_at,
                expires_at=token.expires_at,
                quiet_until=quiet_until(token, ahead=ahead, jitter=jitter),
                asked=token.asked,
                granted=frozenset(token.scope.split(" ")),
            )
            for name, token in session.route_tokens.items()
        }

    def forget(self, key: str) -> None:
        """Drop a record that changed."""
        if (kept := self._kept.pop(key, None)) is not None:
            kept.found = None  # whoever holds on to it

    async def sweep(self) -> None:
        """For ever: drop what has not been used of late. Secrets should not linger."""
        while True:
            await asyncio.sleep(UNUSED_SECONDS / 2)
            self.drop_unused()

    def drop_unused(self) -> None:
        """Drop what has not been used since the last time."""
        for key, kept in list(self._kept.items()):
            if not kept.used:
                self.forget(key)
            kept.used = False
