"""`/par`: a request that the client itself brings; a browser brings a reference to it (RFC 9126).

The client proves itself and the whole request is judged here; `/authorize` then takes the reference
once, of the same client, within a minute.
"""

from dataclasses import replace
from typing import Final

from starlette.responses import JSONResponse, Response

from bff.simulator.authorization_request import (
    AuthorizationRequest,
    authorization_request,
    return_address,
)
from bff.simulator.binding import agreed, proven_jkt, told_nonce
from bff.simulator.call import Call, Parameters
from bff.simulator.clients import authenticated_client
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.watch import NO_STORE

SECONDS: Final = 60
PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
_ALONE: Final = frozenset({"client_id", "request_uri"})


async def push(realm: Realm, call: Call) -> Response:
    """The pushed authorization request endpoint; only POST."""
    form = call.form
    for kind, name in (
        ("states", "state"),
        ("nonces", "nonce"),
        ("code_challenges", "code_challenge"),
    ):
        realm.secrets.add(kind, form.get(name))
    client = authenticated_client(realm, call, form)
    back = return_address(realm.settings, form)
    if back.client is not client:
        raise Refused(Reason.PUSHED_FOR_ANOTHER)
    jkt = proven_jkt(realm, call, client, "par")
    asked = authorization_request(realm.settings, back, form, None)
    asked = replace(asked, dpop_jkt=agreed(asked.dpop_jkt if jkt else None, jkt) or asked.dpop_jkt)
    reference = PREFIX + realm.pushed.issue((asked, realm.clock.now() + SECONDS))
    realm.secrets.add("request_uris", reference)
    answer = {"request_uri": reference, "expires_in": SECONDS}
    return JSONResponse(answer, 201, headers=NO_STORE | (told_nonce(realm) if jkt else {}))


def pushed_request(realm: Realm, query: Parameters) -> AuthorizationRequest | None:
    """The request that a reference in the query means; raises Refused, for a page of our own.

    None: there is no reference, and none is needed."""
    reference = query.get("request_uri")
    client = realm.settings.client(query.get("client_id"))
    if client is None:
        raise Refused(Reason.CLIENT_UNKNOWN)
    if reference is None:
        if realm.switches.par == "required":
            raise Refused(Reason.PUSH_REQUIRED)
        return None
    if not query.names <= _ALONE:
        raise Refused(Reason.REQUEST_URI_NOT_ALONE)
    ticket = reference.removeprefix(PREFIX)
    waiting = realm.pushed.see(ticket)
    if waiting is None:
        raise Refused(Reason.REQUEST_URI_UNKNOWN)  # never given out, or used before
    asked, expires_at = waiting
    if asked.back.client is not client:
        raise Refused(Reason.REQUEST_URI_OF_ANOTHER)
    realm.pushed.take(ticket)
    if realm.clock.now() >= expires_at:
        raise Refused(Reason.REQUEST_URI_EXPIRED)
    return asked
