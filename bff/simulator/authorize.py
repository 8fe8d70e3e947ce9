"""`/authorize`: whether the person must be asked, and the code if not.

What may come next is decided here for the request itself and, through `proceed`, for the answers to
the pages in `interaction`. The provider's own session cookie makes single sign-on work.
"""

import secrets

from starlette.responses import Response

from bff.simulator.authorization_request import (
    AuthorizationRequest,
    ReturnAddress,
    authorization_request,
    return_address,
)
from bff.simulator.call import Call, Parameters
from bff.simulator.callback import callback, refusal_callback
from bff.simulator.grants import Grant
from bff.simulator.logout_request import hinted_claims
from bff.simulator.pages import chooser_page, consent_page, refusal_page
from bff.simulator.pushed import pushed_request
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.visits import Visit

COOKIE = "simulator"


def page_refusal(realm: Realm, _call: Call, refused: Refused) -> Response:
    """A refusal that must not leave this site."""
    return refusal_page(realm, refused.answer)


def current_visit(realm: Realm, call: Call) -> Visit | None:
    """The provider session of this browser."""
    return realm.visits.find(call.request.cookies.get(COOKIE))


async def authorize(realm: Realm, call: Call) -> Response:
    """The authorization endpoint; only GET."""
    query = call.query
    call.client_id = query.first("client_id")
    for kind, name in (
        ("states", "state"),
        ("nonces", "nonce"),
        ("code_challenges", "code_challenge"),
    ):
        realm.secrets.add(kind, query.first(name))
    realm.secrets.add("request_uris", query.first("request_uri"))
    pushed = None if realm.switches.par == "absent" else pushed_request(realm, query)
    if pushed is not None:
        return _answered(realm, call, pushed)
    back = return_address(realm.settings, query)
    try:
        asked = authorization_request(realm.settings, back, query, _hinted_sub(realm, query))
    except Refused as refused:
        call.outcome = refused.reason.value
        return refusal_callback(realm, back, refused)
    return _answered(realm, call, asked)


def _answered(realm: Realm, call: Call, asked: AuthorizationRequest) -> Response:
    """The page, the code or the error that a request without fault leads to."""
    try:
        return _first_step(realm, asked, current_visit(realm, call))
    except Refused as refused:
        call.outcome = refused.reason.value
        return refusal_callback(realm, asked.back, refused)


def _hinted_sub(realm: Realm, query: Parameters) -> str | None:
    hint = query.get("id_token_hint")
    if hint is None:
        return None
    return str(hinted_claims(realm.settings, realm.keys, hint)["sub"])


def _first_step(realm: Realm, asked: AuthorizationRequest, visit: Visit | None) -> Response:
    if visit is not None and _suits(realm, asked, visit):
        return proceed(realm, asked, visit)
    if "none" in asked.prompt:
        raise Refused(Reason.LOGIN_REQUIRED)
    signed_in = visit.sub if visit else None
    return chooser_page(
        realm,
        asked.back.client,
        realm.choosing.issue(asked),
        first=_hinted_account(realm, asked) or signed_in,
        signed_in=signed_in,
        to=asked.back.redirect_uri,
    )


def _suits(realm: Realm, asked: AuthorizationRequest, visit: Visit) -> bool:
    """Whether this session answers the request without a new sign-in."""
    age = int(realm.clock.now()) - visit.auth_time
    return not (
        asked.prompt & {"login", "select_account"}
        or (asked.max_age is not None and (age > asked.max_age or asked.max_age == 0))
        or (asked.acr_values and visit.acr not in asked.acr_values)
        or _hinted_account(realm, asked) not in (None, visit.sub)
    )


def _hinted_account(realm: Realm, asked: AuthorizationRequest) -> str | None:
    """The `sub` that the hints mean, also where nobody here has it."""
    hint = asked.login_hint
    known = (
        account.sub for account in realm.settings.accounts if hint in (account.sub, account.email)
    )
    return asked.hinted_sub or next(known, None)


def proceed(realm: Realm, asked: AuthorizationRequest, visit: Visit) -> Response:
    """The consent page, or the code where the person has already agreed."""
    client = asked.back.client
    agreed = set(asked.scope) <= realm.visits.agreed(visit.sub, client.client_id)
    account = realm.settings.account(visit.sub)
    if account is None:
        raise Refused(Reason.ACCOUNT_UNKNOWN)
    if agreed and "consent" not in asked.prompt:
        return give_code(realm, asked, visit)
    if "none" in asked.prompt:
        raise Refused(Reason.CONSENT_REQUIRED)
    ticket = realm.consenting.issue((asked, visit.sub))
    return consent_page(realm, client, ticket, account, asked.scope, asked.back.redirect_uri)


def give_code(realm: Realm, asked: AuthorizationRequest, visit: Visit) -> Response:
    """The redirect with a fresh code, bound to all that the request said."""
    back: ReturnAddress = asked.back
    dropped = realm.switches.drop_scopes
    grant = Grant(
        grant_id=secrets.token_hex(8),
        client_id=back.client.client_id,
        sub=visit.sub,
        sid=visit.sid,
        scope=tuple(name for name in asked.scope if name not in dropped),
        auth_time=visit.auth_time,
        acr=visit.acr,
        nonce=asked.nonce,
        resource=asked.resource,
        dpop_jkt=asked.dpop_jkt if realm.switches.dpop else None,
    )
    code = realm.grants.issue_code(
        grant,
        redirect_uri=back.redirect_uri,
        code_challenge=asked.code_challenge,
        expires_at=realm.clock.now() + realm.settings.code_seconds,
    )
    realm.secrets.add("codes", code)
    return callback(realm, back, {"code": code})
