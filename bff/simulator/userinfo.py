"""`/userinfo`: claims for a valid access token (OpenID Connect Core §5.3; RFC 6750).

The token comes in the Authorization header only, once, by GET or POST. A switch makes the answer a
signed one; a fault on `userinfo_token` names a departure of it.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Final

from starlette.responses import JSONResponse, Response

from bff.simulator.binding import agreed, check_certificate, proven_jkt, told_nonce
from bff.simulator.call import Call
from bff.simulator.claims import scoped_claims
from bff.simulator.id_token import ID_TOKEN_DEPARTURES, Draft, draft_of
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.watch import NO_STORE

# Those of ID tokens that can be told of an answer that names no time and no session.
USERINFO_DEPARTURES: Final[Mapping[str, Callable[[Draft], None]]] = {
    name: ID_TOKEN_DEPARTURES[name]
    for name in (
        "wrong_iss", "missing_iss", "wrong_aud", "missing_aud", "other_sub", "missing_sub",
        "alg_none", "hs256_public_key", "other_alg", "unknown_kid", "kid_of_another_key", "crit",
        "typ_at_jwt", "bad_signature", "foreign_key", "expired", "events", "wrong_nonce",
        "missing",
        # Right enough:
        "extra_aud", "aud_list", "no_kid",
    )
}  # fmt: skip


def bearer_refusal(realm: Realm, _call: Call, refused: Refused) -> Response:
    """401 with the challenge of RFC 6750 §3; no error code where nothing was presented."""
    answer = refused.answer
    unproven = refused.reason.value.startswith("dpop")
    challenge = f'{"DPoP" if unproven else "Bearer"} realm="simulator"'
    if answer.error:
        challenge += f', error="{answer.error}", error_description="{answer.description}"'
    told = told_nonce(realm, refused=refused.reason)
    headers = {**NO_STORE, **told, "WWW-Authenticate": challenge}
    status = 401 if unproven else answer.status
    return JSONResponse({"error": answer.error or "unauthorized"}, status, headers)


async def userinfo(realm: Realm, call: Call) -> Response:
    """The person's claims."""
    headers = call.request.headers.getlist("authorization")
    scheme, _, presented = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() not in ("bearer", "dpop") or not presented:
        raise Refused(Reason.BEARER_MISSING)
    access = realm.grants.access_token(presented, now=realm.clock.now())
    account = realm.settings.account(access.grant.sub) if access else None
    if access is None or account is None:
        raise Refused(Reason.BEARER_INVALID)
    call.client_id = access.grant.client_id
    check_certificate(call, access.grant.x5t)
    bound = access.grant.dpop_jkt
    if (bound is not None) != (scheme.lower() == "dpop"):
        raise Refused(Reason.BEARER_INVALID)
    if bound is not None:
        agreed(bound, proven_jkt(realm, call, None, "userinfo", access_token=presented))
    about = scoped_claims(realm.settings, account, access.scope)
    if realm.settings.openid:
        claims: dict[str, object] = {"sub": account.sub} | about
    else:  # a number that never changes, and a name that may
        number = zlib.crc32(account.sub.encode())
        claims = {"id": number, "login": account.sub, "sub": "somebody-else", **about}
    told = {} if bound is None else told_nonce(realm)
    kept = {**NO_STORE, **told}
    if realm.switches.userinfo_signed:
        return Response(_signed(realm, call, claims), headers=kept, media_type="application/jwt")
    return JSONResponse(claims, headers=kept)


def _signed(realm: Realm, call: Call, claims: dict[str, object]) -> str:
    """The claims as a JWT for the client (OpenID Connect Core §5.3.2)."""
    about = {"iss": realm.settings.issuer, "aud": call.client_id, **claims}
    client = realm.settings.client(call.client_id)
    alg = "RS256" if client is None else client.id_token_signed_response_alg
    draft = draft_of(about, realm.keys, alg, int(realm.clock.now()))
    _, fault = realm.faults.take(("userinfo_token",))
    if fault.departure is not None:
        USERINFO_DEPARTURES[fault.departure](draft)
    return draft.signed() or ""
