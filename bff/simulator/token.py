"""`/token`: codes and tokens in, tokens out (RFC 6749 §4.1.3, §4.4, §6; RFC 8693; RFC 9068).

The client proves itself first. A code is good once, a refresh token once where tokens are rotated;
a second use of either ends the grant with all that was issued under it.
"""

import re
import secrets
from dataclasses import replace
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from bff.simulator.authorization_request import resource_of
from bff.simulator.binding import agreed, proven_jkt, shown_certificate, told_nonce
from bff.simulator.call import Call, Parameters
from bff.simulator.claims import scoped_claims
from bff.simulator.clients import authenticated_client
from bff.simulator.grants import AccessToken, Grant
from bff.simulator.id_token import ID_TOKEN_DEPARTURES, draft_of
from bff.simulator.keys import compact, left_half
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import OF_PEOPLE, SCOPES, Client
from bff.simulator.watch import NO_STORE, json_refusal

_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


async def token(realm: Realm, call: Call) -> Response:
    """The token endpoint; only POST."""
    form = call.form
    realm.secrets.add("code_verifiers", form.get("code_verifier"))
    client = authenticated_client(realm, call, form)
    jkt, x5t = proven_jkt(realm, call, client, "token"), shown_certificate(call, client)
    match form.required("grant_type"):
        case "authorization_code":
            answer = _redeemed(realm, client, form, jkt, x5t)
        case "refresh_token":
            answer = _refreshed(realm, client, form, jkt, x5t)
        case "client_credentials":
            answer = _own(realm, client, form, jkt, x5t)
        case "urn:ietf:params:oauth:grant-type:token-exchange" if realm.switches.token_exchange:
            answer = _exchanged(realm, client, form, jkt, x5t)
        case _:
            raise Refused(Reason.GRANT_TYPE_UNSUPPORTED)
    told = {} if jkt is None else told_nonce(realm)
    return JSONResponse(answer, headers={**NO_STORE, "Pragma": "no-cache", **told})


def token_refusal(realm: Realm, call: Call, refused: Refused) -> Response:
    """The error response (RFC 6749 §5.2), or that of a provider that keeps its reasons."""
    if realm.switches.empty_refusals:
        return Response(status_code=400)
    return json_refusal(realm, call, refused)


def _redeemed(
    realm: Realm, client: Client, form: Parameters, jkt: str | None, x5t: str | None
) -> dict[str, Any]:
    verifier = form.required("code_verifier")
    grant = realm.grants.redeem(
        form.required("code"),
        client_id=client.client_id,
        redirect_uri=form.required("redirect_uri"),
        code_verifier=verifier if _VERIFIER.match(verifier) else "",
        now=realm.clock.now(),
    )
    grant = replace(grant, dpop_jkt=agreed(grant.dpop_jkt, jkt), x5t=x5t)
    resource = _named(grant, form)
    answer = _access(realm, grant, grant.scope, audience=resource)
    if "offline_access" in grant.scope:
        answer |= _refresh(realm, grant)
    return answer | _identity(realm, client, grant, answer["access_token"], grant.nonce)


