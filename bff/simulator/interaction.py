"""The forms a person posts: who they are, and whether the client may.

Fields, for a script that plays the person: `/choose` takes `ticket` and `account` (a `sub`) or
`decision=cancel`; `/consent` takes `ticket` and `decision` (`allow` or `deny`). The ticket is the
hidden field of the page and good once. After `/choose` the answer is the consent page itself or the
redirect to the client.
"""

from starlette.responses import Response

from bff.simulator.authorization_request import AuthorizationRequest
from bff.simulator.authorize import COOKIE, current_visit, give_code, proceed
from bff.simulator.call import Call
from bff.simulator.callback import refusal_callback
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.visits import Tickets, Visit, Waiting


def refuse_other_site(realm: Realm, call: Call) -> None:
    """A browser names the origin of a form; a script need not (login CSRF)."""
    origin = call.request.headers.get("origin")
    if origin not in (None, realm.settings.origin):
        raise Refused(Reason.FORM_OF_ANOTHER_SITE)


async def choose(realm: Realm, call: Call) -> Response:
    """Signs the chosen person in and goes on."""
    asked = _waiting(realm, call, realm.choosing)
    call.client_id = asked.back.client.client_id
    if call.form.get("decision") == "cancel":
        return _told(realm, call, asked, Refused(Reason.ACCESS_DENIED))
    account = realm.settings.account(call.form.required("account"))
    if account is None:
        raise Refused(Reason.ACCOUNT_UNKNOWN)
    visit = realm.visits.sign_in(
        current_visit(realm, call),
        sub=account.sub,
        acr=asked.acr_values[0] if asked.acr_values else realm.settings.acr_values_supported[0],
        now=int(realm.clock.now()),
    )
    response = proceed(realm, asked, visit)
    _remember(realm, response, visit)
    return response


async def consent(realm: Realm, call: Call) -> Response:
    """Gives the code, or tells the client that the person said no."""
    asked, sub = _waiting(realm, call, realm.consenting)
    call.client_id = asked.back.client.client_id
    if call.form.required("decision") != "allow":
        return _told(realm, call, asked, Refused(Reason.ACCESS_DENIED))
    visit = current_visit(realm, call)
    if visit is None or visit.sub != sub:
        raise Refused(Reason.PERSON_CHANGED)
    realm.visits.agree(visit.sub, asked.back.client.client_id, asked.scope)
    return give_code(realm, asked, visit)


def _waiting(realm: Realm, call: Call, tickets: Tickets[Waiting]) -> Waiting:
    refuse_other_site(realm, call)
    waiting = tickets.take(call.form.required("ticket"))
    if waiting is None:
        raise Refused(Reason.TICKET_UNKNOWN)
    return waiting


def _told(realm: Realm, call: Call, asked: AuthorizationRequest, refused: Refused) -> Response:
    call.outcome = refused.reason.value
    return refusal_callback(realm, asked.back, refused)


def _remember(realm: Realm, response: Response, visit: Visit) -> None:
    # Lax: the client's site begins the navigation to /authorize, and single sign-on needs the
    # cookie there. No Secure: loopback is plain http.
    response.set_cookie(
        COOKIE, visit.cookie, path=realm.settings.path or "/", httponly=True, samesite="lax"
    )
