"""`/userinfo`: claims for a valid access token (OpenID Connect Core §5.3; RFC 6750).

The token comes in the Authorization header only, once, by GET or POST.
"""

from starlette.responses import JSONResponse, Response

from bff.simulator.call import Call
from bff.simulator.claims import scoped_claims
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.watch import NO_STORE


def bearer_refusal(_realm: Realm, _call: Call, refused: Refused) -> Response:
    """401 with the challenge of RFC 6750 §3; no error code where nothing was presented."""
    answer = refused.answer
    challenge = 'Bearer realm="simulator"'
    if answer.error:
        challenge += f', error="{answer.error}", error_description="{answer.description}"'
    headers = {**NO_STORE, "WWW-Authenticate": challenge}
    return JSONResponse({"error": answer.error or "unauthorized"}, answer.status, headers)


async def userinfo(realm: Realm, call: Call) -> Response:
    """The person's claims."""
    headers = call.request.headers.getlist("authorization")
    scheme, _, presented = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not presented:
        raise Refused(Reason.BEARER_MISSING)
    access = realm.grants.access_token(presented, now=realm.clock.now())
    account = realm.settings.account(access.grant.sub) if access else None
    if access is None or account is None:
        raise Refused(Reason.BEARER_INVALID)
    call.client_id = access.grant.client_id
    claims = {"sub": account.sub} | scoped_claims(realm.settings, account, access.scope)
    return JSONResponse(claims, headers=NO_STORE)
