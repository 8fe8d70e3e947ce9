"""GET /bff/login: begins the authorization code flow for a navigation (rows L)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from bff.browser.choice import chooser, chosen
from bff.browser.front import LOGIN_URL, Front, require_navigation
from bff.browser.return_to import (
    LONGEST,
    ReturnTo,
    parse_return_to,
    parse_target_link_uri,
)
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import fetch_site
from bff.config.provider_section import Provider
from bff.config.values import Origin
from bff.problem import Answer, Reason, Refused
from bff.provider.authorization import authorization_parameters, new_attempt
from bff.provider.dpop import new_dpop_key, open_dpop_key
from bff.provider.organization import can_ask
from bff.provider.organization import scopes_for as scopes_of
from bff.provider.pushed import begin_url
from bff.provider.server import AuthorizationServer
from bff.session.access import resources_for, scopes_for
from bff.session.record import LoginTransaction, Session

_WAYS_BACK: Final = frozenset({"return_to", "target_link_uri"})
_READ: Final = _WAYS_BACK | {
    "prompt",
    "login_hint",
    "acr_values",
    "max_age",
    "ui_locales",
    "iss",
    "route",
    "provider",
    "organization",
}
_VALUE: Final = 512  # characters
# No provider takes `none` beside another value (OpenID Core §3.1.2.1), so here it can mean:
# silently, and if that cannot be, a login as usual.
_SILENTLY_FIRST: Final = "none login"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """What a login was asked for; everything else in the query has no effect (L-12)."""

    return_to: ReturnTo
    prompt: str | None
    login_hint: str | None = field(repr=False)
    acr_values: str | None
    max_age: int | None
    ui_locales: str | None
    provider: str | None
    iss: str | None
    organization: str | None
    route: str | None  # whose scopes are wanted: the configuration names them, never the browser


def read_login_request(query: bytes, *, origin: Origin) -> LoginRequest:
    """The query of a login. Raises Refused: BAD_REQUEST, BAD_RETURN_TO."""
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict", max_num_fields=50)
    except ValueError:
        raise Refused(Reason.BAD_REQUEST) from None
    if any(count > 1 for count in Counter(name for name, _ in pairs).values()):
        raise Refused(Reason.BAD_REQUEST)
    asked = {name: value for name, value in pairs if name in _READ}
    for name, value in asked.items():
        if len(value) > (LONGEST if name in _WAYS_BACK else _VALUE) or not value.isprintable():
            reason = Reason.BAD_RETURN_TO if name in _WAYS_BACK else Reason.BAD_REQUEST
            raise Refused(reason if len(value) <= LONGEST else Reason.BAD_REQUEST)
    return LoginRequest(
        return_to=_way_back(asked, origin),
        prompt=asked.get("prompt"),
        login_hint=asked.get("login_hint"),
        acr_values=asked.get("acr_values"),
        max_age=_max_age(asked.get("max_age")),
        ui_locales=asked.get("ui_locales"),
        route=asked.get("route"),
        provider=asked.get("provider"),
        iss=asked.get("iss"),
        organization=asked.get("organization"),
    )


def _way_back(asked: Mapping[str, str], origin: Origin) -> ReturnTo:
    """Where to go in the end. A third party says `iss`, and means a provider of ours (Core §4)."""
    target = asked.get("target_link_uri")
    if target is None:
        return parse_return_to(asked.get("return_to", "/"))
    if "iss" not in asked or "return_to" in asked:
        raise Refused(Reason.BAD_REQUEST)
    return parse_target_link_uri(target, origin)


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refused(Reason.BAD_REQUEST)
    return int(text)


async def login(front: Front, request: BrowserRequest) -> Answer:
    """Send the person to the provider, or ask for a click first. Raises Refused."""
    require_navigation(request)
    asked = read_login_request(request.query, origin=front.frontend.origin)
    session_id = front.session_id(request)
    former = await _former(front, asked, session_id)
    server = chosen(front, name=asked.provider, issuer=asked.iss, former=former)
    if server is not None and not _may_ask(server.config, asked):
        raise Refused(Reason.BAD_REQUEST)
    if server is None:
        silent = asked.prompt == "none"  # then nothing is shown, and who cannot be found is nobody
        return front.see_other(asked.return_to) if silent else chooser(front, _kept(asked))
    if fetch_site(request) in (b"cross-site", b"same-site"):
        return _ask_for_a_click(front, server, asked)
    if front.transactions.is_looping(request, front.clock.now()):
        await _refuse_a_loop(front, session_id)
    return await _begin(front, server, request, asked, session_id, former)


async def _begin(
    front: Front,
    server: AuthorizationServer,
    request: BrowserRequest,
    asked: LoginRequest,
    session_id: str | None,
    former: Session | None,
) -> Answer:
    """The way to that provider, and the attempt that is kept of it."""
    organization = _organization(server.config, asked, former)
    more_scopes = (
        *scopes_of(server.config.organization, organization),
        *_more_scopes(front, server, asked.route, former),
    )
    metadata = await server.discovery.metadata()
    attempt = new_attempt()
    falls_on = _is_tried_silently(front, server.config, request, asked)
    prompt = "none" if falls_on else asked.prompt if asked.prompt != _SILENTLY_FIRST else None
    dpop_key = new_dpop_key() if server.config.dpop else None
    key = None if dpop_key is None else open_dpop_key(dpop_key)
    parameters = authorization_parameters(
        server.config,
        front.frontend.origin,
        attempt,
        provider=server.name,
        prompt=prompt,
        login_hint=asked.login_hint,
        acr_values=asked.acr_values,
        max_age=asked.max_age,
        ui_locales=asked.ui_locales,
        organization=organization,
        more_scopes=more_scopes,
        more_resources=resources_for(front.frontend.routes, server.config),
        dpop_jkt=None if key is None else key.thumbprint,
    )
    transaction = LoginTransaction(
        state=attempt.state,
        nonce=attempt.nonce,
        code_verifier=attempt.code_verifier,
        issuer=metadata.issuer,
        return_to=asked.return_to,
        started_at=front.clock.now(),
        session_id=session_id,
        silent=prompt == "none",
        falls_on=falls_on,
        max_age=asked.max_age,
        acr_values=asked.acr_values,
        prompted="login" in (prompt or server.config.parameters.get("prompt", "")).split(),
        organization=organization,
        more_scopes=more_scopes,
        dpop_key=dpop_key,
    )
    location = await begin_url(server, parameters, peer=request.peer, key=key)
    return front.see_other(location, more=front.transactions.write(transaction, request))


def _may_ask(provider: Provider, asked: LoginRequest) -> bool:
    """Whether the file lets a login ask for this: nothing that is not in it."""
    allowed = provider.acr_values
    acr = allowed is None or set((asked.acr_values or "").split()) <= {*allowed}
    name = asked.organization
    return acr and (name is None or can_ask(provider.organization, name))


def _organization(provider: Provider, asked: LoginRequest, former: Session | None) -> str | None:
    """The one that the login asks for: who raises a session stays where that one is."""
    if provider.organization is None:
        return None
    theirs = former is not None and former.identity.iss == provider.issuer
    own = former.identity.organization if former is not None and theirs else None
    return asked.organization or own or provider.organization.value


async def _former(front: Front, asked: LoginRequest, session_id: str | None) -> Session | None:
    """The live session that this login is about: to raise it, or to widen it; None: about none."""
    stronger = asked.acr_values is not None or asked.max_age is not None
    raises = stronger or asked.prompt == "login"
    if session_id is None or not (raises or asked.route is not None):
        return None
    try:
        return (await front.sessions.find(session_id)).session
    except Refused:
        return None  # then its claims are not known, and the rest can be asked for


def _more_scopes(
    front: Front, server: AuthorizationServer, path: str | None, former: Session | None
) -> tuple[str, ...]:
    """What the route at `path` wants beside the scopes of every login, and what `former` had.

    Raises Refused(BAD_REQUEST)."""
    theirs = former is not None and former.identity.iss == server.config.issuer
    return scopes_for(front.frontend.routes, path, former if theirs else None)


def _is_tried_silently(
    front: Front, provider: Provider, request: BrowserRequest, asked: LoginRequest
) -> bool:
    """Whether this login goes silently first.

    Not where the provider wants a prompt of its own, nor for what the login that may follow could
    not repeat. And not twice: a top-level navigation has no time-out of ours, so that one which met
    an error page, and never came back, is known only by its open attempt.
    """
    if asked.prompt != _SILENTLY_FIRST:
        return False
    particular = (
        asked.login_hint,
        asked.acr_values,
        asked.ui_locales,
        asked.route,
        asked.organization,
    )
    wanted = provider.silent_login and "prompt" not in provider.parameters
    if not wanted or any(each is not None for each in particular):
        return False
    return not any(each.falls_on for each in front.transactions.unanswered(request))


async def _refuse_a_loop(front: Front, session_id: str | None) -> None:
    """Refuse, if three logins within a minute left the browser without a session (L-17)."""
    if session_id is not None:
        try:
            await front.sessions.find(session_id)
        except Refused as refused:
            if refused.reason in (Reason.STORE_UNAVAILABLE, Reason.KEY_UNKNOWN):
                return  # nobody can say that there is no session
        else:
            return
    raise Refused(Reason.LOGIN_LOOP)


def _ask_for_a_click(front: Front, server: AuthorizationServer, asked: LoginRequest) -> Answer:
    """Another site began this: a person must want it (K-07)."""
    named = {"provider": server.name} if server.name else {}
    query = urlencode({**_kept(asked), **named})
    return front.page(
        "Sign in",
        ("Another site sent you here to sign in.",),
        link=(f"{LOGIN_URL}?{query}", "Continue"),
    )


def _kept(asked: LoginRequest) -> dict[str, object]:
    """What a page of ours asks for again, but for the provider."""
    kept = {
        "return_to": asked.return_to,
        "prompt": asked.prompt,
        "login_hint": asked.login_hint,
        "acr_values": asked.acr_values,
        "max_age": asked.max_age,
        "ui_locales": asked.ui_locales,
        "route": asked.route,
        "organization": asked.organization,
    }
    return {name: value for name, value in kept.items() if value is not None}
