"""What the owner of a lease does for one route: get a token for its API, and act on the answer.

Under `route_tokens`. Through the refresh token, which is spent as for the session itself
(RFC 8707 §2.2), or by an exchange of the access token, which spends nothing (RFC 8693). What an
answer means is decided in `steps`.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.config.route_section import Route
from bff.journal.metrics import ROUTE_TOKENS, count
from bff.problem import Reason, Refused
from bff.provider.server import AuthorizationServer
from bff.provider.token import exchange, refresh
from bff.provider.token_answer import TokenOutcome, TokenResponse
from bff.provider.wanted import Wanted
from bff.session.holding import Holding
from bff.session.leased import Owned
from bff.session.opened import Found
from bff.session.record import Session, expired, rotated, route_token_from
from bff.session.steps import ROUTE_STEPS, RouteStep
from bff.session.store import Release

_BACK_OFFS: Final = {
    RouteStep.BACK_OFF: Release.CLEAN,
    RouteStep.BACK_OFF_UNSURE: Release.UNSURE,
}


def wanted_by(route: Route) -> Wanted:
    """What the file has that route ask for; its scopes may still have claims in braces."""
    return Wanted(scopes=route.scopes, resource=route.resource, audience=route.audience)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a token is for: its name in the record, and what this session asks for."""

    name: str
    wanted: Wanted


class RouteSpender:
    """Gets tokens for routes, for the sessions of one front end at one provider."""

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        server: AuthorizationServer,
        clock: Clock,
        holding: Holding,
    ) -> None:
        self._frontend = frontend.name
        self._server = server
        self.clock = clock
        self._holding = holding
        self.way = server.config.route_tokens
        self._names = {wanted_by(route).name for route in frontend.routes if route.own_token}

    async def spend(
        self, found: Found, owned: Owned, purpose: Purpose
    ) -> tuple[Found | Refused | None, RouteStep | None]:
        """The session with the token, why there is none, or None: look again; and what was done."""
        by_refresh = self.way == "refresh"
        if by_refresh and found.session.tokens.refresh_token is None:
            await self._holding.release(found, owned)
            return Refused(Reason.INSUFFICIENT_SCOPE), RouteStep.REFUSE
        patience = self._holding.patience(owned)
        if patience <= 0:
            await self._holding.release(found, owned)
            return Refused(Reason.PROVIDER_UNAVAILABLE), None
        asked_at = self.clock.now()
        outcome = await self._asked(found.session, purpose.wanted, patience)
        count(ROUTE_TOKENS, self._frontend, self.way, outcome.answer.value)
        step = ROUTE_STEPS[outcome.answer, self.way]
        if step is RouteStep.STORE and outcome.response is not None:
            write = self._rotated if by_refresh else self._exchanged
            return await write(found, owned, outcome.response, asked_at, purpose), step
        if step in _BACK_OFFS:
            return await self._holding.back_off(found, owned, outcome, _BACK_OFFS[step]), step
        await self._holding.release(found, owned)
        later = step is RouteStep.LATER
        reason = Reason.PROVIDER_UNAVAILABLE if later else Reason.INSUFFICIENT_SCOPE
        return Refused(reason, retry_after=outcome.retry_after), step

    async def _asked(self, session: Session, wanted: Wanted, patience: float) -> TokenOutcome:
        tokens, key = session.tokens, session.dpop_key
        if self.way == "refresh":
            token = tokens.refresh_token or ""
            return await refresh(
                self._server, token, patience=patience, dpop_key=key, wanted=wanted
            )
        return await exchange(self._server, tokens.access_token, wanted, dpop_key=key)

    async def _exchanged(
        self,
        found: Found,
        owned: Owned,
        response: TokenResponse,
        asked_at: float,
        purpose: Purpose,
    ) -> Found | None:
        """Keep the token beside the session's own, which stay as they are."""
        session = self._with(found.session, response, asked_at, purpose)
        return await self._holding.write(found, owned, session, response, renewed=False)

    async def _rotated(
        self,
        found: Found,
        owned: Owned,
        response: TokenResponse,
        asked_at: float,
        purpose: Purpose,
    ) -> Found | Refused | None:
        """Keep the token, and the refresh token that came with it."""

        def bought(session: Session) -> Session:
            tokens = rotated(session.tokens, response, now=asked_at, id_token=response.id_token)
            return replace(self._with(session, response, asked_at, purpose), tokens=tokens)

        return await self._holding.keep(found, owned, response, asked_at, bought)

    def _with(
        self, session: Session, response: TokenResponse, asked_at: float, purpose: Purpose
    ) -> Session:
        """The session with that token; those of routes that are no longer in the file go."""
        token = route_token_from(
            response,
            now=asked_at,
            asked=purpose.wanted.scope,
            own_scope=session.tokens.scope,
            assume_expires_in=self._server.config.assume_expires_in,
        )
        former = {each: was for each, was in session.route_tokens.items() if each in self._names}
        return replace(session, route_tokens={**former, purpose.name: token})


@dataclass(slots=True, kw_only=True)
class Obtaining:
    """The errand for one route: another token than `refused`, or one that is good at all."""

    purpose: Purpose
    refused: bytes | None = field(repr=False)
    spender: RouteSpender
    met: RouteStep | None = None  # what came of it, if it was this process that asked

    def is_due(self, found: Found) -> bool:
        """Whether the session still has no such token."""
        return self.is_urgent(found)

    def is_urgent(self, found: Found) -> bool:
        """Whether there is none that could be used meanwhile."""
        token = found.session.route_tokens.get(self.purpose.name)
        if token is None or token.asked != self.purpose.wanted.scope:
            return True
        if expired(token, self.spender.clock.now()):
            return True
        return token.access_token.encode() == self.refused

    async def do(self, found: Found, owned: Owned) -> Found | Refused | None:
        """Ask for it."""
        result, self.met = await self.spender.spend(found, owned, self.purpose)
        return result
