"""GET and POST /bff/session: is somebody signed in, who, and for how long (S-11, S-15)."""

from typing import Final

from bff.browser.approach import ends
from bff.browser.front import LOGIN_URL, LOGOUT_URL, Front
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import require_same_origin
from bff.problem import Answer, Reason, Refused, login_url_after

_CANNOT_SAY: Final = frozenset({Reason.STORE_UNAVAILABLE, Reason.KEY_UNKNOWN})


async def get_session(front: Front, request: BrowserRequest) -> Answer:
    """The state of the session. Never slides it. Raises Refused where it cannot be told."""
    return await _state(front, request, stay=False)


async def post_session(front: Front, request: BrowserRequest) -> Answer:
    """The same, and slides it: the person is there."""
    return await _state(front, request, stay=True)


async def _state(front: Front, request: BrowserRequest, *, stay: bool) -> Answer:
    require_same_origin(request, front.frontend.origin)
    urls = {"login_url": LOGIN_URL, "logout_url": LOGOUT_URL}
    try:
        found = await front.sessions.find(front.cookies.read_session(request))
        if stay:
            found = await front.sessions.slide_now(found)
    except Refused as refused:
        if refused.reason in _CANNOT_SAY:
            raise
        urls["login_url"] = login_url_after(refused.reason, LOGIN_URL)
        return front.document({"authenticated": False, "reason": refused.reason, **urls})
    left = ends(found.live, found.session.tokens, front.frontend.session)
    return front.document(
        {
            "authenticated": True,
            "person": found.session.person,
            "claims": dict(found.session.identity.claims),
            "seconds_left": left.seconds_left(front.clock.now()),
            **urls,
        }
    )
