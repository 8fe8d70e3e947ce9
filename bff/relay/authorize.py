"""One route made ready to relay, and whose token goes with a request on it (Q-07)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bff.caller.cookies import Cookies
from bff.caller.request import BrowserRequest
from bff.problem import Answer, Reason, Refused
from bff.relay.exchange import Relayed
from bff.relay.upstream import Upstream
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
    refuse: Callable[[BrowserRequest, Refused], Answer] = field(repr=False)

    def session_id(self, request: BrowserRequest) -> str | None:
        """The session that the request is to use; None: it goes without. Raises Refused."""
        if self.way.route.auth == "none":
            return None
        try:
            return self.cookies.read_session(request)
        except Refused as refused:
            self._raise_unless_optional(refused)
            return None

    async def find(self, session_id: str) -> Found | None:
        """The session with a token that is good to use; None: it goes without. Raises Refused."""
        try:
            return await self.sessions.fresh(await self.sessions.find(session_id))
        except Refused as refused:
            self._raise_unless_optional(refused)
            return None

    def _raise_unless_optional(self, refused: Refused) -> None:
        if self.way.route.auth != "optional" or refused.reason not in _AS_NOBODY:
            raise refused
