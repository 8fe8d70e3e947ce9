"""The sessions of one front end: begin, find, keep fresh, slide, end.

The face that `caller`, `browser` and `relay` see of this room.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.config.route_section import Route
from bff.journal.log import Event, tag, tell
from bff.keys import Keyring, derive
from bff.problem import Reason, Refused
from bff.provider.server import AuthorizationServer
from bff.provider.wanted import Wanted
from bff.session.background import Background
from bff.session.client_tokens import ClientTokens
from bff.session.dealings import dealings
from bff.session.following import Follower, Following, Seen, Told
from bff.session.index import Index
from bff.session.kept import KeptLogouts
from bff.session.opened import AtHand, Found, Opened
from bff.session.record import Deadlines, Session, Tokens, good_until
from bff.session.refresh import Refresher
from bff.session.route_spend import wanted_by
from bff.session.route_tokens import RouteTokens, Tried
from bff.session.seal import Sealer, store_key
from bff.session.store import EndAnswer, OutcomeUnknown, Store, StoreUnavailable
from bff.session.watch import Watch

UNSURE_KEPT: Final = 1024  # ends of sessions whose answers were lost


class Sessions:
    """All there is to do with the sessions of one front end."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        keyring: Keyring,
        store: Store,
        clock: Clock,
        servers: Sequence[AuthorizationServer],
        background: Background,
        kept: KeptLogouts,
    ) -> None:
        self.frontend = frontend
        self.background = background
        self.store = store
        self.clock = clock
        self.kept = kept
        self.index = Index(frontend=frontend, keyring=keyring, store=store)
        self._keyring = keyring
        self._log_key = derive(keyring.current, "log", frontend.origin)
        record_sealer = Sealer(keyring, "record", frontend.origin)
        self._opened = Opened(store=store, sealer=record_sealer, clock=clock, frontend=frontend)
        self._following = Following(store, clock, background)
        self._watch = Watch(store, self._opened.forget, self._following.changed)
        # By the issuer, which a session names: it knows no other provider than its own.
        self.dealings = {
            server.config.issuer: dealings(
                server,
                frontend=frontend,
                keyring=keyring,
                store=store,
                clock=clock,
                background=background,
                opened=self._opened,
                watch=self._watch,
            )
            for server in servers
        }
        self._sliding: set[str] = set()
        self._unsure_ends: dict[str, str] = {}  # by key, as whom it was asked
        self._client_tokens: dict[tuple[str, Wanted], ClientTokens] = {}
        self._tried: dict[Wanted, Tried] = {}

    def run(self) -> None:
        """Start what goes on for ever: listening, dropping what is unused, telling others."""
        self.background.keep(self._watch.run())
        self.background.keep(self._following.run())
        self.background.keep(self._opened.sweep())
        for each in self.dealings.values():
            each.run(self.background)

    async def find(self, session_id: str) -> Found:
        """The live session of that id. Raises Refused with the reason why there is none."""
        found = await self._opened.find(session_id)
        if self.kept and self.kept.ends(found.session):
            raise Refused(Reason.SESSION_ENDED)  # the store will say so too in a moment
        return found

    def at_hand(self, session_id: str) -> AtHand | None:
        """The session as `glance` looks at it, if it is known here already."""
        return self._opened.at_hand(session_id)

    def glance(self, at_hand: AtHand, then: Callable[[Found | None], None]) -> None:
        """Call `then` with the live session whose access token is good as it is, without a task.

        With None where there is more to do: then `find` and `fresh` are the way.
        """
        if self.kept:
            then(None)
        else:
            self._opened.glance(at_hand, then)

    async def fresh(self, found: Found) -> Found:
        """The session with an access token that is good to use. Raises Refused."""
        return await self._refresher(found).fresh(found)

    def _refresher(self, found: Found) -> Refresher:
        return self.dealings[found.session.identity.iss].refresher

    async def after_refusal(self, found: Found) -> Found | None:
        """The session with another access token than one an upstream refused. Raises Refused."""
        return await self._refresher(found).after_refusal(found)

    def client_tokens(self, provider: str, wanted: Wanted) -> ClientTokens:
        """Tokens of our own from that provider; routes that want the same share them."""
        config = self.frontend.providers[provider]
        if (provider, wanted) not in self._client_tokens:
            self._client_tokens[provider, wanted] = ClientTokens(
                frontend=self.frontend,
                keyring=self._keyring,
                store=self.store,
                clock=self.clock,
                server=self.dealings[config.issuer].server,
                background=self.background,
                watch=self._watch,
                wanted=wanted,
            )
        return self._client_tokens[provider, wanted]

    def route_tokens(self, route: Route) -> RouteTokens:
        """A person's tokens for that route alone; routes that want the same share them."""
        patience = max(each.leases.patience for each in self.dealings.values())
        tried = self._tried.setdefault(wanted_by(route), Tried(self.background, patience))
        return RouteTokens(
            route,
            frontend=self.frontend,
            opened=self._opened,
            clock=self.clock,
            dealings=self.dealings,
            tried=tried,
            told=self.access_refused,
        )

    def access_refused(self, found: Found, refused: Refused) -> None:
        """Tell the auditor that a session may not use a route."""
        tell(
            Event.ACCESS_REFUSED,
            frontend=self.frontend.name,
            session=self.session_tag(found.session_id),
            person=self.person_tag(found.session),
            reason=refused.reason.value,
        )

    def follow(
        self, found: Found, told: Told, seen: Seen | None = None, *, kid: str | None = None
    ) -> Follower:
        """Let `told` be called with the reason when the session ends, wherever that happens.

        Until then `seen` hears every now and then, and after each change, what there is. `kid`: the
        key of the cookie, for whoever goes on when another keyring is in use.
        """
        return self._following.follow(found.key, found.live, told, seen, kid)

    def rekey(self, keyring: Keyring) -> None:
        """Others are served under another keyring: end who still follows under a key it lacks."""
        self._following.rekey(keyring)

    def slide(self, found: Found) -> None:
        """Push the idle deadline out, behind the caller; only now and then (S-11)."""
        if self.clock.now() < found.slide_at or found.key in self._sliding:
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

    async def begin(
        self, session: Session, *, device: str, address: str | None, issued_at: float
    ) -> str:
        """Store a new session and return its id: 256 random bits. Raises Refused.

        `issued_at` is the `iat` of its ID token. PROVIDER_ERROR: the provider has signed that
        session out meanwhile (B-10). Index entries come first: a session that no logout can find
        must not exist.
        """
        session_id = secrets.token_urlsafe(32)
        key = self._opened.key(session_id)
        section = self.frontend.session
        deadlines = Deadlines(
            idle=section.idle,
            absolute=session.created_at + section.lifetime,
            refresh=good_until(session.tokens),
        )
        sealed = self._opened.seal(key, session_id, session)
        owner = secrets.token_hex(12)
        kid = self._keyring.current.kid
        try:
            await self.index.add(
                key, session, device=device, address=address, until=deadlines.absolute
            )
            # A logout writes its marker before it reads the index. So it is seen here, or it finds
            # the entry and leaves a tombstone, or ends what is created.
            begins = not await self._signed_out(session, issued_at) and await self.store.create(
                key, sealed, deadlines, owner=owner, kid=kid
            )
        except StoreUnavailable as error:
            if isinstance(error, OutcomeUnknown):
                self.background.run(self._undo(key))
            raise Refused(Reason.STORE_UNAVAILABLE) from None
        if not begins:
            self.background.run(self._unlist(key, session))
            raise Refused(Reason.PROVIDER_ERROR)
        return session_id

    async def _signed_out(self, session: Session, issued_at: float) -> bool:
        """Whether the provider has ended its own session since that ID token (B-10)."""
        if self.kept and self.kept.ends(session):
            return True
        identity = session.identity
        if identity.sid is None:
            return False
        signed_out_at = await self.store.noted(self.marker(identity.iss, identity.sid))
        return signed_out_at is not None and issued_at <= signed_out_at

    def marker(self, iss: str, sid: str) -> str:
        """Where it is noted that a provider session is over. It does not depend on the keyring."""
        return store_key("signed-out", self.frontend.name, iss, sid)

    def abandon(self, session_id: str) -> None:
        """End a session that was begun and that no browser will ever know, behind the caller."""
        self.background.run(self._undo(self._opened.key(session_id)))

    async def _undo(self, key: str) -> None:
        try:
            await self.store.end(key, owner=secrets.token_hex(12), reason="session_ended")
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="end")  # nobody has its id; its TTL removes it

    async def end(self, session_id: str, reason: Reason) -> Session | None:
        """End a session; what it held, if it lived. Raises Refused(STORE_UNAVAILABLE).

        Asked again after an end whose answer was lost, it still says what the session held: else
        nobody would revoke that.
        """
        key = self._opened.key(session_id)
        owner = self._unsure_ends.pop(key, None) or secrets.token_hex(12)
        try:
            answer = await self.store.end(key, owner=owner, reason=reason.value)
        except OutcomeUnknown:
            if len(self._unsure_ends) < UNSURE_KEPT:
                self._unsure_ends[key] = owner
            raise Refused(Reason.STORE_UNAVAILABLE) from None
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

    async def end_listed(self, key: str) -> bool:
        """End the session at that key, which is known without its cookie; its tokens go with it.

        Whether it lived until now. Raises StoreUnavailable."""
        owner, reason = secrets.token_hex(12), Reason.SESSION_ENDED.value
        answer = await self.store.end(key, owner=owner, reason=reason)
        self._opened.forget(key)
        return answer.sealed is not None

    async def _unlist(self, key: str, session: Session) -> None:
        who = session.identity
        try:
            await self.index.remove(key, iss=who.iss, sub=who.sub, sid=who.sid)
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="index_remove")  # pruned at its deadline

    def revoke(self, iss: str, tokens: Tokens, others: Sequence[str] = ()) -> None:
        """Revoke at the provider that gave them, behind the caller (RFC 7009).

        `others`: access tokens of routes."""
        theirs = self.dealings.get(iss)
        if theirs is not None:  # else nobody knows where, or as whom
            theirs.revocations.revoke(
                refresh_token=tokens.refresh_token, access_token=tokens.access_token, others=others
            )

    def revoke_all(self, session: Session) -> None:
        """Revoke whatever a session that has ended holds, behind the caller."""
        others = [each.access_token for each in session.route_tokens.values()]
        self.revoke(session.identity.iss, session.tokens, others)

    async def queued_revocations(self) -> int:
        """How many revocations wait in the store. Raises StoreUnavailable."""
        return sum([await each.revocations.length() for each in self.dealings.values()])

    def revoke_former(self, former: Session, by: Session) -> None:
        """Revoke what a session held that a new login has ended, behind the caller.

        Most providers hang all of one person's tokens on one grant, and revoking any of them ends
        the grant: the new session's tokens as well. So for the same person they are destroyed with
        the record, where alone they were, unless the configuration says that it does no harm.
        """
        theirs = (former.identity.iss, former.identity.sub)
        another = theirs != (by.identity.iss, by.identity.sub)
        if another or self.frontend.logout.revoke_former:
            self.revoke_all(former)

    def session_tag(self, session_id: str) -> str:
        """How the log names a session: a keyed hash (E-07)."""
        return self.key_tag(self._opened.key(session_id))

    def key_tag(self, key: str) -> str:
        """The same of a session that is known by its key in the store alone."""
        return tag(self._log_key, "session", key)

    def person_tag(self, session: Session) -> str:
        """How the log names a person: a keyed hash of issuer and subject (E-07)."""
        return self.subject_tag(session.identity.iss, session.identity.sub)

    def subject_tag(self, iss: str, sub: str) -> str:
        """The same of a person whose session is not at hand."""
        return tag(self._log_key, "person", iss, sub)
