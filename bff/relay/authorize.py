"""One route made ready to relay, and whose token goes with a request on it (Q-07)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bff.caller.cookies import Cookies
from bff.caller.crowd import Crowd
from bff.caller.request import BrowserRequest
from bff.problem import Answer, Reason, Refused
from bff.provider.dpop import Nonces
from bff.relay.bound import nonce_in, proof_for, wants_nonce
from bff.relay.framing import AnswerHead
from bff.relay.observed import Observed
from bff.relay.shown import Shown, Source
from bff.relay.upstream import Upstream
from bff.relay.way import Relayed, inferred
from bff.session.access import AccessRule, require_access
from bff.session.background import Users
from bff.session.opened import Found
from bff.session.sessions import Sessions

_AS_NOBODY: Final = frozenset(
    {
        Reason.NO_SESSION,
        Reason.SESSION_EXPIRED,
        Reason.SESSION_ENDED,
        Reason.REFRESH_REJECTED,
        Reason.REFRESH_INTERRUPTED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One route with its upstream, the sessions it may need, and how it refuses."""

    way: Relayed
    upstream: Upstream
    sessions: Sessions
    cookies: Cookies
    users: Users = field(repr=False)
    crowd: Crowd
    observed: Observed = field(repr=False)
    refuse: Callable[[BrowserRequest, Refused], Answer] = field(repr=False)
    rule: AccessRule | None  # what the route asks of a session beside being one
    own: Source | None = None  # where the route gets a token that is not the session's own
    nonces: Nonces = field(default_factory=Nonces, repr=False)  # what the upstream wants in proofs

    @property
    def personal(self) -> bool:
        """Whether the token that goes along is a person's."""
        return self.own is None or self.own.personal

    def session_id(self, request: BrowserRequest) -> str | None:
        """The session that the request is to use; None: it goes without. Raises Refused."""
        if self.way.for_all:
            return None
        so_far = inferred(self.way, request.section)
        if so_far.session_id is not None:
            return so_far.session_id
        try:
            so_far.session_id = self.cookies.read_session(request)
            return so_far.session_id
        except Refused as refused:
            if not self._goes_as_nobody(refused):
                raise
            return None

    def glance(
        self, request: BrowserRequest, session_id: str, then: Callable[[Found | None], None]
    ) -> None:
        """Call `then` with the session, if it is at hand and good as it is; else with None."""
        so_far = inferred(self.way, request.section)
        at_hand = so_far.at_hand
        if at_hand is None or at_hand.found is None:  # or it has been let go of
            at_hand = so_far.at_hand = self.sessions.at_hand(session_id)
        if at_hand is None:
            then(None)
        else:
            self.sessions.glance(at_hand, then)

    async def find(self, session_id: str) -> Found | None:
        """The session with a token that is good to use; None: it goes without. Raises Refused."""
        try:
            return await self.sessions.fresh(await self.sessions.find(session_id))
        except Refused as refused:
            if not self._goes_as_nobody(refused):
                raise
            return None

    async def another(self, source: Source, found: Found | None) -> Shown | None:
        """The token for this route; None: it goes without, for nobody. Raises Refused."""
        try:
            return await source.get(found)
        except Refused as refused:
            if not self._goes_as_nobody(refused):
                raise
            return None

    def require(self, rule: AccessRule, found: Found | None) -> None:
        """Return if the session meets the rule of the route. Raises Refused; the auditor hears."""
        if found is None:
            raise Refused(Reason.NO_SESSION)
        try:
            require_access(rule, found.session)
        except Refused as refused:
            self.sessions.access_refused(found, refused)
            raise

    def proof(self, request: BrowserRequest, shown: Shown) -> bytes | None:
        """What goes with the token, where that is bound to a key (P-09)."""
        return proof_for(self.way, request, shown, self.nonces, self.sessions.clock.now())

    def asks_for_nonce(self, answer: AnswerHead) -> bool:
        """Whether the upstream refuses for want of the nonce that it sends; each is remembered."""
        nonce = nonce_in(answer.headers)
        self.nonces.heard(self.way.upstream_origin, nonce)
        return nonce is not None and wants_nonce(answer.status, answer.headers)

    def _goes_as_nobody(self, refused: Refused) -> bool:
        return self.way.route.auth == "optional" and refused.reason in _AS_NOBODY
