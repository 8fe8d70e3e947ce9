"""A person's tokens for the routes that want one for themselves (R-12).

Asked for when a request needs one, kept sealed in the session's record, under the same lease as the
session's own tokens: so they end with it, and no late answer revives it. Shown to that route alone.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from bff.clock import Clock
from bff.config.access import claims_in_scope, scope_with
from bff.config.load import FrontEnd
from bff.config.route_section import Route
from bff.problem import Reason, Refused
from bff.provider.wanted import Wanted
from bff.session.background import Background
from bff.session.dealings import Dealings
from bff.session.leased import Tasks
from bff.session.opened import Found, Opened, RouteShown
from bff.session.record import Session
from bff.session.refresh import FORCED_AFTER
from bff.session.route_spend import Obtaining, Purpose, wanted_by
from bff.session.steps import Need, RouteStep, need_for

REFUSED_SECONDS: Final = 30.0  # for which the provider is not asked again for what it refused
LATER_SECONDS: Final = 5.0  # the same, where it did not let us in
KEPT: Final = 8192  # sessions of which either is remembered


@dataclass(frozen=True, slots=True)
class _Met:
    refused: Refused
    until: float  # by our own monotonic clock


class RouteTokens:
    """The tokens for what one route wants, of all sessions of a front end."""

    personal: Final = True  # its person can get a better one

    def __init__(
        self,
        route: Route,
        *,
        frontend: FrontEnd,
        opened: Opened,
        clock: Clock,
        background: Background,
        dealings: Mapping[str, Dealings],
        told: Callable[[Found, Refused], None],
    ) -> None:
        self._path = route.path
        self._wanted = wanted_by(route)
        self._name = self._wanted.name
        # The scopes of every session alike; None: they are made with its claims.
        plain = not any(map(claims_in_scope, route.scopes))
        self._scopes = frozenset(route.scopes) if plain else None
        self._settings = frontend.refresh
        self._opened = opened
        self._clock = clock
        self._dealings = dealings
        self._told = told
        # The token, the session's own renewed, and the token again.
        patience = 3 * max(each.leases.patience for each in dealings.values())
        self._tasks = Tasks(background, patience)
        self._forced: OrderedDict[str, float] = OrderedDict()
        self._met: OrderedDict[str, _Met] = OrderedDict()

    def at_hand(self, found: Found | None) -> RouteShown | None:
        """The token, if it is good as it is; else `get` is the way. Raises Refused."""
        if found is None:
            return None
        token = found.route_tokens.get(self._name)
        if token is None or self._clock.now() >= token.quiet_until:
            return None
        return self._enough(found, token)

    async def get(self, found: Found | None) -> RouteShown | None:
        """The token; None: nobody asks, and nobody's token goes along.

        Raises Refused: FORBIDDEN, INSUFFICIENT_SCOPE with the login that would ask for more, or why
        there is no session any more.
        """
        if found is None:
            return None
        settings, now = self._settings, self._clock.now()
        there = found.session.route_tokens.get(self._name)
        wanted = need_for(there, now, ahead=settings.ahead, jitter=settings.jitter)
        token = found.route_tokens.get(self._name)
        if token is None or wanted is Need.NOW:
            token = await self._obtained(found)
        elif wanted is Need.AHEAD and self._remembered(found) is None:
            _ = self._start(found, None)
        return self._enough(found, token)

    async def after_refusal(self, found: Found | None, refused: bytes) -> RouteShown | None:
        """Another token than the one that an upstream refused, if there is one (as R-08)."""
        if found is None:
            return None
        found = await self._opened.find(found.session_id)
        token = found.route_tokens.get(self._name)
        if token is None or token.bearer != refused:
            return token
        young = self._clock.now() - token.issued_at < FORCED_AFTER
        if young or self._forced.get(found.key) == token.issued_at:
            return None  # a refusal of a fresh token is about something else
        self._forced[found.key] = token.issued_at
        _bound(self._forced)
        result = await self._tasks.joined(self._start(found, refused))
        if isinstance(result, Refused):
            return None  # the upstream's own answer says more than our trouble
        token = result.route_tokens.get(self._name)
        return None if token is None or token.bearer == refused else token

    def _enough(self, found: Found, token: RouteShown) -> RouteShown:
        """The token, if it was given the scopes that it was asked for. Raises Refused."""
        scopes = self._scopes
        if scopes is None:
            scopes = frozenset(self._asked(found.session).scopes)
        if not scopes <= token.granted:
            raise self._insufficient(found)
        return token

    def _asked(self, session: Session) -> Wanted:
        """What it is for that session. Raises Refused(FORBIDDEN): a claim is missing."""
        held = session.identity.held
        scopes = [scope_with(each, held) for each in self._wanted.scopes]
        if None in scopes:
            raise Refused(Reason.FORBIDDEN)
        return Wanted(
            scopes=tuple(each for each in scopes if each is not None),
            resource=self._wanted.resource,
            audience=self._wanted.audience,
        )

    def _insufficient(self, found: Found) -> Refused:
        """The refusal with the login that would ask for more (RFC 6750 §3.1)."""
        refused = Refused(
            Reason.INSUFFICIENT_SCOPE,
            scope=self._asked(found.session).scope,
            login_query=f"route={quote(self._path, safe='/')}",
        )
        self._told(found, refused)
        return refused

    async def _obtained(self, found: Found) -> RouteShown:
        result = self._remembered(found) or await self._tasks.joined(self._start(found, None))
        if isinstance(result, Refused):
            if result.reason is Reason.INSUFFICIENT_SCOPE:
                raise self._insufficient(found)
            raise Refused(result.reason, retry_after=result.retry_after)
        token = result.route_tokens.get(self._name)
        if token is None:
            raise Refused(Reason.PROVIDER_UNAVAILABLE)
        return token

    def _start(self, found: Found, refused: bytes | None) -> asyncio.Task[Found | Refused]:
        return self._tasks.start(found.key, lambda: self._obtain(found, refused))

    async def _obtain(self, found: Found, refused: bytes | None) -> Found | Refused:
        """Ask for the token; if the session's own may be what is wrong, once more with others."""
        theirs = self._dealings[found.session.identity.iss]
        try:
            if theirs.route_spender.way == "exchange":
                found = await theirs.refresher.fresh(found)
            result, met = await self._ask(theirs, found, refused)
            if met is RouteStep.PROVE:
                renewed = await theirs.refresher.renewed(found)
                if isinstance(renewed, Refused):
                    return renewed
                if renewed is not None:
                    result, met = await self._ask(theirs, renewed, refused)
        except Refused as error:
            return error
        if isinstance(result, Refused) and met in _LAST:
            self._met[found.key] = _Met(result, time.monotonic() + _LAST[met])
            _bound(self._met)
        return result

    async def _ask(
        self, theirs: Dealings, found: Found, refused: bytes | None
    ) -> tuple[Found | Refused, RouteStep | None]:
        purpose = Purpose(name=self._name, wanted=self._asked(found.session))
        errand = Obtaining(purpose=purpose, refused=refused, spender=theirs.route_spender)
        return await theirs.leases.run(found, errand), errand.met

    def _remembered(self, found: Found) -> Refused | None:
        """What the provider said a moment ago: it is not asked for the same on every request."""
        met = self._met.get(found.key)
        if met is None:
            return None
        if time.monotonic() < met.until:
            return met.refused
        del self._met[found.key]
        return None


# What holds for a while, in seconds; all else is asked anew, or bounded by the store's lease.
_LAST: Final = {
    RouteStep.REFUSE: REFUSED_SECONDS,
    RouteStep.PROVE: REFUSED_SECONDS,
    RouteStep.LATER: LATER_SECONDS,
}


def _bound(kept: OrderedDict[str, Any]) -> None:
    if len(kept) > KEPT:
        kept.popitem(last=False)
