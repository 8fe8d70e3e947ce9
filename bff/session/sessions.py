"""The sessions of one front end: begin, find, keep fresh, slide, end.

The face that `caller`, `browser` and `relay` see of this room.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.journal.log import Event, tag, tell
from bff.keys import Key, Keyring, derive
from bff.problem import Reason, Refused
from bff.provider.revocation import revoke
from bff.provider.server import AuthorizationServer
from bff.session.background import Background
from bff.session.history import SharedHistory
from bff.session.opened import Found, Opened
from bff.session.record import Deadlines, Session, Tokens
from bff.session.refresh import Refresher
from bff.session.seal import Sealer
from bff.session.spend import Spender
from bff.session.store import EndAnswer, OutcomeUnknown, Store, StoreUnavailable
from bff.session.watch import Watch

Hint = Literal["refresh_token", "access_token"]

SLIDE_AT_MOST: Final = 60.0  # seconds; a session may end that much early, never late


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """What is known of a session without its cookie. Sealed under the keyring."""

    handle: str
    created_at: float
    device: str
    sub: str = field(repr=False)
    sid: str | None = field(repr=False)


class Sessions:
    """All there is to do with the sessions of one front end."""

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
        self.frontend = frontend
        self.server = server
        self.background = background
        self.store = store
        self.clock = clock
        self._keyring = keyring
        self._index_sealer = Sealer(keyring, "index", frontend.origin)
        self._log_key = derive(keyring.current, "log", frontend.origin)
        record_sealer = Sealer(keyring, "record", frontend.origin)
        self._opened = Opened(store=store, sealer=record_sealer, clock=clock, frontend=frontend)
        self._watch = Watch(store, self._opened.forget)
        self._history = SharedHistory(
            frontend=frontend, keyring=keyring, store=store, server=server
        )
        self._refresher = Refresher(
            frontend=frontend,
            store=store,
            opened=self._opened,
            watch=self._watch,
            server=server,
            clock=clock,
            background=background,
            spender=Spender(
                frontend=frontend,
                store=store,
                opened=self._opened,
                server=server,
                clock=clock,
                background=background,
                history=self._history,
            ),
        )
        self._sliding: set[str] = set()

    def run(self) -> None:
        """Start what goes on for ever: listening, dropping what is unused, telling others."""
        self.background.keep(self._watch.run())
        self.background.keep(self._opened.sweep())
        self.background.keep(self._history.run())

    async def find(self, session_id: str) -> Found:
        """The live session of that id. Raises Refused with the reason why there is none."""
        return await self._opened.find(session_id)

    def glance(self, session_id: str, then: Callable[[Found | None], None]) -> None:
        """Call `then` with the live session whose access token is good as it is, without a task.

        With None where there is more to do: then `find` and `fresh` are the way.
        """
        self._opened.glance(session_id, then)

    async def fresh(self, found: Found) -> Found:
        """The session with an access token that is good to use. Raises Refused."""
        return await self._refresher.fresh(found)

    async def after_refusal(self, found: Found) -> Found | None:
        """The session with another access token than one an upstream refused. Raises Refused."""
        return await self._refresher.after_refusal(found)

    def slide(self, found: Found) -> None:
        """Push the idle deadline out, behind the caller; only now and then (S-11)."""
        rest = min(self.frontend.session.idle / 20, SLIDE_AT_MOST)
        if self.clock.now() - found.live.seen_at < rest or found.key in self._sliding:
            return
        self._sliding.add(found.key)
        self.background.run(self._slide(found.key))

    async def _slide(self, key: str) -> None:
        try:
            await self.store.touch(key)
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="touch")  # a failed slide refuses nothing
        finally:
            self._sliding.discard(key)

    async def slide_now(self, found: Found) -> Found:
        """Push the idle deadline out and wait for it: the person says so. Raises Refused."""
        try:
            await self.store.touch(found.key)
        except StoreUnavailable:
            raise Refused(Reason.STORE_UNAVAILABLE) from None
        return await self.find(found.session_id)

    async def begin(self, session: Session, *, device: str) -> str:
        """Store a new session and return its id: 256 random bits. Raises Refused.

        Index entries come first: a session that no logout can find must not exist.
        """
        session_id = secrets.token_urlsafe(32)
        key = self._opened.key(session_id)
        section = self.frontend.session
        deadlines = Deadlines(
            idle=section.idle,
            absolute=session.created_at + section.lifetime,
            refresh=session.tokens.refresh_expires_at,
        )
        entry = IndexEntry(
            handle=secrets.token_urlsafe(12),
            created_at=session.created_at,
            device=device,
            sub=session.identity.sub,
            sid=session.identity.sid,
        )
        sealed = self._opened.seal(key, session_id, session)
        owner = secrets.token_hex(12)
        kid = self._keyring.current.kid
        try:
            for name in self._index_names(session, (self._keyring.current,)):
                closed = self._index_sealer.seal(entry, place=name)
                await self.store.index_add(name, key, closed, deadlines.absolute)
            created = await self.store.create(key, sealed, deadlines, owner=owner, kid=kid)
        except StoreUnavailable as error:
            if isinstance(error, OutcomeUnknown):
                self.background.run(self._undo(key))
            raise Refused(Reason.STORE_UNAVAILABLE) from None
        if not created:  # 256 random bits met a key that exists: something is very wrong
            raise Refused(Reason.INTERNAL_ERROR)
        return session_id

    def abandon(self, session_id: str) -> None:
        """End a session that was begun and that no browser will ever know, behind the caller."""
        self.background.run(self._undo(self._opened.key(session_id)))

    async def _undo(self, key: str) -> None:
        try:
            await self.store.end(key, owner=secrets.token_hex(12), reason="session_ended")
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="end")  # nobody has its id; its TTL removes it

    async def end(self, session_id: str, reason: Reason) -> Session | None:
        """End a session; what it held, if it lived. Raises Refused(STORE_UNAVAILABLE)."""
        key = self._opened.key(session_id)
        try:
            answer = await self.store.end(key, owner=secrets.token_hex(12), reason=reason.value)
        except StoreUnavailable:
            raise Refused(Reason.STORE_UNAVAILABLE) from None
        self._opened.forget(key)
        session = self._was(key, session_id, answer)
        if session is not None:
            self.background.run(self._unlist(key, session))
        return session

    def _was(self, key: str, session_id: str, answer: EndAnswer) -> Session | None:
        if answer.sealed is None:
            return None
        try:
            return self._opened.unseal(key, session_id, answer.sealed)
        except Refused:
            return None  # ended all the same; nothing to revoke with

    async def _unlist(self, key: str, session: Session) -> None:
        try:
            for name in self._index_names(session, self._keyring.all()):
                await self.store.index_remove(name, key)
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="index_remove")  # pruned at its deadline

    def revoke(self, tokens: Tokens) -> None:
        """Revoke at the provider, behind the caller (RFC 7009)."""
        first: Hint = "access_token" if tokens.refresh_token is None else "refresh_token"
        both: tuple[Hint, Hint] = ("refresh_token", "access_token")
        wanted = both if self.frontend.logout.revoke_access_token else (first,)
        self.background.run(self._revoke(tokens, wanted))

    def revoke_former(self, former: Session, by: Session) -> None:
        """Revoke what a session held that a new login has ended, behind the caller.

        Most providers hang all of one person's tokens on one grant, and revoking any of them ends
        the grant: the new session's tokens as well. So for the same person they are destroyed with
        the record, where alone they were, unless the configuration says that it does no harm.
        """
        theirs = (former.identity.iss, former.identity.sub)
        another = theirs != (by.identity.iss, by.identity.sub)
        if another or self.frontend.logout.revoke_former:
            self.revoke(former.tokens)

    async def _revoke(self, tokens: Tokens, hints: Iterable[Hint]) -> None:
        for hint in hints:
            token = tokens.refresh_token if hint == "refresh_token" else tokens.access_token
            if token is not None:
                await revoke(self.server, token, hint=hint)

    def session_tag(self, session_id: str) -> str:
        """How the log names a session: a keyed hash (E-07)."""
        return tag(self._log_key, "session", self._opened.key(session_id))

    def person_tag(self, session: Session) -> str:
        """How the log names a person: a keyed hash of issuer and subject (E-07)."""
        return tag(self._log_key, "person", session.identity.iss, session.identity.sub)

    def _index_names(self, session: Session, keys: Iterable[Key]) -> list[str]:
        identity = session.identity
        people: list[tuple[Literal["sub", "sid"], str]] = [("sub", identity.sub)]
        if identity.sid is not None:
            people.append(("sid", identity.sid))
        return [
            _index_name(key, self.frontend, kind, identity.iss, value)
            for key in keys
            for kind, value in people
        ]


def _index_name(
    key: Key, frontend: FrontEnd, kind: Literal["sub", "sid"], iss: str, value: str
) -> str:
    parts = [part.encode() for part in (kind, frontend.name, iss, value)]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(derive(key, "index", frontend.origin), message, hashlib.sha256).hex()
