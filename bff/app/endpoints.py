"""The endpoints under /bff as a table, and how a front end says what it refuses."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from bff.browser.backchannel_logout import backchannel_logout
from bff.browser.callback import callback
from bff.browser.front import (
    BACKCHANNEL_LOGOUT_URL,
    CALLBACK_URL,
    EVENTS_URL,
    FRONTCHANNEL_LOGOUT_URL,
    JWKS_URL,
    LOGIN_URL,
    LOGOUT_URL,
    PROVIDER_LOGOUT_URL,
    SESSION_URL,
    SESSIONS_URL,
    BodyReader,
    Front,
)
from bff.browser.frontchannel_logout import frontchannel_logout
from bff.browser.jwks import jwks
from bff.browser.login import login
from bff.browser.logout import logout
from bff.browser.provider_logout import provider_logout
from bff.browser.return_to import LONGEST
from bff.browser.session import get_session, post_session
from bff.browser.sessions import delete_session, delete_sessions, get_sessions
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import is_opened
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.journal.metrics import REFUSALS, count
from bff.problem import PROBLEMS, Answer, Reason, Refused, login_url_after, refusal
from bff.relay.proxy_status import with_proxy_status

Endpoint = Callable[[Front, BrowserRequest], Awaitable[Answer]]


async def _past_asgi(_front: Front, _request: BrowserRequest) -> Answer:
    """The door has it answered without ASGI."""
    raise Refused(Reason.INTERNAL_ERROR)


@dataclass(frozen=True, slots=True)
class WithBody:
    """An endpoint that reads what the request carries; of all others it stays unread."""

    answer: Callable[[Front, BrowserRequest, BodyReader], Awaitable[Answer]]


_ONE_SESSION: Final = f"{SESSIONS_URL}/".encode()  # and its handle
_ONE_CALLBACK: Final = f"{CALLBACK_URL}/".encode()  # and the provider's name

ENDPOINTS: Final[Mapping[bytes, Mapping[str, Endpoint | WithBody]]] = {
    LOGIN_URL.encode(): {"GET": login},
    CALLBACK_URL.encode(): {"GET": callback},
    _ONE_CALLBACK: {"GET": callback},
    SESSION_URL.encode(): {"GET": get_session, "POST": post_session},
    LOGOUT_URL.encode(): {"POST": logout},
    PROVIDER_LOGOUT_URL.encode(): {"GET": provider_logout},
    EVENTS_URL.encode(): {"GET": _past_asgi},
    SESSIONS_URL.encode(): {"GET": get_sessions, "DELETE": delete_sessions},
    _ONE_SESSION: {"DELETE": delete_session},
    BACKCHANNEL_LOGOUT_URL.encode(): {"POST": WithBody(backchannel_logout)},
    FRONTCHANNEL_LOGOUT_URL.encode(): {"GET": frontchannel_logout},
    JWKS_URL.encode(): {"GET": jwks},
}
_FETCHED: Final = frozenset(
    {
        SESSION_URL.encode(),
        EVENTS_URL.encode(),
        SESSIONS_URL.encode(),
        _ONE_SESSION,
        JWKS_URL.encode(),
    }
)
_WITH_NAMES: Final = (_ONE_SESSION, _ONE_CALLBACK)
_PAGES: Final = frozenset(ENDPOINTS) - _FETCHED
_HOME: Final = ("/", "To the application")
_CSRF: Final = frozenset({Reason.CROSS_SITE, Reason.NOT_SAME_ORIGIN})


def methods_at(path: bytes) -> Mapping[str, Endpoint | WithBody] | None:
    """What may be asked at a path, and who answers."""
    return ENDPOINTS.get(_place(path))


def endpoint_name(path: bytes) -> str:
    """What an endpoint is counted under; empty for a path at which there is none."""
    place = _place(path)
    return place.decode() if place in ENDPOINTS else ""


def _place(path: bytes) -> bytes:
    return next((each for each in _WITH_NAMES if path.startswith(each)), path)


async def endpoint(front: Front, request: BrowserRequest, read: BodyReader) -> Answer:
    """The answer of the endpoint at that path. Raises Refused: NO_ROUTE, METHOD_NOT_ALLOWED."""
    methods = methods_at(request.path)
    if methods is None:
        raise Refused(Reason.NO_ROUTE)
    answer = methods.get(request.method)
    if answer is None:
        raise Refused(Reason.METHOD_NOT_ALLOWED, allow=", ".join(methods))
    if isinstance(answer, WithBody):
        return await answer.answer(front, request, read)
    return await answer(front, request)


def refused_answer(
    frontend: FrontEnd, request: BrowserRequest, refused: Refused, *, opened: bool = False
) -> Answer:
    """What a front end says when it refuses; the auditor hears of what another site tried.

    `opened`: a person may come there by a link or a bookmark, and reads no JSON (E-01).
    """
    count(REFUSALS, refused.reason.value)
    if refused.reason in _CSRF:
        tell(
            Event.CSRF_REFUSED,
            reason=refused.reason.value,
            frontend=frontend.name,
        )
    return refusal(
        refused,
        request_id=request.request_id,
        secure=frontend.secure and not request.plain,
        as_page=(request.is_navigation and request.path in _PAGES)
        or (opened and is_opened(request)),
        login_url=LOGIN_URL,
        link=_way_on(request, refused) if opened else _HOME,
        # Nobody ended that session: the provider is asked silently, and the person sees a flash.
        goes_on=opened and refused.reason is Reason.REFRESH_INTERRUPTED,
    )


def _way_on(request: BrowserRequest, refused: Refused) -> tuple[str, str]:
    """Where the page of a refusal leads a person who wanted to open something of the upstream's."""
    if PROBLEMS[refused.reason].status != 401:
        return _HOME
    url = login_url_after(refused.reason, LOGIN_URL)
    back = f"return_to={quote(request.target, safe='')}"
    if len(back) > LONGEST:
        return url, "Sign in"
    return f"{url}{'&' if '?' in url else '?'}{back}", "Sign in"


def refused_relay(
    frontend: FrontEnd, request: BrowserRequest, refused: Refused, *, opened: bool = False
) -> Answer:
    """The same on a relayed path: whose error it is, is said as well (A-13)."""
    answer = refused_answer(frontend, request, refused, opened=opened)
    return with_proxy_status(answer, refused)
