"""GET /bff/logout/provider: the way to the provider's end-session, good once (O-08, K-08).

The ID token is in the `Location` of this answer and nowhere else: no script ever sees it.
"""

import secrets

from bff.browser.front import Front, require_navigation
from bff.browser.logout import ticket_key
from bff.caller.request import BrowserRequest
from bff.problem import Answer
from bff.session.seal import KeyUnknown, SealBroken
from bff.session.store import StoreUnavailable


async def provider_logout(front: Front, request: BrowserRequest) -> Answer:
    """Send the person to the provider, or home if there is no ticket. Raises Refused(FORBIDDEN)."""
    require_navigation(request)
    name = front.cookies.name("-logout")
    tickets = front.cookies.values(request, name)
    used = [front.cookies.line(name, "", same_site="Strict", max_age=0)]
    location = await _target(front, tickets[0]) if len(tickets) == 1 else None
    return front.see_other(location or front.frontend.logout.return_to, more=used)


async def _target(front: Front, ticket: str) -> str | None:
    key, store = ticket_key(front, ticket), front.sessions.store
    try:
        if await store.peek(key) is None:
            return None  # ended, even what never was would leave a tombstone: no write for nobody
        answer = await store.end(key, owner=secrets.token_hex(12), reason="session_ended")
    except StoreUnavailable:
        return None
    if answer.sealed is None:
        return None
    try:
        return front.ticket_sealer.open(answer.sealed, str, place=key, salt=ticket.encode())
    except (KeyUnknown, SealBroken):
        return None
