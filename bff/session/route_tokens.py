"""A person's tokens for the routes that want one for themselves (R-12).

Asked for when a request needs one, kept sealed in the session's record, under the same lease as the
session's own tokens: so they end with it, and no late answer revives it. Shown to that route alone.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bff.clock import Clock
from bff.config.access import claims_in_scope, scope_with
from bff.config.load import FrontEnd
from bff.config.route_section import Route
from bff.problem import Reason, Refused
from bff.provider.wanted import Wanted
from bff.session.access import login_query
from bff.session.background import Background
from bff.session.dealings import Dealings
from bff.session.leased import Tasks
from bff.session.opened import Found, Opened, RouteShown
from bff.session.refresh import FORCED_AFTER
from bff.session.route_spend import Obtaining, Purpose, wanted_by
from bff.session.steps import Need, RouteStep, need_for

REFUSED_SECONDS: Final = 30.0  # for which the provider is not asked again for what it refused
PROVEN_SECONDS: Final = 600.0  # the same, where renewing the session's own tokens did not help
LATER_SECONDS: Final = 5.0  # the same, where it did not let us in and did not say for how long
KEPT: Final = 8192  # sessions of which either is remembered


@dataclass(frozen=True, slots=True)
class _Met:
    refused: Refused
    until: float  # by our own monotonic clock


class Tried:
    """What was tried for one purpose, and what is being tried; routes that want the same share it.

    By the key of the session.
    """

    def __init__(self, background: Background, patience: float) -> None:
        self.tasks = Tasks(background, patience)
        self._forced: OrderedDict[str, float] = OrderedDict()  # when the token was issued
        self._met: OrderedDict[str, _Met] = OrderedDict()

    def may_force(self, key: str, issued_at: float) -> bool:
        """Whether a token may be replaced before its time: once each."""
        if self._forced.get(key) == issued_at:
            return False
        self._forced[key] = issued_at
        _bound(self._forced)
        return True

    def remember(self, key: str, refused: Refused, seconds: float) -> None:
        """The provider is not asked again for so long."""
        self._met[key] = _Met(refused, time.monotonic() + seconds)
        _bound(self._met)

    def remembered(self, key: str) -> Refused | None:
        """What it said a moment ago: it is not asked the same on every request."""
        met = self._met.get(key)
        if met is None:
            return None
        if time.monotonic() < met.until:
            return met.refused
        del self._met[key]
        return None


def _bound(kept: OrderedDict[str, Any]) -> None:
    if len(kept) > KEPT:
        kept.popitem(last=False)


class RouteTokens:
    """The tokens for one route, of all sessions of a front end."""

    personal: Final = True  # its person can get a better one

    def __init__(
        self,
        route: Route,
        *,
        frontend: FrontEnd,
        opened: Opened,
        clock: Clock,
        dealings: Mapping[str, Dealings],
        tried: Tried,
        told: Callable[[Found, Refused], None],
    ) -> None:
        self._login = login_query(route, tuple(frontend.providers.values()))
        self._wanted = wanted_by(route)
        self._name = self._wanted.name
        # What every session alike is asked for; None: it is made with claims.
        self._plain = None if any(map(claims_in_scope, route.scopes)) else self._wanted
        self._needed = frozenset(route.scopes)
        self._settings = frontend.refresh
        self._opened = opened
        self._clock = clock
        self._dealings = dealings
        self._tried = tried
        self._told = told

    def at_hand(self, found: Found | None) -> RouteShown | None:
        """The token, if it is good as it is; else `get` is the way. Raises Refused."""
        token = None if found is None else found.route_tokens.get(self._name)
        if found is None or token is None or self._clock.now() >= token.quiet_until:
            return None
        if self._plain is None and token.asked != self._asked(found).scope:
            return None
        return self._enough(found, token)

    async def get(self, found: Found | None) -> RouteShown | None:
        """The token; None: nobody asks, and nobody's token goes along.

        Raises Refused: FORBIDDEN, INSUFFICIENT_SCOPE with the login that would ask for more, or why
        there is no session any more.
        """
        if found is None:
            return None
        need = self._need(found)
        if need is Need.NOW:
            found = await self._obtained(found)
        elif need is Need.AHEAD and self._tried.remembered(found.key) is None:
            _ = self._start(found, None)
        token = found.route_tokens.get(self._name)
        if token is None:
            raise Refused(Reason.PROVIDER_UNAVAILABLE)
        return self._enough(found, token)

    async def after_refusal(self, found: Found | None, refused: bytes) -> RouteShown | None:
        """Another token than the one that an upstream refused, if there is one (as R-08)."""
        if found is None:
            return None
        found = await self._opened.find(found.session_id)
        token = found.route_tokens.get(self._name)
        if token is not None and token.bearer == refused:
            young = self._clock.now() - token.issued_at < FORCED_AFTER
            if young or not self._tried.may_force(found.key, token.issued_at):
                return None  # a refusal of a fresh token is about something else
            result = await self._tried.tasks.joined(self._start(found, refused))
            if isinstance(result, Refused):
                return None  # the upstream's own answer says more than our trouble
            found, token = result, result.route_tokens.get(self._name)
        if token is None or token.bearer == refused or not self._is_enough(found, token):
            return None
        return token

    def _need(self, found: Found) -> Need:
        token = found.session.route_tokens.get(self._name)
        if token is not None and token.asked != self._asked(found).scope:
            return Need.NOW  # a claim has another value since
        settings, now = self._settings, self._clock.now()
        return need_for(token, now, ahead=settings.ahead, jitter=settings.jitter)

    def _asked(self, found: Found) -> Wanted:
        """What is asked for that session. Raises Refused(FORBIDDEN): a claim is missing."""
        if self._plain is not None:
            return self._plain
        held = found.session.identity.held
        scopes = [scope_with(each, held) for each in self._wanted.scopes]
        if None in scopes:
            self._told(found, Refused(Reason.FORBIDDEN))
            raise Refused(Reason.FORBIDDEN)
        return replace(self._wanted, scopes=tuple(each for each in scopes if each is not None))

    def _is_enough(self, found: Found, token: RouteShown) -> bool:
        """Whether it was given the scopes that it was asked for."""
        if self._plain is not None:
            return self._needed <= token.granted
        return frozenset(self._asked(found).scopes) <= token.granted

    def _enough(self, found: Found, token: RouteShown) -> RouteShown:
        if not self._is_enough(found, token):
            raise self._insufficient(found)
        return token

    def _insufficient(self, found: Found) -> Refused:
        """The refusal with the login that would ask for more (RFC 6750 §3.1)."""
        refused = Refused(
            Reason.INSUFFICIENT_SCOPE,
            scope=self._asked(found).scope,
            login_query=self._login,
        )
        self._told(found, refused)
        return refused

    async def _obtained(self, found: Found) -> Found:
        """The session with a token that is good to use, however short a life it was given."""
        while True:
            there = found.session.route_tokens.get(self._name)
            result = self._tried.remembered(found.key)
            if result is None:
                joined = await self._tried.tasks.joined(self._start(found, None))
                if not isinstance(joined, Refused):
                    if joined.session.route_tokens.get(self._name) != there or (
                        self._need(joined) is not Need.NOW
                    ):
                        return joined
                    found = joined  # the task had begun ahead, and left it to another process
                    continue
                result = joined
            if result.reason is Reason.INSUFFICIENT_SCOPE:
                raise self._insufficient(found)
            raise Refused(result.reason, retry_after=result.retry_after)

    def _start(self, found: Found, refused: bytes | None) -> asyncio.Task[Found | Refused]:
        return self._tried.tasks.start(found.key, lambda: self._obtain(found, refused))

    async def _obtain(self, found: Found, refused: bytes | None) -> Found | Refused:
        """Ask for the token; if the session's own may be what is wrong, once more with others."""
        theirs = self._dealings[found.session.identity.iss]
        proven = False
        try:
            if theirs.route_spender.way == "exchange":
                found = await theirs.refresher.fresh(found)
            result, met = await self._ask(theirs, found, refused)
            if met is RouteStep.PROVE:
                renewed = await theirs.refresher.renewed(found)
                if isinstance(renewed, Refused):
                    return renewed
                if renewed is not None:
                    proven = True
                    result, met = await self._ask(theirs, renewed, refused)
            if isinstance(result, Refused):
                await self._opened.find(found.session_id)  # else that it has ended says more
        except Refused as error:
            return error
        if isinstance(result, Refused) and met in _LAST:
            seconds = PROVEN_SECONDS if proven and met is RouteStep.PROVE else _LAST[met]
            self._tried.remember(found.key, result, max(seconds, float(result.retry_after or 0)))
        return result

    async def _ask(
        self, theirs: Dealings, found: Found, refused: bytes | None
    ) -> tuple[Found | Refused, RouteStep | None]:
        purpose = Purpose(name=self._name, wanted=self._asked(found))
        errand = Obtaining(purpose=purpose, refused=refused, spender=theirs.route_spender)
        return await theirs.leases.run(found, errand), errand.met


# What holds for a while, in seconds; all else is asked anew, or bounded by the store's lease.
_LAST: Final = {
    RouteStep.REFUSE: REFUSED_SECONDS,
    RouteStep.PROVE: REFUSED_SECONDS,
    RouteStep.LATER: LATER_SECONDS,
}
