"""An authorization request that has passed every check, and the checks.

Pure. First the two parameters that decide where an error may go at all, then the rest: until client
and redirect URI are known to be right, nothing is ever redirected.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bff.simulator.call import Parameters
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import Client, Settings

PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_SECONDS: Final = re.compile(r"[0-9]{1,9}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnAddress:
    """Where the answer goes, with the `state` it carries back."""

    client: Client
    redirect_uri: str
    state: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What the client asked for; `max_age` in seconds."""

    back: ReturnAddress
    scope: tuple[str, ...]
    code_challenge: str = field(repr=False)
    nonce: str | None = field(repr=False)
    prompt: frozenset[str]
    max_age: int | None
    login_hint: str | None
    acr_values: tuple[str, ...]
    hinted_sub: str | None  # of a valid id_token_hint
    resource: tuple[str, ...] = ()
    dpop_jkt: str | None = None


def return_address(settings: Settings, query: Parameters) -> ReturnAddress:
    """Client and redirect URI; raises Refused, to be shown on a page of our own."""
    client = settings.client(query.get("client_id"))
    if client is None:
        raise Refused(Reason.CLIENT_UNKNOWN)
    redirect_uri = query.get("redirect_uri")
    if redirect_uri is None or redirect_uri not in client.redirect_uris:
        raise Refused(Reason.REDIRECT_URI_UNREGISTERED)
    return ReturnAddress(client=client, redirect_uri=redirect_uri, state=query.first("state"))


def authorization_request(
    settings: Settings, back: ReturnAddress, query: Parameters, hinted_sub: str | None
) -> AuthorizationRequest:
    """The whole request; raises Refused, to be sent to the redirect URI."""
    query.refuse_repetition()
    _refuse_fixed(query)
    return AuthorizationRequest(
        back=back,
        scope=_scope(settings, back.client, query),
        code_challenge=_code_challenge(query),
        nonce=query.get("nonce"),
        prompt=_prompt(query),
        max_age=_max_age(query),
        login_hint=query.get("login_hint"),
        acr_values=tuple(
            acr
            for acr in (query.get("acr_values") or "").split()
            if acr in settings.acr_values_supported
        ),
        hinted_sub=hinted_sub,
        resource=resource_of(query),
        dpop_jkt=query.get("dpop_jkt"),
    )


_FIXED: Final[Mapping[str, tuple[frozenset[str | None], Reason]]] = {
    # parameter: (the values it may have, None for "omitted"; why it is refused otherwise)
    "request": (frozenset({None}), Reason.REQUEST_OBJECT),
    "request_uri": (frozenset({None}), Reason.REQUEST_URI),
    "response_type": (frozenset({"code"}), Reason.RESPONSE_TYPE),
    "response_mode": (frozenset({None, "query"}), Reason.RESPONSE_MODE),
}


def _refuse_fixed(query: Parameters) -> None:
    for name, (allowed, reason) in _FIXED.items():
        if query.get(name) not in allowed:
            raise Refused(reason)


def _scope(settings: Settings, client: Client, query: Parameters) -> tuple[str, ...]:
    scope = tuple(dict.fromkeys((query.get("scope") or "").split()))
    if settings.openid and "openid" not in scope:
        raise Refused(Reason.SCOPE_WITHOUT_OPENID)
    if not settings.openid and ("openid" in scope or query.get("nonce") is not None):
        raise Refused(Reason.SCOPE_UNKNOWN)  # of what it does not know it hears here only
    if not set(scope) <= set(client.scopes):
        raise Refused(Reason.SCOPE_UNKNOWN)
    return scope


def resource_of(query: Parameters) -> tuple[str, ...]:
    """What the tokens are for (RFC 8707 §2)."""
    resource = query.all("resource")
    if any(":" not in each or "#" in each for each in resource):
        raise Refused(Reason.RESOURCE)
    return resource


def _code_challenge(query: Parameters) -> str:
    challenge = query.get("code_challenge")
    if challenge is None or not _CHALLENGE.match(challenge):
        raise Refused(Reason.CODE_CHALLENGE)
    if query.get("code_challenge_method") != "S256":  # omitted means plain (RFC 7636 §4.3)
        raise Refused(Reason.CODE_CHALLENGE_METHOD)
    return challenge


def _prompt(query: Parameters) -> frozenset[str]:
    prompt = frozenset((query.get("prompt") or "").split())
    if not prompt <= PROMPTS:
        raise Refused(Reason.PROMPT_UNKNOWN)
    if "none" in prompt and len(prompt) > 1:
        raise Refused(Reason.PROMPT_NONE_NOT_ALONE)
    return prompt


def _max_age(query: Parameters) -> int | None:
    max_age = query.get("max_age")
    if max_age is not None and not _SECONDS.match(max_age):
        raise Refused(Reason.MAX_AGE)
    return None if max_age is None else int(max_age)
