"""The logout token: whom the provider has signed out (OpenID Connect Back-Channel Logout §2.6).

The same reader, algorithms and keys as for ID tokens, and a table of its own for the claims: what
makes the one kind valid makes the other invalid.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bff.provider.call import json_object
from bff.provider.claims import Claims, audiences_of, number_of, text_of
from bff.provider.jws import JwsHeader, TokenFault, read_header
from bff.provider.keyset import Sender
from bff.provider.server import AuthorizationServer

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
ISSUED_WITHIN: Final = 600  # seconds; a `jti` is remembered longer than that and any skew

_OWN_TYP: Final = "logout+jwt"
_TYPS: Final = frozenset({None, "jwt", _OWN_TYP})  # most providers send none or `JWT` (BCL §4.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """A verified logout token. At least one of `sub` and `sid` is there; `iat` in seconds."""

    iss: str
    sub: str | None = field(repr=False)
    sid: str | None = field(repr=False)
    jti: str = field(repr=False)
    iat: float

    def concerns(self, *, iss: str, sub: str, sid: str | None) -> bool:
        """Whether a session of that person and provider session is to end (BCL §2.7)."""
        return self.iss == iss and self.sub in (None, sub) and self.sid in (None, sid)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutExpected:
    """What every logout token is held to; `skew` in seconds."""

    issuer: str
    client_id: str
    skew: float
    exp_required: bool


def check_logout(claims: Claims, expected: LogoutExpected, now: float) -> TokenFault | None:
    """The first rule for every logout token that the claims break at `now`, or None."""
    return next((fault for fault, holds in LOGOUT_CHECKS if not holds(claims, expected, now)), None)


def is_logout_typ(typ: str | None, *, strict: bool) -> bool:
    """Whether a header of that `typ` may be a logout token's (BCL §2.4)."""
    lowered = None if typ is None else typ.lower()
    return lowered == _OWN_TYP if strict else lowered in _TYPS


def _is_name(value: object) -> bool:
    # What is not printable has no place in an identifier; half a surrogate pair has no bytes.
    return isinstance(value, str) and bool(value) and value.isprintable()


def _is_event(claims: Claims, _expected: LogoutExpected, _now: float) -> bool:
    events = claims.get("events")
    return isinstance(events, dict) and isinstance(events.get(LOGOUT_EVENT), dict)


def _names_somebody(claims: Claims, _expected: LogoutExpected, _now: float) -> bool:
    return "sub" in claims or "sid" in claims


def _is_name_if_there(claim: str) -> Callable[[Claims, LogoutExpected, float], bool]:
    return lambda claims, _expected, _now: claim not in claims or _is_name(claims[claim])


def _exp_is_ahead(claims: Claims, expected: LogoutExpected, now: float) -> bool:
    if "exp" not in claims:
        return not expected.exp_required
    exp = number_of(claims["exp"])
    return exp is not None and now < exp + expected.skew


def _iat_is_recent(claims: Claims, expected: LogoutExpected, now: float) -> bool:
    iat = number_of(claims.get("iat"))
    if iat is None:
        return False
    return iat - expected.skew <= now <= iat + ISSUED_WITHIN + expected.skew


LOGOUT_CHECKS: Final[
    tuple[tuple[TokenFault, Callable[[Claims, LogoutExpected, float], bool]], ...]
] = (
    # These two tell a logout token from an ID token, which must do nothing here.
    (TokenFault.EVENTS, _is_event),
    (TokenFault.NONCE, lambda claims, _expected, _now: "nonce" not in claims),
    (TokenFault.ISS, lambda claims, expected, _now: claims.get("iss") == expected.issuer),
    (TokenFault.AUD, lambda claims, expected, _now: expected.client_id in audiences_of(claims)),
    (TokenFault.EXP, _exp_is_ahead),
    (TokenFault.IAT, _iat_is_recent),
    (TokenFault.JTI, lambda claims, _expected, _now: _is_name(claims.get("jti"))),
    (TokenFault.SUB, _names_somebody),
    (TokenFault.SUB, _is_name_if_there("sub")),
    (TokenFault.SID, _is_name_if_there("sid")),
)


async def verify_logout_token(
    server: AuthorizationServer,
    token: str | None,
    *,
    exp_required: bool = True,
    strict_typ: bool = False,
) -> LogoutToken | TokenFault:
    """The logout token, or why it is not believed.

    Raises Refused(PROVIDER_UNAVAILABLE) if keys are needed and not to be had."""
    header = read_header(token, server.config.algorithms)
    if token is None or not isinstance(header, JwsHeader):
        return header if isinstance(header, TokenFault) else TokenFault.MISSING
    if not is_logout_typ(header.typ, strict=strict_typ):
        return TokenFault.TYP
    payload = await server.keys.payload(token, header, sender=Sender.ANYBODY)
    if isinstance(payload, TokenFault):
        return payload
    claims = json_object(payload)
    if claims is None:
        return TokenFault.PAYLOAD
    expected = LogoutExpected(
        issuer=server.config.issuer,
        client_id=server.config.client_id,
        skew=server.config.clock_skew,
        exp_required=exp_required,
    )
    fault = check_logout(claims, expected, server.clock.now())
    return _read(claims) if fault is None else fault


def _read(claims: Claims) -> LogoutToken:
    return LogoutToken(
        iss=str(claims["iss"]),
        sub=text_of(claims.get("sub")),
        sid=text_of(claims.get("sid")),
        jti=str(claims["jti"]),
        iat=number_of(claims["iat"]) or 0.0,
    )
