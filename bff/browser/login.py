"""GET /bff/login: begins the authorization code flow for a navigation (rows L)."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from bff.browser.front import LOGIN_URL, Front, require_navigation
from bff.browser.return_to import LONGEST, ReturnTo, parse_return_to
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import fetch_site
from bff.problem import Answer, Reason, Refused
from bff.provider.authorization import authorization_url, new_attempt
from bff.session.record import LoginTransaction

_READ: Final = frozenset(
    {"return_to", "prompt", "login_hint", "acr_values", "max_age", "ui_locales"}
)
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


def read_login_request(query: bytes) -> LoginRequest:
    """The query of a login. Raises Refused: BAD_REQUEST, BAD_RETURN_TO."""
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict", max_num_fields=50)
    except ValueError:
        raise Refused(Reason.BAD_REQUEST) from None
    if any(count > 1 for count in Counter(name for name, _ in pairs).values()):
        raise Refused(Reason.BAD_REQUEST)
    asked = {name: value for name, value in pairs if name in _READ}
    for name, value in asked.items():
        if len(value) > (LONGEST if name == "return_to" else _VALUE) or not value.isprintable():
            reason = Reason.BAD_RETURN_TO if name == "return_to" else Reason.BAD_REQUEST
            raise Refused(reason if len(value) <= LONGEST else Reason.BAD_REQUEST)
    return LoginRequest(
        return_to=parse_return_to(asked.get("return_to", "/")),
        prompt=asked.get("prompt"),
        login_hint=asked.get("login_hint"),
        acr_values=asked.get("acr_values"),
        max_age=_max_age(asked.get("max_age")),
        ui_locales=asked.get("ui_locales"),
    )


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refused(Reason.BAD_REQUEST)
    return int(text)


async def login(front: Front, request: BrowserRequest) -> Answer:
    """Send the person to the provider, or ask for a click first. Raises Refused."""
    require_navigation(request)
    asked = read_login_request(request.query)
    if fetch_site(request) in (b"cross-site", b"same-site"):
        return _ask_for_a_click(front, asked)
    session_id = front.session_id(request)
    if front.transactions.is_looping(request, front.clock.now()):
        await _refuse_a_loop(front, session_id)
    metadata = await front.server.discovery.metadata()
    attempt = new_attempt()
    falls_on = _is_tried_silently(front, request, asked)
    prompt = "none" if falls_on else asked.prompt if asked.prompt != _SILENTLY_FIRST else None
    location = authorization_url(
        metadata,
        front.frontend.provider,
        front.frontend.origin,
        attempt,
        prompt=prompt,
        login_hint=asked.login_hint,
        acr_values=asked.acr_values,
        max_age=asked.max_age,
        ui_locales=asked.ui_locales,
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
    )
    return front.see_other(location, more=front.transactions.write(transaction, request))


def _is_tried_silently(front: Front, request: BrowserRequest, asked: LoginRequest) -> bool:
    """Whether this login goes silently first.

    Not where the provider wants a prompt of its own, nor for what the login that may follow could
    not repeat. And not twice: a top-level navigation has no time-out of ours, so that one which met
    an error page, and never came back, is known only by its open attempt.
    """
    if asked.prompt != _SILENTLY_FIRST:
        return False
    provider = front.frontend.provider
    particular = (asked.login_hint, asked.acr_values, asked.ui_locales)
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


def _ask_for_a_click(front: Front, asked: LoginRequest) -> Answer:
    """Another site began this: a person must want it (K-07)."""
    kept = {
        "return_to": asked.return_to,
        "prompt": asked.prompt,
        "login_hint": asked.login_hint,
        "acr_values": asked.acr_values,
        "max_age": asked.max_age,
        "ui_locales": asked.ui_locales,
    }
    query = urlencode({name: value for name, value in kept.items() if value is not None})
    return front.page(
        "Sign in",
        ("Another site sent you here to sign in.",),
        link=(f"{LOGIN_URL}?{query}", "Continue"),
    )
