"""`/end-session`: RP-initiated logout. Ends the provider's session and sends the browser back.

With a hint that names the person who is signed in, at once; else a page asks. Its form takes
`ticket` and `decision` (`sign_out` or `stay`). Clients that have registered where to are told
before the browser leaves: by a call of ours, or by frames in a page that goes on by itself.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from bff.simulator.authorize import COOKIE, current_visit
from bff.simulator.call import Call
from bff.simulator.interaction import refuse_other_site
from bff.simulator.logout_request import LogoutRequest, logout_request
from bff.simulator.logout_token import tell_clients
from bff.simulator.pages import departure_page, leaving_page, note_page
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused

# Which providers send the browser back at all (`end_session_returns`).
RETURNS: Final[Mapping[str, Callable[[LogoutRequest], bool]]] = {
    "always": lambda _asked: True,
    "with_client_id": lambda asked: asked.client_id is not None,
    "with_state": lambda asked: asked.state is not None,
    "never": lambda _asked: False,
}


async def end_session(realm: Realm, call: Call) -> Response:
    """The end-session endpoint; GET or POST."""
    sent = call.query if call.request.method == "GET" else call.form
    realm.secrets.add("states", sent.first("state"))
    asked = logout_request(
        realm.settings, realm.keys, sent, way_back=realm.switches.end_session_parameter
    )
    visit = current_visit(realm, call)
    hinted = asked.hinted_sub is not None and (visit is None or visit.sub == asked.hinted_sub)
    if hinted and not realm.switches.end_session_asks:
        return await _left(realm, call, asked)
    account = realm.settings.account(visit.sub) if visit else None
    call.outcome = "asked"
    return leaving_page(realm, realm.leaving.issue(asked), account, asked.post_logout_redirect_uri)


async def confirm(realm: Realm, call: Call) -> Response:
    """The answer to the page."""
    refuse_other_site(realm, call)
    asked = realm.leaving.take(call.form.required("ticket"))
    if asked is None:
        raise Refused(Reason.TICKET_UNKNOWN)
    if call.form.required("decision") != "sign_out":
        call.outcome = "stayed"
        return note_page(realm, "Still signed in", "Nothing has changed.")
    return await _left(realm, call, asked)


async def _left(realm: Realm, call: Call, asked: LogoutRequest) -> Response:
    visit = current_visit(realm, call)
    if visit is not None:
        realm.visits.sign_out(visit)
    sid = visit.sid if visit else asked.hinted_sid
    if realm.switches.end_session_revokes and sid is not None:
        realm.grants.revoke_where(sid=sid)
    if sid is not None:
        await tell_clients(realm, sub=visit.sub if visit else asked.hinted_sub, sid=sid)
    response = _farewell(realm, _way_back(realm, asked), _frames(realm, sid))
    response.delete_cookie(COOKIE, path=realm.settings.path or "/", httponly=True, samesite="lax")
    return response


def _way_back(realm: Realm, asked: LogoutRequest) -> str | None:
    uri = asked.post_logout_redirect_uri
    if uri is None or not RETURNS[realm.switches.end_session_returns](asked):
        return None
    query = "" if asked.state is None else urlencode({"state": asked.state})
    return f"{uri}{'&' if '?' in uri else '?'}{query}" if query else uri


def _frames(realm: Realm, sid: str | None) -> list[str]:
    """The addresses of the clients' frames (Front-Channel Logout §3)."""
    query = urlencode({"iss": realm.settings.issuer, "sid": sid or ""})
    uris = [each.frontchannel_logout_uri for each in realm.settings.clients]
    return [f"{uri}{'&' if '?' in uri else '?'}{query}" for uri in uris if uri and sid]


def _farewell(realm: Realm, back: str | None, frames: list[str]) -> Response:
    if frames:
        return departure_page(realm, frames, back)
    if back is not None:
        return RedirectResponse(back, 303, {"Cache-Control": "no-store"})
    return note_page(realm, "Signed out", "You are signed out of the simulator.")
