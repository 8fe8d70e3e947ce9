"""`/token`: codes and refresh tokens in, tokens out (RFC 6749 §4.1.3, §6; RFC 7636; RFC 9068).

The client proves itself first. A code is good once, a refresh token once where tokens are rotated;
a second use of either ends the grant with all that was issued under it.
"""

import re
import secrets
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from bff.simulator.call import Call, Parameters
from bff.simulator.claims import scoped_claims
from bff.simulator.clients import authenticated_client
from bff.simulator.grants import AccessToken, Grant
from bff.simulator.id_token import ID_TOKEN_DEPARTURES, Draft
from bff.simulator.keys import compact, left_half
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import Client
from bff.simulator.watch import NO_STORE, json_refusal

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


async def token(realm: Realm, call: Call) -> Response:
    """The token endpoint; only POST."""
    form = call.form
    realm.secrets.add("code_verifiers", form.get("code_verifier"))
    client = authenticated_client(realm, call, form)
    match form.required("grant_type"):
        case "authorization_code":
            answer = _redeemed(realm, client, form)
        case "refresh_token":
            answer = _refreshed(realm, client, form)
        case _:
            raise Refused(Reason.GRANT_TYPE_UNSUPPORTED)
    return JSONResponse(answer, headers={**NO_STORE, "Pragma": "no-cache"})


def token_refusal(realm: Realm, call: Call, refused: Refused) -> Response:
    """The error response (RFC 6749 §5.2), or that of a provider that keeps its reasons."""
    if realm.switches.empty_refusals:
        return Response(status_code=400)
    return json_refusal(realm, call, refused)


def _redeemed(realm: Realm, client: Client, form: Parameters) -> dict[str, Any]:
    verifier = form.required("code_verifier")
    grant = realm.grants.redeem(
        form.required("code"),
        client_id=client.client_id,
        redirect_uri=form.required("redirect_uri"),
        code_verifier=verifier if _VERIFIER.match(verifier) else "",
        now=realm.clock.now(),
    )
    answer = _access(realm, grant, grant.scope)
    if "offline_access" in grant.scope:
        answer |= _refresh(realm, grant)
    return answer | _identity(realm, client, grant, answer["access_token"], grant.nonce)


def _refreshed(realm: Realm, client: Client, form: Parameters) -> dict[str, Any]:
    switches, now = realm.switches, realm.clock.now()
    presented = form.required("refresh_token")
    known = realm.grants.present(
        presented,
        client_id=client.client_id,
        grace=switches.rotation_grace_seconds,
        now=now,
    )
    grant = known.grant
    scope = _narrowed(grant, form.get("scope"))
    if switches.access_token_dies_at_refresh:
        realm.grants.kill_access_tokens(grant)
    answer = _access(
        realm, grant, tuple(name for name in scope if name not in switches.drop_scopes)
    )
    if switches.rotate:
        realm.grants.spend(presented, now=now)
        answer |= _refresh(realm, grant)
    elif switches.send_refresh_token_again:
        answer["refresh_token"] = presented
    if not switches.id_token_at_refresh:
        return answer
    nonce = grant.nonce if switches.nonce_at_refresh else None
    return answer | _identity(realm, client, grant, answer["access_token"], nonce, refresh=True)


def _narrowed(grant: Grant, wanted: str | None) -> tuple[str, ...]:
    if wanted is None:
        return grant.scope
    scope = tuple(dict.fromkeys(wanted.split()))
    if not set(scope) <= set(grant.scope):
        raise Refused(Reason.SCOPE_WIDENED)
    return scope


def _access(realm: Realm, grant: Grant, scope: tuple[str, ...]) -> dict[str, Any]:
    """An access token (RFC 9068 §2) and the members that describe it."""
    switches, now = realm.switches, int(realm.clock.now())
    jti = secrets.token_urlsafe(16)
    key = realm.keys.signing("RS256")
    access_token = compact(
        {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"},
        {
            "iss": realm.settings.issuer,
            "sub": grant.sub,
            "aud": realm.settings.audience,
            "client_id": grant.client_id,
            "scope": " ".join(scope),
            "iat": now,
            "exp": now + switches.access_token_seconds,
            "jti": jti,
        },
        key.sign,
    )
    realm.grants.record_access_token(
        access_token,
        AccessToken(
            grant=grant, scope=scope, jti=jti, expires_at=now + switches.access_token_seconds
        ),
    )
    realm.secrets.add("access_tokens", access_token)
    answer: dict[str, Any] = {"access_token": access_token, "token_type": switches.token_type}
    if not switches.omit_expires_in:
        answer["expires_in"] = switches.access_token_seconds
    if not switches.omit_scope:
        answer["scope"] = " ".join(scope)
    return answer


def _refresh(realm: Realm, grant: Grant) -> dict[str, Any]:
    seconds = realm.switches.refresh_token_seconds
    refresh_token = realm.grants.issue_refresh_token(grant, expires_at=realm.clock.now() + seconds)
    realm.secrets.add("refresh_tokens", refresh_token)
    answer: dict[str, Any] = {"refresh_token": refresh_token}
    if realm.switches.refresh_expires_in:
        answer["refresh_expires_in"] = seconds
    return answer


def _identity(
    realm: Realm,
    client: Client,
    grant: Grant,
    access_token: str,
    nonce: str | None,
    *,
    refresh: bool = False,
) -> dict[str, Any]:
    """The ID token (OpenID Connect Core §2, §12.2), as the faults want it."""
    now = int(realm.clock.now())
    claims: dict[str, Any] = {
        "iss": realm.settings.issuer,
        "sub": grant.sub,
        "aud": client.client_id,
        "iat": now,
        "exp": now + realm.switches.id_token_seconds,
        "auth_time": grant.auth_time,
        "sid": grant.sid,
        "acr": grant.acr,
        "at_hash": left_half(access_token),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    account = realm.settings.account(grant.sub)
    if account is not None and realm.switches.profile_in_id_token:
        claims |= scoped_claims(realm.settings, account, grant.scope)
    alg = client.id_token_signed_response_alg
    draft = Draft(
        claims=claims,
        key=realm.keys.signing(alg),
        other_key=realm.keys.signing("ES256" if alg == "RS256" else "RS256"),
        now=now,
    )
    kind = "refresh_token" if refresh else "authorization_code"
    _, fault = realm.faults.take((f"id_token:{kind}", "id_token"))
    if fault.departure is not None:
        ID_TOKEN_DEPARTURES[fault.departure](draft)
    id_token = draft.signed()
    realm.secrets.add("id_tokens", id_token)
    return {} if id_token is None else {"id_token": id_token}
