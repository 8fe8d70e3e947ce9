"""`/revoke` (RFC 7009): a refresh token takes its grant along, an access token only itself."""

from starlette.responses import Response

from bff.simulator.call import Call
from bff.simulator.clients import authenticated_client
from bff.simulator.realm import Realm
from bff.simulator.watch import NO_STORE


async def revoke(realm: Realm, call: Call) -> Response:
    """200 for an unknown token as well (§2.2); the hint is not needed."""
    form = call.form
    client = authenticated_client(realm, call, form)
    known = realm.grants.revoke_token(form.required("token"), client_id=client.client_id)
    call.outcome = "ok" if known else "unknown_token"
    return Response(headers=NO_STORE)
