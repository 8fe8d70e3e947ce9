"""What each answer of the token endpoint means, by a table that is total. Pure.

Under `token`, which asks. Tokens read here are opaque (T-07) and not yet to be used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from bff.problem import Reason
from bff.provider.call import Fault, Reply
from bff.provider.wanted import ISSUED

_MAX_SECONDS: Final = 1e10  # three hundred years: beyond it a number is no lifetime

TokenType = Literal["Bearer", "DPoP"]  # as they stand in front of a token
TokenTypes = Mapping[str, TokenType]  # by how they are told, in lower case (RFC 6749 §5.1)

BEARER: Final[TokenTypes] = {"bearer": "Bearer"}
# Where a proof was sent. A provider may give a bearer token all the same (RFC 9449 §5).
BOUND: Final[TokenTypes] = {"dpop": "DPoP", "bearer": "Bearer"}
BOUND_ALONE: Final[TokenTypes] = {"dpop": "DPoP"}  # FAPI 2.0 §5.3.3.1(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """What a token endpoint granted. Lifetimes are seconds from when the answer came."""

    access_token: str = field(repr=False)
    token_type: TokenType
    refresh_token: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    scope: str | None
    expires_in: float | None
    refresh_expires_in: float | None


class TokenAnswer(StrEnum):
    """What an answer means for the code or refresh token that was presented."""

    GRANTED = "granted"
    INVALID_GRANT = "invalid_grant"  # it is not good, and never will be again
    CLIENT_REFUSED = "client_refused"  # it is us who are not let in, whatever we present
    NOT_TO_BE_HAD = "not_to_be_had"  # the API or the scopes that were named
    DEFINITE_400 = "definite_400"  # refused, and why cannot be told from the answer
    UNSURE = "unsure"  # it may have been spent
    PASSING = "passing"  # it was not spent, and a later try may succeed


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOutcome:
    """An answer with what it brought; `response` is there exactly when GRANTED."""

    answer: TokenAnswer
    response: TokenResponse | None = None
    retry_after: int | None = None  # seconds, where the server named them


class Status(StrEnum):
    """Status codes by what they say of the request; 200 that can be read is a grant already."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    TOO_MANY = "429"
    CLIENT_ERROR = "another 4xx"
    COME_BACK = "503 with Retry-After"
    SERVER_ERROR = "another 5xx"
    ELSE = "1xx, 2xx or 3xx without tokens"


class TokenError(StrEnum):
    """The `error` member of an answer (RFC 6749 §5.2), closed."""

    GRANT = "grant"
    CLIENT = "client"
    SERVER = "server"
    WANTED = "wanted"
    OTHER = "other"
    NONE = "none"


_ERRORS: Final[Mapping[str | None, TokenError]] = {
    "invalid_grant": TokenError.GRANT,
    "invalid_code": TokenError.GRANT,  # 403 of one provider in the field, for a bad code
    "invalid_client": TokenError.CLIENT,
    "unauthorized_client": TokenError.CLIENT,
    # Of our proof, not of the grant (RFC 9449 §5, §8).
    "invalid_dpop_proof": TokenError.CLIENT,
    "use_dpop_nonce": TokenError.CLIENT,
    "server_error": TokenError.SERVER,
    "temporarily_unavailable": TokenError.SERVER,
    "invalid_scope": TokenError.WANTED,
    "invalid_target": TokenError.WANTED,  # RFC 8707 §2
    None: TokenError.NONE,
}

_GRANT, _CLIENT = TokenAnswer.INVALID_GRANT, TokenAnswer.CLIENT_REFUSED
_WANTED, _400 = TokenAnswer.NOT_TO_BE_HAD, TokenAnswer.DEFINITE_400
_UNSURE, _PASSING = TokenAnswer.UNSURE, TokenAnswer.PASSING
# Why a row is as it is:
# - A code that the standard gives to a bad grant or a bad client means that under every 4xx but
#   429: servers differ about 400, 401 and 403, and agree about the code.
# - Else 401 is about the client (RFC 6749 §5.2), and 403 comes from a gate that does not let us in.
# - 429 is said before the grant is looked at, whatever its body.
# - Another 4xx (404 in mid-deployment, 408, 413) was not acted upon (RFC 9110 §15.5).
# - 503 with Retry-After is a server that turns requests away. Without it, it is as often a proxy
#   that lost the server behind it in the middle of one, as are 502 and 504.
# - A redirect, a 204 or a 200 that cannot be read may follow a token that was spent.
TOKEN_ANSWERS: Final[Mapping[tuple[Status, TokenError], TokenAnswer]] = {
    (status, error): answer
    for status, answers in {
        # TokenError:        GRANT     CLIENT    SERVER    WANTED    OTHER     NONE
        Status.BAD_REQUEST:  (_GRANT,   _CLIENT,  _UNSURE,  _WANTED,  _400,     _400),
        Status.UNAUTHORIZED: (_GRANT,   _CLIENT,  _CLIENT,  _CLIENT,  _CLIENT,  _CLIENT),
        Status.FORBIDDEN:    (_GRANT,   _CLIENT,  _CLIENT,  _CLIENT,  _CLIENT,  _CLIENT),
        Status.TOO_MANY:     (_PASSING, _PASSING, _PASSING, _PASSING, _PASSING, _PASSING),
        Status.CLIENT_ERROR: (_GRANT,   _CLIENT,  _UNSURE,  _PASSING, _PASSING, _PASSING),
        Status.COME_BACK:    (_PASSING, _PASSING, _PASSING, _PASSING, _PASSING, _PASSING),
        Status.SERVER_ERROR: (_UNSURE,  _UNSURE,  _UNSURE,  _UNSURE,  _UNSURE,  _UNSURE),
        Status.ELSE:         (_UNSURE,  _UNSURE,  _UNSURE,  _UNSURE,  _UNSURE,  _UNSURE),
    }.items()
    for error, answer in zip(TokenError, answers, strict=True)
}  # fmt: skip

