"""The authorization request that a browser carries away, and the answer it brings back.

Pure but for `new_attempt`, which draws random values: parameters in, a URL out; a query in, a
CallbackAnswer out. No endpoint is called from here.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bff.config.provider_section import Provider
from bff.config.values import Origin
from bff.problem import Reason, Refused
from bff.provider.call import Form
from bff.provider.metadata import Metadata
from bff.provider.organization import parameters_for

CALLBACK_PATH: Final = "/bff/callback"
_ENTROPY: Final = 32  # octets: 43 characters of base64url
_MAX_PARAMETERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What makes one attempt to sign in its own: three unrelated random values (L-03, L-04)."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)


def new_attempt() -> Attempt:
    """Fresh values from the operating system's generator, 256 bits and 43 characters each."""
    return Attempt(
        state=secrets.token_urlsafe(_ENTROPY),
        nonce=secrets.token_urlsafe(_ENTROPY),
        code_verifier=secrets.token_urlsafe(_ENTROPY),
    )


def code_challenge(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2)."""
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def redirect_uri(origin: Origin, provider: str = "") -> str:
    """Where the provider sends the browser back to; the same in both requests (L-08).

    Of several providers each has its own, by its name (C-05)."""
    return f"{origin}{CALLBACK_PATH}/{provider}" if provider else origin + CALLBACK_PATH


def authorization_parameters(
    config: Provider,
    origin: Origin,
    attempt: Attempt,
    *,
    provider: str = "",
    prompt: str | None = None,
    login_hint: str | None = None,
    acr_values: str | None = None,
    max_age: int | None = None,
    ui_locales: str | None = None,
    organization: str | None = None,
    more_scopes: tuple[str, ...] = (),
    more_resources: tuple[str, ...] = (),
    dpop_jkt: str | None = None,
) -> Form:
    """The request that begins the code flow (RFC 6749 §4.1.1).

    What this one login asks for goes before the configured extras; nothing goes before what the
    flow itself sets.
    """
    asked = {
        "prompt": prompt,
        "login_hint": login_hint,
        "acr_values": acr_values,
        "max_age": None if max_age is None else str(max_age),
        "ui_locales": ui_locales,
    }
    scope = " ".join(dict.fromkeys((*config.scopes, *more_scopes)))
    return {
        **config.parameters,
        **{name: value for name, value in asked.items() if value is not None},
        **parameters_for(config.organization, organization),
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": redirect_uri(origin, provider),
        **({"scope": scope} if scope else {}),
        **_resources((*config.resource, *more_resources)),
        "state": attempt.state,
        **({"nonce": attempt.nonce} if config.identity == "openid" else {}),
        "code_challenge": code_challenge(attempt.code_verifier),
        "code_challenge_method": "S256",
        # So that the code is good with this key alone (RFC 9449 §10).
        **({} if dpop_jkt is None else {"dpop_jkt": dpop_jkt}),
    }


def resource_parameters(config: Provider) -> Form:
    """Which APIs the session's own tokens are for, in every request for them (RFC 8707 §2)."""
    return _resources(config.resource)


def _resources(named: tuple[str, ...]) -> Form:
    return {"resource": tuple(dict.fromkeys(named))} if named else {}


def authorization_url(metadata: Metadata, parameters: Form) -> str:
    """Where the browser goes with a request, whole or by reference.

    The parameters go before a query of the endpoint's own."""
    return _with_query(metadata.authorization_endpoint, parameters)


def end_session_url(
    metadata: Metadata,
    config: Provider,
    *,
    id_token_hint: str | None,
    post_logout_redirect_uri: str,
    state: str,
) -> str | None:
    """The URL that ends the session at the provider (RP-Initiated Logout §2), if it has one."""
    if metadata.end_session_endpoint is None:
        return None
    ours = {
        "client_id": config.client_id,
        config.logout_return_parameter: post_logout_redirect_uri,
        "state": state,
    }
    if config.logout_return_parameter != "post_logout_redirect_uri":
        return _with_query(metadata.end_session_endpoint, ours)  # not of OpenID: it knows no hint
    # A larger one makes an address that servers and proxies refuse; without it they ask (O-08).
    if id_token_hint is not None and len(id_token_hint) <= 4096:
        ours["id_token_hint"] = id_token_hint
    return _with_query(metadata.end_session_endpoint, ours)


def _with_query(endpoint: str, ours: Form) -> str:
    """The endpoint with its own query kept (RFC 6749 §3.1), each of our names once."""
    parts = urlsplit(endpoint)
    theirs = parse_qsl(parts.query, keep_blank_values=True)
    pairs = [pair for pair in theirs if pair[0] not in ours] + list(ours.items())
    # %20 and not "+": both are right in a form, and only one of them is right everywhere.
    return urlunsplit(parts._replace(query=urlencode(pairs, doseq=True, quote_via=quote)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAnswer:
    """What came back: either a code or an error. Texts in it are the sender's, whoever that is."""

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None = field(repr=False)
    error_description: str | None = field(repr=False)
    iss: str | None = field(repr=False)


def read_callback(query: bytes | str) -> CallbackAnswer:
    """The answer in the callback's query.

    Raises Refused(BAD_REQUEST) for a parameter given twice, for no `state`, and unless there is
    exactly one of `code` and `error`. Others, tokens too, are not even looked at (C-06, C-08).
    """
    state = _single(values := _parameters(query), "state")
    code, error = _single(values, "code"), _single(values, "error")
    if state is None or (code is None) == (error is None):
        raise Refused(Reason.BAD_REQUEST)
    return CallbackAnswer(
        state=state,
        code=code,
        error=error,
        error_description=_single(values, "error_description"),
        iss=_single(values, "iss"),
    )


def _parameters(query: bytes | str) -> list[tuple[str, str]]:
    try:
        octets = query.encode("ascii") if isinstance(query, str) else query
        # A parameter without a value counts as omitted (RFC 6749 §3.1), so blanks go.
        return parse_qsl(octets.decode("ascii"), errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        # `from None`: the cause quotes the query, and a code may be in it.
        raise Refused(Reason.BAD_REQUEST) from None


def _single(values: list[tuple[str, str]], name: str) -> str | None:
    found = [value for each, value in values if each == name]
    if len(found) > 1:
        raise Refused(Reason.BAD_REQUEST)
    return found[0] if found else None


def check_issuer(
    answer: CallbackAnswer, issuer: str, metadata: Metadata, *, required: bool = False
) -> None:
    """Raise Refused(ISSUER_MISMATCH) unless the answer can be `issuer`'s (RFC 9207 §2.4).

    To be asked before an answer is believed, an error too. `required`: whatever metadata says.
    """
    if answer.iss is None:
        if required or metadata.iss_parameter_supported:
            raise Refused(Reason.ISSUER_MISMATCH)
    elif answer.iss != issuer:
        raise Refused(Reason.ISSUER_MISMATCH)
