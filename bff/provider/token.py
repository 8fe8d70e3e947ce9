"""The token endpoint: exchanging a code, refreshing, another token for one, a token of our own.

After `authorization`, before `identity`. The coroutines only ask; what an answer means decides
`token_answer`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bff.journal.log import Event, tell
from bff.problem import Refused
from bff.provider.authorization import redirect_uri, resource_parameters
from bff.provider.call import Fault, Form, Reply, Share
from bff.provider.client import post_authenticated
from bff.provider.dpop import DpopKey, open_dpop_key
from bff.provider.metadata import Metadata
from bff.provider.server import AuthorizationServer
from bff.provider.token_answer import (
    BEARER,
    BOUND,
    BOUND_ALONE,
    CODE_REASONS,
    TokenAnswer,
    TokenOutcome,
    TokenResponse,
    TokenTypes,
    read_exchange_answer,
    read_token_answer,
)
from bff.provider.wanted import ACCESS_TOKEN, EXCHANGE, Wanted, wanted_parameters

_ENDPOINT: Final = "token_endpoint"
_Reading = Callable[[Reply | Fault, TokenTypes], TokenOutcome]


async def exchange_code(
    server: AuthorizationServer, *, code: str, code_verifier: str, dpop_key: str | None = None
) -> TokenResponse:
    """The tokens for a code, which is sent at most once (C-09, C-10); bound to a key, if any.

    Raises Refused: CODE_REJECTED, PROVIDER_ERROR, PROVIDER_UNAVAILABLE, or OVERLOADED, and only
    with the last is it sure that the code was not sent.
    """
    metadata = await server.discovery.metadata()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(server.origin, server.name),
        "code_verifier": code_verifier,
        **resource_parameters(server.config),
    }
    asked_at = server.clock.now()
    key = None if dpop_key is None else open_dpop_key(dpop_key)
    reply = await post_authenticated(
        server,
        metadata.token_endpoint,
        form,
        metadata=metadata,
        kind=_ENDPOINT,
        share=Share.LOGIN,
        key=key,
    )
    outcome = _remembered(server, reply, asked_at, key)
    if outcome.response is None:
        raise Refused(CODE_REASONS[outcome.answer], retry_after=outcome.retry_after)
    return outcome.response


async def refresh(
    server: AuthorizationServer,
    refresh_token: str,
    *,
    patience: float,
    dpop_key: str | None = None,
    wanted: Wanted | None = None,
) -> TokenOutcome:
    """What the refresh token brought (RFC 6749 §6); never raises for a fault of the provider's.

    It leaves within `patience` seconds, or not at all, and then has all its time: a provider that
    is slow, though within that, has spent the token. A second try follows only a request of which
    no byte was sent. `wanted`: for an API of its own (RFC 8707 §2.2), and then a refusal is about
    that, and holds back no refresh of anybody.
    """
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        **(resource_parameters(server.config) if wanted is None else wanted_parameters(wanted)),
    }
    fails = frozenset(TokenAnswer) - ANSWERS_WELL if wanted is None else _IS_UNWELL
    return await _granted(server, form, dpop_key, fails, patience=patience)


async def exchange(
    server: AuthorizationServer,
    access_token: str,
    wanted: Wanted,
    *,
    dpop_key: str | None = None,
) -> TokenOutcome:
    """What a person's access token brought for another API (RFC 8693 §2); spends nothing.

    Never raises for a fault of the provider's. No actor: we act as the person, not for them.
    """
    form = {
        "grant_type": EXCHANGE,
        "subject_token": access_token,
        "subject_token_type": ACCESS_TOKEN,
        "requested_token_type": ACCESS_TOKEN,
        **wanted_parameters(wanted),
    }
    return await _granted(server, form, dpop_key, _IS_UNWELL, read_exchange_answer)


async def client_token(
    server: AuthorizationServer, wanted: Wanted, *, dpop_key: str | None = None
) -> TokenOutcome:
    """What our own credentials brought (RFC 6749 §4.4); never raises for a fault of the provider's.

    A refusal is about what was asked for, and holds back no refresh of anybody.
    """
    form = {"grant_type": "client_credentials", **wanted_parameters(wanted)}
    return await _granted(server, form, dpop_key, _IS_UNWELL)


async def _granted(
    server: AuthorizationServer,
    form: Form,
    dpop_key: str | None,
    fails: frozenset[TokenAnswer],
    read: _Reading = read_token_answer,
    *,
    patience: float | None = None,
) -> TokenOutcome:
    """What comes of a form; by the answers in `fails` the provider is left alone for a while."""
    until = server.http.deadline()
    leaves_by = None if patience is None else asyncio.get_running_loop().time() + patience
    try:
        async with asyncio.timeout_at(until if leaves_by is None else min(until, leaves_by)):
            metadata = await server.discovery.metadata()
            # Whoever waits here learns from those before what the provider is like just now.
            await server.places.acquire()
    except (Refused, TimeoutError):
        return TokenOutcome(answer=TokenAnswer.PASSING)
    try:
        if not server.restraint.admit(time.monotonic()):
            return TokenOutcome(answer=TokenAnswer.PASSING)
        key = None if dpop_key is None else open_dpop_key(dpop_key)
        outcome = await _presented(server, metadata, form, until, leaves_by, key, read)
    finally:
        server.places.release()
    if outcome.answer in ANSWERS_WELL:
        server.restraint.works()
    elif outcome.answer in fails:
        server.restraint.fails(time.monotonic(), outcome.retry_after)
    return outcome


async def _presented(
    server: AuthorizationServer,
    metadata: Metadata,
    form: Form,
    until: float,
    leaves_by: float | None,
    key: DpopKey | None,
    read: _Reading,
) -> TokenOutcome:
    asked_at = server.clock.now()
    reply: Reply | Fault = Fault.NOT_SENT
    for _ in range(2):
        if reply is Fault.NOT_SENT and not server.http.is_over(leaves_by or until):
            reply = await post_authenticated(
                server,
                metadata.token_endpoint,
                form,
                metadata=metadata,
                kind=_ENDPOINT,
                until=until,
                leaves_by=leaves_by,
                key=key,
            )
    return _remembered(server, reply, asked_at, key, read)


# By these the provider is known to do its work; after any other it may need to be left alone.
ANSWERS_WELL: Final = frozenset({TokenAnswer.GRANTED, TokenAnswer.INVALID_GRANT})
_IS_UNWELL: Final = frozenset({TokenAnswer.UNSURE, TokenAnswer.PASSING})


def _remembered(
    server: AuthorizationServer,
    reply: Reply | Fault,
    asked_at: float,
    key: DpopKey | None,
    read: _Reading = read_token_answer,
) -> TokenOutcome:
    bound = BOUND if server.config.profile == "none" else BOUND_ALONE
    outcome = read(reply, BEARER if key is None else bound)
    if outcome.response is not None and server.config.identity == "userinfo":
        # Providers without OpenID Connect list scopes in a way of their own.
        scope = (outcome.response.scope or "").replace(",", " ") or None
        outcome = replace(outcome, response=replace(outcome.response, scope=scope))
    if outcome.response is not None:
        server.history.succeeded(asked_at)
        server.restraint.works()
    elif isinstance(reply, Reply) and outcome.answer is not TokenAnswer.INVALID_GRANT:
        # A Fault is in the log already, and a dead grant is no failure of the provider's. The
        # answer's own words stay out of the log.
        tell(
            Event.PROVIDER_FAILED,
            endpoint=_ENDPOINT,
            status=reply.status,
            code=outcome.answer.value,
        )
    return outcome
