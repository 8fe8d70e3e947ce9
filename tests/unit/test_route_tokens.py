"""A token for one route, at hand or not: pure but for the clock, which a test sets."""

from collections.abc import Mapping

import pytest

from bff.config.load import FrontEnd
from bff.config.route_section import Route
from bff.problem import Reason, Refused
from bff.session.opened import Found, RouteShown
from bff.session.record import RouteToken
from bff.session.route_spend import wanted_by
from bff.session.route_tokens import RouteTokens, Tried
from bff.session.store import Live
from tests.parts.config import config
from tests.unit.test_access import session

pytestmark = pytest.mark.rule("R-12")

LIVE = Live(version="v", idle_at=1e9, absolute_at=1e9, refresh_at=None, seen_at=0)


class Clock:
    """Store time, which stands still."""

    def now(self) -> float:
        return 1000.0


def frontend() -> FrontEnd:
    (found,) = config(issuer="https://login.example.com", api="http://127.0.0.1:1").frontends
    return found


def route(scopes: tuple[str, ...]) -> Route:
    return Route.model_validate(
        {"path": "/r", "upstream": "http://127.0.0.1:1", "resource": "urn:r", "scopes": scopes}
    )


def found(
    wanted: Route, held: Mapping[str, object], *, asked: str, granted: str, until: float = 2000
) -> Found:
    """A session with such a token."""
    name = wanted_by(wanted).name
    token = RouteToken(
        access_token="t", asked=asked, scope=granted, issued_at=900, expires_at=until
    )
    shown = RouteShown(
        bearer=b"t",
        proof_key=None,
        issued_at=900,
        expires_at=until,
        quiet_until=until,
        asked=asked,
        granted=frozenset(granted.split(" ")),
    )
    whole = session(held)
    object.__setattr__(whole, "route_tokens", {name: token})
    return Found(
        key="k",
        session_id="s",
        version="v",
        live=LIVE,
        session=whole,
        quiet_until=1e9,
        slide_at=1e9,
        bearer=b"own",
        route_tokens={name: shown},
    )


def tokens(wanted: Route, told: list[Reason]) -> RouteTokens:
    return RouteTokens(
        wanted,
        frontend=frontend(),
        opened=None,  # type: ignore[arg-type]  # nothing is looked up here
        clock=Clock(),
        dealings={},
        tried=Tried(None, 1.0),  # type: ignore[arg-type]
        told=lambda _, refused: told.append(refused.reason),
    )


@pytest.mark.parametrize(
    ("scopes", "held", "asked", "granted", "until", "at_hand"),
    [
        pytest.param((), {}, "", "a", 2000, True, id="nothing is asked for"),
        pytest.param(("a",), {}, "a", "a b", 2000, True, id="what was asked for, and more"),
        pytest.param(("a",), {}, "a", "a", 1000, False, id="it is over"),
        pytest.param(("o:{o}",), {"o": "x"}, "o:x", "o:x", 2000, True, id="made with a claim"),
        pytest.param(("o:{o}",), {"o": "y"}, "o:x", "o:x", 2000, False, id="the claim has changed"),
    ],
)
def test_a_token_is_at_hand_while_it_is_what_the_route_asks_for(
    scopes: tuple[str, ...],
    held: Mapping[str, object],
    asked: str,
    granted: str,
    until: float,
    at_hand: bool,
) -> None:
    wanted = route(scopes)
    one = found(wanted, held, asked=asked, granted=granted, until=until)
    assert (tokens(wanted, []).at_hand(one) is not None) is at_hand


@pytest.mark.parametrize(
    ("scopes", "held", "granted", "why"),
    [
        pytest.param(("a", "b"), {}, "a", Reason.INSUFFICIENT_SCOPE, id="less than asked"),
        pytest.param(("o:{o}",), {"o": "x"}, "a", Reason.INSUFFICIENT_SCOPE, id="another's"),
        pytest.param(("o:{o}",), {}, "o:x", Reason.FORBIDDEN, id="the claim is gone"),
    ],
)
def test_a_token_that_may_not_be_shown_is_refused_and_the_auditor_hears(
    scopes: tuple[str, ...], held: Mapping[str, object], granted: str, why: Reason
) -> None:
    wanted, told = route(scopes), list[Reason]()
    one = found(wanted, held, asked="o:x", granted=granted)
    with pytest.raises(Refused) as refused:
        tokens(wanted, told).at_hand(one)
    assert refused.value.reason is why
    assert told == [why]


def test_nobody_has_none() -> None:
    assert tokens(route(()), []).at_hand(None) is None


def test_of_what_was_tried_only_so_many_are_remembered() -> None:
    tried = Tried(None, 1.0)  # type: ignore[arg-type]
    for number in range(10_000):
        tried.remember(str(number), Refused(Reason.INSUFFICIENT_SCOPE), 60)
        assert tried.may_force(str(number), 1.0)
    assert len(tried._met) == len(tried._forced) == 8192
    assert not tried.may_force("9999", 1.0)
    assert tried.may_force("9999", 2.0)
    tried.remember("9999", Refused(Reason.INSUFFICIENT_SCOPE), 0)
    assert tried.remembered("9999") is None
