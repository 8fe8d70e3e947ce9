"""`/end-session`: RP-initiated logout. Ends the provider's session and sends the browser back.

With a hint that names the person who is signed in, at once; else a page asks. Its form takes
`ticket` and `decision` (`sign_out` or `stay`).
"""

from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from bff.simulator.authorize import COOKIE, current_visit
from bff.simulator.call import Call
from bff.simulator.interaction import refuse_other_site
from bff.simulator.logout_request import LogoutRequest, logout_request
from bff.simulator.pages import leaving_page, note_page
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused


async def end_session(realm: Realm, call: Call) -> Response:
    """The end-session endpoint; GET or POST."""
    sent = call.query if call.request.method == "GET" else call.form
    realm.secrets.add("states", sent.first("state"))
    asked = logout_request(realm.settings, realm.keys, sent)
    visit = current_visit(realm, call)
    if asked.hinted_sub is not None and (visit is None or visit.sub == asked.hinted_sub):
        return _left(realm, call, asked)
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
    return _left(realm, call, asked)


def _left(realm: Realm, call: Call, asked: LogoutRequest) -> Response:
    visit = current_visit(realm, call)
    if visit is not None:
        realm.visits.sign_out(visit)
    sid = visit.sid if visit else asked.hinted_sid
    if realm.switches.end_session_revokes and sid is not None:
        realm.grants.revoke_where(sid=sid)
    response: Response = note_page(realm, "Signed out", "You are signed out of the simulator.")
    uri = asked.post_logout_redirect_uri
    if uri is not None:
        query = "" if asked.state is None else urlencode({"state": asked.state})
        joint = "&" if "?" in uri else "?"
        response = RedirectResponse(
            f"{uri}{joint}{query}" if query else uri, 303, {"Cache-Control": "no-store"}
        )
    response.delete_cookie(COOKIE, path=realm.settings.path or "/", httponly=True, samesite="lax")
    return response
