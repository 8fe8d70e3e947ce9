"""GET /bff/callback: takes the provider's answer to an attempt of this browser (rows C).

What the answer's code is good for, `sign_in` knows. In the end there is a page: one that goes on,
or one that says why not.
"""

import hmac
import secrets
from contextlib import ExitStack
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, urlencode

from bff.browser.front import CALLBACK_URL, LOGIN_URL, Front
from bff.browser.sign_in import sign_in
from bff.caller.request import BrowserRequest
from bff.journal.log import Event, tell
from bff.problem import Answer, Headers, Reason, Refused, refusal
from bff.provider.authorization import CallbackAnswer, check_issuer, read_callback
from bff.provider.server import AuthorizationServer
from bff.provider.token import exchange_code
from bff.session.record import TRANSACTION_SECONDS, Deadlines, LoginTransaction
from bff.session.seal import store_key
from bff.session.store import OutcomeUnknown, StoreUnavailable

_CLAIM_SECONDS: Final = TRANSACTION_SECONDS + 60
# The application finds them signed in, perhaps: by another tab (K-04), or as before a step-up.
_PERHAPS_SIGNED_IN: Final = frozenset({Reason.TRANSACTION_MISSING, Reason.STEP_UP_REQUIRED})
# No authentication as strong as was asked for (OpenID Connect Core Error Code
# unmet_authentication_requirements).
_UNMET: Final = "unmet_authentication_requirements"
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
    """Take the provider's answer. Every refusal here is a page, and the attempt is over with it.

    Raises Refused(NO_ROUTE) for a provider that there is not.
    """
    server = _server(front, request)
    used = _used_attempt(front, request)
    transaction = None
    try:
        answer = read_callback(request.query)
        transaction = _transaction(front, request, answer)
        return await _take(front, server, request, answer, transaction, used)
    except _BeforeClaim as early:
        again = ("", "Try again")  # the empty reference is this very URL; its code is not repeated
        return _refusal(front, request, early.refused, link=again)
    except Refused as refused:
        tell(
            Event.LOGIN_FAILED,
            reason=refused.reason.value,
            frontend=front.frontend.name,
        )
        link = _way_on(front, refused.reason, transaction)
        return _refusal(front, request, refused, link=link, more=used)


def _way_on(front: Front, reason: Reason, transaction: LoginTransaction | None) -> tuple[str, str]:
    """What the page of a refusal offers: the same login once more, where it is known which."""
    if reason in _PERHAPS_SIGNED_IN:
        return "/", "To the application"
    return LOGIN_URL if transaction is None else _again(front, transaction), "Sign in"


def _again(front: Front, transaction: LoginTransaction) -> str:
    """The URL of the same login, at the same provider and back to the same place."""
    server = front.server_of(transaction.issuer)
    asked = {
        "return_to": transaction.return_to,
        "prompt": "login" if transaction.prompted else None,
        "acr_values": transaction.acr_values,
        "max_age": transaction.max_age,
        "provider": server.name if server is not None and server.name else None,
    }
    kept = {name: value for name, value in asked.items() if value is not None}
    return f"{LOGIN_URL}?{urlencode(kept)}"


def _server(front: Front, request: BrowserRequest) -> AuthorizationServer:
    """The provider whose callback this is: of several each has its own (C-05)."""
    path = request.path.decode("latin-1")
    name = path.removeprefix(f"{CALLBACK_URL}/") if path != CALLBACK_URL else ""
    server = front.server_named(name) if (name == "") == (path == CALLBACK_URL) else None
    if server is None:
        raise Refused(Reason.NO_ROUTE)
    return server


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


async def _take(
    front: Front,
    server: AuthorizationServer,
    request: BrowserRequest,
    answer: CallbackAnswer,
    transaction: LoginTransaction,
    used: Headers,
) -> Answer:
    if front.clock.now() - transaction.started_at > TRANSACTION_SECONDS:
        raise Refused(Reason.TRANSACTION_EXPIRED)
    if transaction.issuer != server.config.issuer:
        raise Refused(Reason.ISSUER_MISMATCH)  # the answer of one at the callback of another
    try:
        metadata = await server.discovery.metadata()
    except Refused as refused:
        raise _BeforeClaim(refused) from None
    strict = server.config.profile != "none"
    check_issuer(answer, transaction.issuer, metadata, required=strict)
    if answer.code is None:
        return _error(front, request, answer, transaction, used)
    with ExitStack() as held:
        try:
            held.enter_context(server.logins.place(request.peer, front.clock.now()))
        except Refused as refused:
            raise _BeforeClaim(refused) from None
        await _claim(front, transaction)
        asked_at = front.clock.now()
        response = await exchange_code(
            server,
            code=answer.code,
            code_verifier=transaction.code_verifier,
            dpop_key=transaction.dpop_key,
        )
        session_id = await sign_in(front, server, request, transaction, response, asked_at)
    cookies = [
        front.cookies.session(session_id),
        front.transactions.count_login(request, asked_at),
        *used,
    ]
    return _landing(front, transaction, cookies)


def _transaction(front: Front, request: BrowserRequest, answer: CallbackAnswer) -> LoginTransaction:
    """The attempt that this answer belongs to, and that this browser began (C-02)."""
    transaction = front.transactions.read(answer.state, request)
    if transaction is None:
        raise Refused(Reason.TRANSACTION_MISSING)
    if not hmac.compare_digest(transaction.state.encode(), answer.state.encode()):
        raise Refused(Reason.STATE_MISMATCH)
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
    if answer.error == _UNMET and transaction.acr_values is not None:
        raise Refused(Reason.STEP_UP_REQUIRED)
    detail = "The sign-in was cancelled." if answer.error == "access_denied" else None
    if detail is None and answer.error_description is not None:
        detail = f"The provider says: {answer.error_description[:200]}"
    tell(
        Event.LOGIN_FAILED,
        reason=Reason.PROVIDER_ERROR.value,
        frontend=front.frontend.name,
    )
    refused = Refused(Reason.PROVIDER_ERROR)
    link = _way_on(front, refused.reason, transaction)
    return _refusal(front, request, refused, link=link, more=used, detail=detail)


def _as_usual(front: Front, transaction: LoginTransaction, used: Headers) -> Answer:
    """It could not be done silently, whatever the reason: the same login, and they may be asked.

    By a page, as after a login: our own navigation needs no click and carries the Strict cookie.
    """
    url = _again(front, transaction)
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


def _landing(front: Front, transaction: LoginTransaction, more: Headers) -> Answer:
    """A page that goes on by itself: its own navigation carries the Strict cookie (K-01)."""
    back = transaction.return_to
    return front.page(
        "Signing in", ("One moment, please.",), link=(back, "Continue"), go_to=back, more=more
    )
