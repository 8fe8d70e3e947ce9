"""Whether a session may use a route: the scopes it was granted, and what its claims say.

Pure. A rule is made once per route, from the configuration alone; a claim that is missing, or has
another type than the rule's, refuses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from bff.config.access import Required, claims_in_scope, scope_with
from bff.config.provider_section import Provider
from bff.config.route_section import Route
from bff.problem import Reason, Refused
from bff.session.record import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """What a route asks of a session."""

    scopes: tuple[str, ...]  # with claims in braces
    require: Mapping[str, Required]
    stronger: bool  # a login may ask for such an `acr`
    login: str  # the query of the login that asks for all of it, as far as a login may


def access_rule(route: Route, providers: Sequence[Provider]) -> AccessRule | None:
    """The rule of a route; None: every session may use it."""
    scopes = () if route.own_token else _asked(route)  # those of its token are looked at with it
    if not (scopes or route.require):
        return None
    return AccessRule(
        scopes=scopes,
        require=route.require,
        stronger=bool(_stronger(route, providers)),
        login=login_query(route, providers),
    )


def login_query(route: Route, providers: Sequence[Provider]) -> str:
    """The query of the login that asks for all that the route wants, as far as a login may.

    In one: each login takes the place of what the one before it had brought.
    """
    acr_values = _stronger(route, providers)
    parts = [f"acr_values={quote(' '.join(acr_values), safe='')}"] if acr_values else []
    if _asked(route) or route.own_token:
        parts.append(f"route={quote(route.path, safe='/')}")
    return "&".join(parts)


def _stronger(route: Route, providers: Sequence[Provider]) -> list[str]:
    """The values of `acr` that the route's rule takes, and that every provider may be asked for."""
    wanted, may = route.require.get("acr", ()), acr_values_of(providers)
    texts = () if isinstance(wanted, bool) else wanted
    return [text for text in texts if may is None or text in may]


def acr_values_of(providers: Sequence[Provider]) -> frozenset[str] | None:
    """What a login may ask any of them for; None: for whatever it is."""
    lists = [frozenset(each.acr_values) for each in providers if each.acr_values is not None]
    return frozenset.intersection(*lists) if lists else None


def _asked(route: Route) -> tuple[str, ...]:
    """The scopes that a person must have: with a token of our own they are those of that token."""
    return () if route.auth == "client" else route.scopes


def claims_asked(routes: Sequence[Route]) -> frozenset[str]:
    """The claims that the rules of these routes look at: a session keeps them, for no page."""
    return frozenset(
        name
        for route in routes
        for name in (*route.require, *(c for each in _asked(route) for c in claims_in_scope(each)))
    )


def require_access(rule: AccessRule, session: Session) -> None:
    """Return if the session meets the rule. Raises Refused.

    FORBIDDEN: its claims do not allow it; where only a stronger sign-in is missing, with the query
    of the login that would ask for one. INSUFFICIENT_SCOPE: with the scopes, and the query of the
    login that would ask for them (RFC 6750 §3.1).
    """
    held = session.identity.held
    unmet = {name for name, wanted in rule.require.items() if not _meets(held.get(name), wanted)}
    if unmet:
        helps = rule.stronger and unmet == {"acr"}
        raise Refused(Reason.FORBIDDEN, login_query=rule.login if helps else "")
    if not rule.scopes:
        return
    scopes = [scope_with(each, held) for each in rule.scopes]
    named = [each for each in scopes if each is not None]
    if len(named) < len(scopes):
        raise Refused(Reason.FORBIDDEN)
    if not set(named) <= set(session.tokens.scope.split(" ")):
        raise Refused(
            Reason.INSUFFICIENT_SCOPE,
            scope=" ".join(named),
            login_query=rule.login,
        )


def _meets(said: object, wanted: Required) -> bool:
    if isinstance(wanted, bool):
        return said is wanted
    texts = said if isinstance(said, list) else [said]
    return any(isinstance(each, str) and each in wanted for each in texts)


def scopes_for(
    routes: Sequence[Route], path: str | None, former: Session | None
) -> tuple[str, ...]:
    """The scopes of the route at `path`, if one is named, and those that `former` was granted.

    All of them stand in the configuration; of the session come the claims they are made with, and
    which of them it has. What cannot be made without it is left out: the next answer of the route
    says so again. Raises Refused(BAD_REQUEST) unless a route there asks for scopes or a token.
    """
    wanting = [route.path for route in routes if _asked(route) or route.own_token]
    if path is not None and path not in wanting:
        raise Refused(Reason.BAD_REQUEST)
    held: Mapping[str, object] = {} if former is None else former.identity.held
    granted = set() if former is None else _granted(former)
    made = [(route.path, scope_with(each, held)) for route in routes for each in _asked(route)]
    return tuple(
        dict.fromkeys(
            scope for where, scope in made if scope and (where == path or scope in granted)
        )
    )


def resources_for(routes: Sequence[Route], provider: Provider) -> tuple[str, ...]:
    """The APIs of which tokens are to be had later, through the refresh token (RFC 8707 §2.1).

    An exchange names them when it is made.
    """
    if provider.route_tokens != "refresh":
        return ()
    return tuple(route.resource for route in routes if route.own_token and route.resource)


def _granted(session: Session) -> set[str]:
    """The scopes of all its tokens."""
    scopes = [session.tokens.scope, *(each.scope for each in session.route_tokens.values())]
    return set(" ".join(scopes).split(" "))
