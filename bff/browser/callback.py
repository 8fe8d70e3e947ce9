"""GET /bff/callback: ends the code flow with a session, its cookie, a page that goes on.

Rows C and I of the conformance checklist.
"""

import hmac
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, urlencode

from bff.browser.front import LOGIN_URL, Front
from bff.caller.request import BrowserRequest
from bff.journal.log import Event, tell
from bff.problem import Answer, Headers, Reason, Refused, refusal
from bff.provider.authorization import CallbackAnswer, check_issuer, read_callback
from bff.provider.identity import IdToken, verify_id_token
from bff.provider.token import TokenResponse, exchange_code
from bff.provider.userinfo import userinfo
from bff.session.record import (
    TRANSACTION_SECONDS,
    Deadlines,
    Identity,
    LoginTransaction,
    Session,
    tokens_from,
)
from bff.session.seal import store_key
from bff.session.store import OutcomeUnknown, StoreUnavailable

_CLAIM_SECONDS: Final = TRANSACTION_SECONDS + 60
_UNAVAILABLE: Final = frozenset({"server_error", "temporarily_unavailable"})
_NOT_SILENTLY: Final = frozenset(
    {
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
    }
)


class _BeforeClaim(Exception):
    """Refused while the state was not claimed: the same URL may work in a moment."""

    def __init__(self, refused: Refused) -> None:
        super().__init__()
        self.refused = refused


async def callback(front: Front, request: BrowserRequest) -> Answer:
    """Take the provider's answer. Every refusal here is a page, and the attempt is over with it."""
    used = _used_attempt(front, request)
    try:
        return await _take(front, request, used)
    except _BeforeClaim as early:
        again = ("", "Try again")  # the empty reference is this very URL; its code is not repeated
        return _refusal(front, request, early.refused, link=again)
    except Refused as refused:
        tell(
            Event.LOGIN_FAILED,
            reason=refused.reason.value,
            frontend=front.frontend.name,
        )
        link = (LOGIN_URL, "Sign in")
        if refused.reason is Reason.TRANSACTION_MISSING:
            link = ("/", "To the application")  # which finds them signed in, perhaps (K-04)
        return _refusal(front, request, refused, link=link, more=used)


def _used_attempt(front: Front, request: BrowserRequest) -> Headers:
    """The field that deletes the attempt this answer speaks of (C-03)."""
    pairs = parse_qsl(request.query.decode("latin-1"), max_num_fields=None)
    states = [value for name, value in pairs if name == "state"]
    return [front.transactions.delete(states[0])] if states else []


def _refusal(
    front: Front,
    request: BrowserRequest,
    refused: Refused,
    *,
    link: tuple[str, str],
    more: Headers | None = None,
    detail: str | None = None,
) -> Answer:
    answer = refusal(
        refused,
        request_id=request.request_id,
        secure=front.frontend.secure,
        as_page=True,
        link=link,
        detail=detail,
    )
    return replace(answer, headers=[*answer.headers, *(more or [])])


async def _take(front: Front, request: BrowserRequest, used: Headers) -> Answer:
    answer = read_callback(request.query)
    transaction = _transaction(front, request, answer)
    try:
        metadata = await front.server.discovery.metadata()
    except Refused as refused:
        raise _BeforeClaim(refused) from None
    check_issuer(answer, transaction.issuer, metadata)
    if answer.code is None:
        return _error(front, request, answer, transaction, used)
    with ExitStack() as held:
        try:
            held.enter_context(front.server.logins.place(request.peer, front.clock.now()))
        except Refused as refused:
            raise _BeforeClaim(refused) from None
        await _claim(front, transaction)
        asked_at = front.clock.now()
        response = await exchange_code(
            front.server, code=answer.code, code_verifier=transaction.code_verifier
        )
        return await _sign_in(front, request, transaction, response, asked_at, used)


def _transaction(front: Front, request: BrowserRequest, answer: CallbackAnswer) -> LoginTransaction:
    """The attempt that this answer belongs to, and that this browser began (C-02)."""
    transaction = front.transactions.read(answer.state, request)
    if transaction is None:
        raise Refused(Reason.TRANSACTION_MISSING)
    if not hmac.compare_digest(transaction.state.encode(), answer.state.encode()):
        raise Refused(Reason.STATE_MISMATCH)
    if front.clock.now() - transaction.started_at > TRANSACTION_SECONDS:
        raise Refused(Reason.TRANSACTION_EXPIRED)
    return transaction


