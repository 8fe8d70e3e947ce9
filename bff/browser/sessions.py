"""GET and DELETE /bff/sessions: where else a person is signed in, and signing out there (S-16)."""

import re
from datetime import UTC, datetime
from typing import Final

from bff.browser.front import SESSIONS_URL, Front
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import require_same_origin
from bff.journal.log import Event, tell
from bff.journal.metrics import ENDED, count
from bff.problem import Answer, Reason, Refused
from bff.session.opened import Found
from bff.session.people import Listed
from bff.session.record import Session
from bff.session.store import StoreUnavailable

RECENT: Final = 300  # seconds; an older sign-in must not end what it might have been stolen from

_HANDLE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CAUSE: Final = "by_the_person"


async def get_sessions(front: Front, request: BrowserRequest) -> Answer:
    """The sessions of whoever asks, the newest first. Raises Refused."""
    found = await _found(front, request)
    try:
        listed = await _listed(front, found)
    except StoreUnavailable:
        raise Refused(Reason.STORE_UNAVAILABLE) from None
    with_address = front.frontend.session.addresses
    return front.document(
        {"sessions": [_shown(each, found, with_address=with_address) for each in listed]}
    )


async def delete_session(front: Front, request: BrowserRequest) -> Answer:
    """End the one of that handle; another person's or an unknown one ends nothing. Idempotent."""
    handle = request.path.decode("latin-1").removeprefix(f"{SESSIONS_URL}/")
    if not _HANDLE.fullmatch(handle):
        raise Refused(Reason.NO_ROUTE)
    if request.query:
        raise Refused(Reason.BAD_REQUEST)
    found = await _found_anew(front, request)
    try:
        listed = await _listed(front, found)
        meant = [each for each in listed if each.entry.handle == handle]
        await front.people.end(meant, cause=_CAUSE)
    except StoreUnavailable:
        raise Refused(Reason.STORE_UNAVAILABLE) from None
    return front.no_content()


async def delete_sessions(front: Front, request: BrowserRequest) -> Answer:
    """End all of them, or all but the one that asks; that one comes last. Idempotent."""
    if request.query not in (b"", b"except=current"):
        raise Refused(Reason.BAD_REQUEST)  # a slip of the pen must not sign anybody out
    found = await _found_anew(front, request)
    try:
        who = found.session.identity
        await front.people.end_all(who.sub, iss=who.iss, spared=found.key, cause=_CAUSE)
    except StoreUnavailable:
        raise Refused(Reason.STORE_UNAVAILABLE) from None
    if not request.query:
        ended = await front.sessions.end(found.session_id, Reason.SESSION_ENDED)
        tell(
            Event.LOGOUT,
            frontend=front.frontend.name,
            session=front.sessions.session_tag(found.session_id),
            person=front.sessions.person_tag(found.session),
        )
        if ended is not None:
            count(ENDED, front.frontend.name, _CAUSE)
            front.sessions.revoke_all(ended)
    return front.no_content()


async def _listed(front: Front, found: Found) -> list[Listed]:
    who = found.session.identity
    return await front.people.listed(who.sub, iss=who.iss)


async def _found(front: Front, request: BrowserRequest) -> Found:
    require_same_origin(request, front.frontend.origin)
    return await front.sessions.find(front.cookies.read_session(request))


async def _found_anew(front: Front, request: BrowserRequest) -> Found:
    """The session, of a person who has shown just now that it is they."""
    found = await _found(front, request)
    server = front.server_of(found.session.identity.iss) or front.server
    now = front.clock.now() - server.config.clock_skew
    wanted = sign_in_wanted(found.session, now)
    if wanted is not None:
        raise Refused(Reason.STEP_UP_REQUIRED, login_query=wanted)
    return found


def sign_in_wanted(session: Session, now: float) -> str | None:
    """The query of the sign-in that must come first; None: there was one within five minutes.

    A provider that does not say when it asked the person can be told to ask, and that is believed.
    """
    auth_time = session.identity.auth_time
    if auth_time is not None:
        return None if now - auth_time <= RECENT else f"max_age={RECENT}"
    asked = session.prompted and now - session.created_at <= RECENT
    return None if asked else "prompt=login"


def _shown(listed: Listed, own: Found, *, with_address: bool) -> dict[str, object]:
    entry = listed.entry
    shown: dict[str, object] = {
        "handle": entry.handle,
        "device": entry.device,
        "created_at": _utc(entry.created_at),
        "last_seen_at": _utc(listed.live.seen_at),
        "current": listed.key == own.key,
    }
    if with_address and entry.address is not None:
        shown["address"] = entry.address
    return shown


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