# One provider in the field knows no status but 200, and has codes of its own that leave no doubt.
SAID_WITH_200: Final[Mapping[str, TokenAnswer]] = {
    "bad_verification_code": TokenAnswer.INVALID_GRANT,
    "bad_refresh_token": TokenAnswer.INVALID_GRANT,
    "incorrect_client_credentials": TokenAnswer.CLIENT_REFUSED,
}

FAULT_ANSWERS: Final[Mapping[Fault, TokenAnswer]] = {
    Fault.NOT_SENT: TokenAnswer.PASSING,
    Fault.UNSURE: TokenAnswer.UNSURE,
}

# What a login hears. A code is sent once, so there is nothing to try again (C-10).
CODE_REASONS: Final[Mapping[TokenAnswer, Reason]] = {
    TokenAnswer.INVALID_GRANT: Reason.CODE_REJECTED,
    TokenAnswer.CLIENT_REFUSED: Reason.PROVIDER_UNAVAILABLE,
    TokenAnswer.NOT_TO_BE_HAD: Reason.PROVIDER_ERROR,
    TokenAnswer.DEFINITE_400: Reason.PROVIDER_ERROR,
    TokenAnswer.UNSURE: Reason.PROVIDER_UNAVAILABLE,
    TokenAnswer.PASSING: Reason.PROVIDER_UNAVAILABLE,
}


def read_token_answer(reply: Reply | Fault, types: TokenTypes = BEARER) -> TokenOutcome:
    """What the answer, or its absence, means; `types`: those that are expected."""
    if isinstance(reply, Fault):
        return TokenOutcome(answer=FAULT_ANSWERS[reply])
    document = reply.json_object() or {}
    response = read_token_response(document, types) if reply.status == 200 else None
    if response is not None:
        return TokenOutcome(answer=TokenAnswer.GRANTED, response=response)
    answer = TOKEN_ANSWERS[_status(reply), _error(document)]
    if reply.status == 200 and isinstance(named := document.get("error"), str):
        answer = SAID_WITH_200.get(named, answer)
    return TokenOutcome(answer=answer, retry_after=reply.retry_after)


def read_exchange_answer(reply: Reply | Fault, types: TokenTypes = BEARER) -> TokenOutcome:
    """What the answer to a token exchange means (RFC 8693 §2.2).

    A 200 without what was asked for is a refusal of just that: nothing was spent, and a provider
    that answers so is not unwell.
    """
    outcome = read_token_answer(reply, types)
    if isinstance(reply, Fault) or reply.status != 200:
        return outcome
    issued = (reply.json_object() or {}).get("issued_token_type")
    if outcome.response is None or not (isinstance(issued, str) and issued in ISSUED):
        return TokenOutcome(answer=TokenAnswer.NOT_TO_BE_HAD)
    return outcome


def _status(reply: Reply) -> Status:
    match reply.status:
        case 400 | 401 | 403 | 429:
            return Status(str(reply.status))
        case 503 if reply.retry_after is not None:
            return Status.COME_BACK
        case code if 400 <= code < 500:
            return Status.CLIENT_ERROR
        case code if code >= 500:
            return Status.SERVER_ERROR
        case _:
            return Status.ELSE


def _error(document: Mapping[str, object]) -> TokenError:
    named = document.get("error")
    if not isinstance(named, str | None):
        return TokenError.OTHER
    return _ERRORS.get(named, TokenError.OTHER)


def read_token_response(
    document: Mapping[str, object], types: TokenTypes = BEARER
) -> TokenResponse | None:
    """The tokens in a 200 answer (RFC 6749 §5.1), or None if there is no usable access token.

    A member that cannot be read is as good as absent: once granted, a rotated token must be kept.
    """
    access_token, named = _token(document, "access_token"), document.get("token_type")
    token_type = types.get(named.lower()) if isinstance(named, str) else None
    if access_token is None or token_type is None:
        return None
    scope = document.get("scope")
    # Two names are in use; a lifetime of nothing is how one provider says "for ever".
    refresh_expires_in = _seconds(document.get("refresh_expires_in")) or _seconds(
        document.get("refresh_token_expires_in")
    )
    return TokenResponse(
        access_token=access_token,
        token_type=token_type,
        refresh_token=_token(document, "refresh_token"),
        id_token=_token(document, "id_token"),
        scope=scope if isinstance(scope, str) and scope else None,
        expires_in=_seconds(document.get("expires_in")),
        refresh_expires_in=refresh_expires_in or None,
    )


def _token(document: Mapping[str, object], name: str) -> str | None:
    """A token is printable ASCII (RFC 6749 appendix A): it will stand in a header field."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() and value.isprintable() else None


def _seconds(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MAX_SECONDS else None