def _error(
    front: Front,
    request: BrowserRequest,
    answer: CallbackAnswer,
    transaction: LoginTransaction,
    used: Headers,
) -> Answer:
    """The provider said no, or not now (C-07). Its text is shown escaped, and never believed."""
    if transaction.falls_on:
        return _as_usual(front, transaction, used)
    if transaction.silent and answer.error in _NOT_SILENTLY:
        return _landing(front, transaction, used)
    if answer.error in _UNAVAILABLE:
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    detail = "The sign-in was cancelled." if answer.error == "access_denied" else None
    if detail is None and answer.error_description is not None:
        detail = f"The provider says: {answer.error_description[:200]}"
    tell(
        Event.LOGIN_FAILED,
        reason=Reason.PROVIDER_ERROR.value,
        frontend=front.frontend.name,
    )
    link = (LOGIN_URL, "Sign in")
    refused = Refused(Reason.PROVIDER_ERROR)
    return _refusal(front, request, refused, link=link, more=used, detail=detail)


def _as_usual(front: Front, transaction: LoginTransaction, used: Headers) -> Answer:
    """It could not be done silently, whatever the reason: the same login, and they may be asked.

    By a page, as after a login: our own navigation needs no click and carries the Strict cookie.
    """
    asked: dict[str, object] = {"return_to": transaction.return_to}
    if transaction.max_age is not None:
        asked["max_age"] = transaction.max_age
    url = f"{LOGIN_URL}?{urlencode(asked)}"
    return front.page(
        "Signing in", ("One moment, please.",), link=(url, "Continue"), go_to=url, more=used
    )


async def _claim(front: Front, transaction: LoginTransaction) -> None:
    """Claim the state, so that its code is sent once, whoever loads this URL again (C-03).

    The store is asked first: while it is down nothing is claimed and nothing is lost.
    """
    store = front.sessions.store
    key = store_key("claim", front.frontend.name, transaction.issuer, transaction.state)
    deadlines = Deadlines(
        idle=_CLAIM_SECONDS, absolute=front.clock.now() + _CLAIM_SECONDS, refresh=None
    )
    try:
        there = await store.peek(key)
        claimed = there is None and await store.create(
            key, b"", deadlines, owner=secrets.token_hex(12), kid=""
        )
    except OutcomeUnknown:
        raise Refused(Reason.STORE_UNAVAILABLE) from None
    except StoreUnavailable:
        raise _BeforeClaim(Refused(Reason.STORE_UNAVAILABLE)) from None
    if not claimed:
        raise Refused(Reason.TRANSACTION_MISSING)


async def _sign_in(
    front: Front,
    request: BrowserRequest,
    transaction: LoginTransaction,
    response: TokenResponse,
    now: float,
    used: Headers,
) -> Answer:
    """From a token answer to a session. Whatever fails, the tokens just received are revoked."""
    session: Session | None = None
    try:
        id_token = await verify_id_token(
            front.server,
            response.id_token,
            access_token=response.access_token,
            nonce=transaction.nonce,
            max_age=transaction.max_age,
        )
        claims = await _claims(front, id_token, response)
        session = _session(front, response, id_token, claims, now)
        session_id = await front.sessions.begin(session, device=_device(request))
        await _end_former(front, transaction, session, session_id)
    except BaseException:
        _revoke(front, response, session, now)
        raise
    tell(
        Event.LOGIN,
        frontend=front.frontend.name,
        session=front.sessions.session_tag(session_id),
        person=front.sessions.person_tag(session),
    )
    cookies = [
        front.cookies.session(session_id),
        front.transactions.count_login(request, now),
        *used,
    ]
    return _landing(front, transaction, cookies)


async def _claims(front: Front, id_token: IdToken, response: TokenResponse) -> Mapping[str, object]:
    """What the provider says about the person, after every check of the ID token (C-12)."""
    more: Mapping[str, object] = {}
    if front.frontend.provider.userinfo:
        more = await userinfo(front.server, response.access_token, id_token.sub)
    said = {**id_token.claims, **more}
    return {name: said[name] for name in front.frontend.session.claims if name in said}


def _session(
    front: Front,
    response: TokenResponse,
    id_token: IdToken,
    claims: Mapping[str, object],
    now: float,
) -> Session:
    provider = front.frontend.provider
    tokens = tokens_from(
        response,
        now=now,
        asked_scope=" ".join(provider.scopes),
        id_token=response.id_token or "",
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
        claims=claims,
    )
    return Session(frontend=front.frontend.name, identity=identity, tokens=tokens, created_at=now)


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
        front.sessions.revoke_former(former, session)


def _revoke(front: Front, response: TokenResponse, session: Session | None, now: float) -> None:
    tokens = (
        session.tokens
        if session is not None
        else tokens_from(response, now=now, asked_scope="", id_token="", assume_expires_in=None)
    )
    front.sessions.revoke(tokens)


def _landing(front: Front, transaction: LoginTransaction, more: Headers) -> Answer:
    """A page that goes on by itself: its own navigation carries the Strict cookie (K-01)."""
    back = transaction.return_to
    return front.page(
        "Signing in", ("One moment, please.",), link=(back, "Continue"), go_to=back, more=more
    )


def _device(request: BrowserRequest) -> str:
    agent = request.get(b"user-agent") or b""
    return agent.decode("latin-1")[:200]
