"""From a token answer to a session, in the place of the one that was there before (rows I, C-13).

Whatever fails, no session begins and the former one stays as it was. The tokens that have just come
are revoked, unless that could end the former session with them.
"""

from collections.abc import Mapping

from bff.browser.front import Front
from bff.caller.device import device_words
from bff.caller.request import BrowserRequest
from bff.config.access import claims_named
from bff.config.provider_section import Provider
from bff.journal.log import Event, tell
from bff.journal.metrics import CREATED, ENDED, count
from bff.problem import Reason, Refused
from bff.provider.dpop import DpopKey, open_dpop_key
from bff.provider.identity import IdToken, verify_id_token
from bff.provider.jws import TokenFault
from bff.provider.organization import fits, organization_in
from bff.provider.resource_identity import identity_from_resource
from bff.provider.server import AuthorizationServer
from bff.provider.step_up import falls_short
from bff.provider.token_answer import TokenResponse
from bff.provider.userinfo import userinfo
from bff.session.access import claims_asked
from bff.session.record import Identity, LoginTransaction, Session, Tokens, tokens_from
from bff.session.store import StoreUnavailable


async def sign_in(
    front: Front,
    server: AuthorizationServer,
    request: BrowserRequest,
    transaction: LoginTransaction,
    response: TokenResponse,
    now: float,
) -> str:
    """The id of the new session; the tokens were asked for at `now`. Raises Refused.

    STEP_UP_REQUIRED: the sign-in is not as fresh or as strong as was asked for (I-11).
    """
    session: Session | None = None
    id_token: IdToken | None = None
    try:
        id_token = await _who(server, transaction, response)
        if _falls_short(server, transaction, id_token):
            raise Refused(Reason.STEP_UP_REQUIRED)
        _require_organization(server, transaction, id_token)
        said = await _more(server, transaction, id_token, response)
        session = _session(front, server, transaction, response, id_token, said, now)
        session_id = await front.sessions.begin(
            session,
            device=device_words(request.get(b"user-agent")),
            address=request.peer if front.frontend.session.addresses else None,
            issued_at=id_token.iat,
        )
        await _end_former(front, transaction, session, session_id)
        await _end_oldest(front, session, session_id)
    except BaseException:
        tokens = _tokens(response, session, now)
        front.sessions.background.run(_discard(front, server, transaction, id_token, tokens))
        raise
    count(CREATED, front.frontend.name)
    tell(
        Event.LOGIN,
        frontend=front.frontend.name,
        session=front.sessions.session_tag(session_id),
        person=front.sessions.person_tag(session),
    )
    return session_id


async def _who(
    server: AuthorizationServer, transaction: LoginTransaction, response: TokenResponse
) -> IdToken:
    """Who signed in, by whatever says so at this provider. Raises Refused."""
    if server.config.identity == "userinfo":
        key = _proof_key(transaction, response)
        return await identity_from_resource(server, response.access_token, key=key)
    return await verify_id_token(
        server,
        response.id_token,
        access_token=response.access_token,
        nonce=transaction.nonce,
    )


def _falls_short(
    server: AuthorizationServer, transaction: LoginTransaction, id_token: IdToken
) -> bool:
    return falls_short(
        id_token,
        max_age=transaction.max_age,
        acr_values=transaction.acr_values,
        earliest=server.clock.now() - server.config.clock_skew,
    )


def _require_organization(
    server: AuthorizationServer, transaction: LoginTransaction, id_token: IdToken
) -> None:
    """Return if the person comes of an organisation that will do, and of the one asked for."""
    wanted = server.config.organization
    if wanted is not None and not fits(wanted, id_token.claims, asked=transaction.organization):
        tell(Event.PROVIDER_FAILED, endpoint="id_token", code=TokenFault.ORGANIZATION)
        raise Refused(Reason.ID_TOKEN_INVALID)


async def _more(
    server: AuthorizationServer,
    transaction: LoginTransaction,
    id_token: IdToken,
    response: TokenResponse,
) -> Mapping[str, object]:
    """What the provider says besides, after every check of the ID token (C-12)."""
    if not server.config.userinfo:
        return {}
    key = _proof_key(transaction, response)
    return await userinfo(server, response.access_token, id_token.sub, key=key)