def _refreshed(
    realm: Realm, client: Client, form: Parameters, jkt: str | None, x5t: str | None
) -> dict[str, Any]:
    switches, now = realm.switches, realm.clock.now()
    presented = form.required("refresh_token")
    known = realm.grants.present(
        presented,
        client_id=client.client_id,
        grace=switches.rotation_grace_seconds,
        revokes=switches.reuse_revokes,
        now=now,
    )
    grant = replace(known.grant, dpop_jkt=agreed(known.grant.dpop_jkt, jkt), x5t=x5t)
    resource = _named(grant, form)
    scope = _narrowed(grant, form.get("scope"))
    if switches.access_token_dies_at_refresh:
        realm.grants.kill_access_tokens(grant)
    answer = _access(
        realm,
        grant,
        tuple(name for name in scope if name not in switches.drop_scopes),
        audience=resource,
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


def _own(
    realm: Realm, client: Client, form: Parameters, jkt: str | None, x5t: str | None
) -> dict[str, Any]:
    """A token of the client's own (RFC 6749 §4.4): for one API, and nobody's identity."""
    scope = tuple(dict.fromkeys((form.get("scope") or "").split()))
    if not set(scope) <= SCOPES.keys() - OF_PEOPLE:
        raise Refused(Reason.SCOPE_UNKNOWN)
    resource = resource_of(form)
    grant = Grant(
        grant_id=secrets.token_urlsafe(16),
        client_id=client.client_id,
        sub=client.client_id,
        sid="",
        scope=scope,
        auth_time=int(realm.clock.now()),
        acr="0",
        nonce=None,
        resource=resource,
        dpop_jkt=jkt,
        x5t=x5t,
    )
    audience = form.get("audience")
    named = (*resource, *(() if audience is None else (audience,)))
    return _access(realm, grant, scope, audience=named or None)


def _exchanged(
    realm: Realm, client: Client, form: Parameters, jkt: str | None, x5t: str | None
) -> dict[str, Any]:
    """A person's token for another API, for one that is good (RFC 8693 §2)."""
    switches = realm.switches
    if form.required("subject_token_type") != _ACCESS_TOKEN or form.get(
        "requested_token_type"
    ) not in (None, _ACCESS_TOKEN):
        raise Refused(Reason.TOKEN_TYPE)
    subject = realm.grants.access_token(form.required("subject_token"), now=realm.clock.now())
    if subject is None or subject.grant.client_id != client.client_id:
        raise Refused(Reason.SUBJECT_TOKEN)
    grant = replace(subject.grant, dpop_jkt=agreed(subject.grant.dpop_jkt, jkt), x5t=x5t)
    audience = form.get("audience")
    named = (*resource_of(form), *(() if audience is None else (audience,)))
    if not named or set(named) & set(switches.exchange_refuses):
        raise Refused(Reason.TARGET_UNKNOWN)
    answer = _access(realm, grant, _narrowed(grant, form.get("scope")), audience=named)
    issued = switches.exchange_issues
    return answer | ({} if issued is None else {"issued_token_type": issued})


def _named(grant: Grant, form: Parameters) -> tuple[str, ...] | None:
    """The APIs that this token alone is for, of those named at first (RFC 8707 §2.2)."""
    resource = form.all("resource")
    if not set(resource) <= set(grant.resource):
        raise Refused(Reason.RESOURCE_WIDENED)
    return tuple(resource) or None


def _narrowed(grant: Grant, wanted: str | None) -> tuple[str, ...]:
    if wanted is None:
        return grant.scope
    scope = tuple(dict.fromkeys(wanted.split()))
    if not set(scope) <= set(grant.scope):
        raise Refused(Reason.SCOPE_WIDENED)
    return scope


def _access(
    realm: Realm,
    grant: Grant,
    scope: tuple[str, ...],
    *,
    audience: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """An access token (RFC 9068 §2) and the members that describe it."""
    switches, now = realm.switches, int(realm.clock.now())
    jti = secrets.token_urlsafe(16)
    key = realm.keys.signing("RS256")
    access_token = compact(
        {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"},
        {
            "iss": realm.settings.issuer,
            "sub": grant.sub,
            "aud": _audience(realm, grant) if audience is None else list(audience),
            "client_id": grant.client_id,
            "scope": " ".join(scope),
            "iat": now,
            "exp": now + switches.access_token_seconds,
            "jti": jti,
            "auth_time": grant.auth_time,  # for an API that asks how long ago that was
            "acr": grant.acr,
            **_confirmation(grant),
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
    answer: dict[str, Any] = {
        "access_token": access_token,
        "token_type": switches.token_type if grant.dpop_jkt is None else "DPoP",
    }
    if not switches.omit_expires_in:
        answer["expires_in"] = switches.access_token_seconds
    if not switches.omit_scope:
        # Without OpenID Connect it plays one that lists scopes in its own way.
        answer["scope"] = (" " if realm.settings.openid else ",").join(scope)
    return answer


def _audience(realm: Realm, grant: Grant) -> str | list[str]:
    own = realm.settings.audience
    return [own, *grant.resource] if grant.resource else own


def _confirmation(grant: Grant) -> dict[str, Any]:
    """What the token is bound to (RFC 7800)."""
    bound = {"jkt": grant.dpop_jkt, "x5t#S256": grant.x5t}
    members = {name: value for name, value in bound.items() if value is not None}
    return {"cnf": members} if members else {}


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
    if not realm.settings.openid:
        return {}
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
        "at_hash": left_half(access_token, client.id_token_signed_response_alg),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    account = realm.settings.account(grant.sub)
    if account is not None and realm.switches.profile_in_id_token:
        claims |= scoped_claims(realm.settings, account, grant.scope)
    draft = draft_of(claims, realm.keys, client.id_token_signed_response_alg, now)
    kind = "refresh_token" if refresh else "authorization_code"
    _, fault = realm.faults.take((f"id_token:{kind}", "id_token"))
    if fault.departure is not None:
        ID_TOKEN_DEPARTURES[fault.departure](draft)
    id_token = draft.signed()
    realm.secrets.add("id_tokens", id_token)
    return {} if id_token is None else {"id_token": id_token}
