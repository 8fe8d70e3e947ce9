"""GET and POST /bff/session: is somebody signed in, who, and for how long (S-11, S-15)."""

from typing import Final

from bff.browser.front import LOGIN_URL, LOGOUT_URL, Front
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import require_same_origin
from bff.problem import Answer, Reason, Refused, login_url_after
from bff.session.opened import Found

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
    return front.document(
        {
            "authenticated": True,
            "claims": dict(found.session.identity.claims),
            "seconds_left": _seconds_left(found, front.clock.now()),
            **urls,
        }
    )


def _seconds_left(found: Found, now: float) -> dict[str, int | None]:
    live = found.live
    ends = [end for end in (live.absolute_at, live.refresh_at) if end is not None]
    expires_at = found.session.tokens.expires_at
    return {
        "idle": _left(live.idle_at, now),
        "lifetime": _left(min(ends), now),
        "access_token": None if expires_at is None else _left(expires_at, now),
    }


def _left(end: float, now: float) -> int:
    return max(0, int(end - now))
