"""POST /bff/logout: ends the session, revokes, and says where to go next (rows O).

First the record and the cookie, then everything else: a provider that is down hinders nobody.
"""

import asyncio
import secrets
from typing import Final

from bff.browser.front import PROVIDER_LOGOUT_URL, Front
from bff.caller.request import NAVIGATE, BrowserRequest
from bff.caller.same_origin import require_own_form, require_same_origin
from bff.journal.log import Event, tell
from bff.journal.metrics import ENDED, count
from bff.problem import Answer, Headers, Reason, Refused
from bff.provider.authorization import end_session_url
from bff.session.record import Deadlines, Session
from bff.session.seal import store_key
from bff.session.store import StoreUnavailable

TICKET_SECONDS: Final = 60
_PATIENCE: Final = 1.0  # seconds; the whole answer is due within two
_NOBODY: Final = frozenset({Reason.NO_SESSION, Reason.SESSION_ENDED})


async def logout(front: Front, request: BrowserRequest) -> Answer:
    """End the session. Raises Refused: CROSS_SITE, NOT_SAME_ORIGIN, STORE_UNAVAILABLE, KEY_UNKNOWN.

    A fetch gets JSON; a form gets a page that goes on, since a redirect to the provider would be
    stopped by the application's own `form-action 'self'`.
    """
    is_form = _judge_caller(front, request)
    session_id = _session_id(front, request)
    session = None
    if session_id is not None:
        session = await front.sessions.end(session_id, Reason.SESSION_ENDED)
        _audit(front, request, session_id, session)
    more: Headers = [front.cookies.no_session(), front.transactions.forget_logins()]
    next_url = front.frontend.logout.return_to
    if session is not None:
        count(ENDED, front.frontend.name, "logout")
        front.sessions.revoke_all(session)
        ticket = await _ticket(front, session)
        if ticket is not None:
            more.append(ticket)
            next_url = PROVIDER_LOGOUT_URL
    if front.frontend.logout.clear_site_data:
        more.append((b"clear-site-data", b'"cache", "storage"'))
    if is_form:
        return front.page(
            "Signing out",
            ("You are signed out here.",),
            link=(next_url, "Continue"),
            go_to=next_url,
            more=more,
        )
    return front.document({"logout_url": next_url}, more=more)


def _judge_caller(front: Front, request: BrowserRequest) -> bool:
    """Whether a form is posting; both kinds must be our own page's (X-02, X-09)."""
    mode = request.get(b"sec-fetch-mode")
    if request.get(b"x-csrf") is not None or mode not in (None, NAVIGATE):
        require_same_origin(request, front.frontend.origin)
        return False
    require_own_form(request, front.frontend.origin)
    return True


def _session_id(front: Front, request: BrowserRequest) -> str | None:
    try:
        return front.cookies.read_session(request)
    except Refused as refused:
        if refused.reason in _NOBODY:
            return None
        raise


def _audit(front: Front, request: BrowserRequest, session_id: str, session: Session | None) -> None:
    tell(
        Event.LOGOUT,
        frontend=front.frontend.name,
        session=front.sessions.session_tag(session_id),
        person=None if session is None else front.sessions.person_tag(session),
    )


async def _ticket(front: Front, session: Session) -> tuple[bytes, bytes] | None:
    """The cookie of a ticket to the provider's end-session, or None: logout is local then.

    Hint and target wait in the store, sealed under the ticket's id, for a minute (O-08).
    """
    url = await _end_session_url(front, session)
    if url is None:
        return None
    ticket = secrets.token_urlsafe(32)
    key = ticket_key(front, ticket)
    sealed = front.ticket_sealer.seal(url, place=key, salt=ticket.encode())
    deadlines = Deadlines(
        idle=TICKET_SECONDS, absolute=front.clock.now() + TICKET_SECONDS, refresh=None
    )
    try:
        await front.sessions.store.create(
            key, sealed, deadlines, owner=secrets.token_hex(12), kid=""
        )
    except StoreUnavailable:
        return None
    name = front.cookies.name("-logout")
    return front.cookies.line(name, ticket, same_site="Strict", max_age=TICKET_SECONDS)


def ticket_key(front: Front, ticket: str) -> str:
    """Where a ticket waits."""
    return store_key("ticket", front.frontend.name, ticket)


async def _end_session_url(front: Front, session: Session) -> str | None:
    server = front.server_of(session.identity.iss)
    if server is None:
        return None
    try:
        async with asyncio.timeout(_PATIENCE):
            metadata = await server.discovery.metadata()
    except (Refused, TimeoutError):
        return None
    return end_session_url(
        metadata,
        server.config,
        id_token_hint=session.tokens.id_token or None,
        post_logout_redirect_uri=front.frontend.origin + front.frontend.logout.return_to,
        state=secrets.token_urlsafe(32),
    )