def _proof_key(transaction: LoginTransaction, response: TokenResponse) -> DpopKey | None:
    """What the token is bound to, if it is; its type says so."""
    bound = transaction.dpop_key if response.token_type == "DPoP" else None  # noqa: S105 - a name
    return None if bound is None else open_dpop_key(bound)


def _session(
    front: Front,
    server: AuthorizationServer,
    transaction: LoginTransaction,
    response: TokenResponse,
    id_token: IdToken,
    more: Mapping[str, object],
    now: float,
) -> Session:
    provider = server.config
    shown = {**id_token.claims, **more}
    signed_first = {**more, **id_token.claims}  # where rules look
    tokens = tokens_from(
        response,
        now=now,
        asked_scope=" ".join((*provider.scopes, *transaction.more_scopes)),
        id_token=_kept(provider, response),
        assume_expires_in=provider.assume_expires_in,
    )
    identity = Identity(
        iss=id_token.iss,
        sub=id_token.sub,
        sid=id_token.sid,
        aud=id_token.aud,
        azp=id_token.azp,
        nonce=id_token.nonce,
        auth_time=id_token.auth_time,
        acr=id_token.acr,
        claims=claims_named(shown, front.frontend.session.claims),
        organization=None
        if provider.organization is None
        else organization_in(provider.organization, id_token.claims),
        held=claims_named(signed_first, claims_asked(front.frontend.routes)),
    )
    return Session(
        frontend=front.frontend.name,
        identity=identity,
        tokens=tokens,
        created_at=now,
        prompted=transaction.prompted,
        dpop_key=transaction.dpop_key,
    )


def _kept(provider: Provider, response: TokenResponse) -> str:
    """The ID token, where it has been looked at."""
    return (response.id_token or "") if provider.identity == "openid" else ""


async def _end_former(
    front: Front, transaction: LoginTransaction, session: Session, session_id: str
) -> None:
    """End the session that was live when this login began (C-13); if it cannot be, neither begins.

    The callback is a cross-site navigation and never carries the Strict cookie, so the attempt
    has kept its id.
    """
    if transaction.session_id is None:
        return
    try:
        former = await front.sessions.end(transaction.session_id, Reason.SESSION_ENDED)
    except Refused:
        front.sessions.abandon(session_id)
        raise
    if former is not None:
        count(ENDED, front.frontend.name, "another_login")
        front.sessions.revoke_former(former, session)


async def _end_oldest(front: Front, session: Session, session_id: str) -> None:
    """End those that are too many (S-17); if they cannot be, this one does not begin."""
    try:
        await front.people.bound(session.identity.sub, iss=session.identity.iss)
    except StoreUnavailable:
        front.sessions.abandon(session_id)
        raise Refused(Reason.STORE_UNAVAILABLE) from None


def _tokens(response: TokenResponse, session: Session | None, now: float) -> Tokens:
    if session is not None:
        return session.tokens
    return tokens_from(response, now=now, asked_scope="", id_token="", assume_expires_in=None)


async def _discard(
    front: Front,
    server: AuthorizationServer,
    transaction: LoginTransaction,
    id_token: IdToken | None,
    tokens: Tokens,
) -> None:
    """Revoke the tokens of a sign-in that came to nothing (C-12, C-14), if that harms nobody."""
    if id_token is None or not await _shares_grant(front, transaction, id_token):
        front.sessions.revoke(server.config.issuer, tokens)


async def _shares_grant(front: Front, transaction: LoginTransaction, id_token: IdToken) -> bool:
    """Whether revoking the new tokens might end the former session, which is to stay as it was.

    Most providers hang all of one person's tokens on one grant, and revoking any of them ends it.
    """
    if transaction.session_id is None or front.frontend.logout.revoke_former:
        return False
    try:
        found = await front.sessions.find(transaction.session_id)
    except Refused as refused:
        return refused.reason in (Reason.STORE_UNAVAILABLE, Reason.KEY_UNKNOWN)  # it may well live
    former = found.session.identity
    return (former.iss, former.sub) == (id_token.iss, id_token.sub)
