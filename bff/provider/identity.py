"""The ID token: who signed in. Nothing of an answer is used before every check here has passed.

After `token`, before a session exists (C-12). The order is fixed: what the header may say, the
signature, always (K-11), then the claims, by tables of which one row is one rule.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.call import json_object
from bff.provider.claims import Claims, audiences_of, number_of, text_of
from bff.provider.jws import JwsHeader, TokenFault, read_header
from bff.provider.server import AuthorizationServer

ISSUED_WITHIN: Final = 600  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class IdToken:
    """A verified ID token. Times are seconds since the epoch; a person is `iss` plus `sub`."""

    iss: str
    sub: str = field(repr=False)
    aud: tuple[str, ...]
    azp: str | None
    nonce: str | None = field(repr=False)
    sid: str | None = field(repr=False)
    auth_time: float | None
    acr: str | None
    iat: float
    exp: float
    claims: Claims = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What every ID token is held to at `now`; `skew` in seconds."""

    issuer: str
    client_id: str
    trusted_audiences: tuple[str, ...]
    skew: float
    alg: str
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalClaims:
    """What an ID token of a refresh is held to besides (OpenID Connect Core §12.2)."""

    iss: str
    sub: str = field(repr=False)
    aud: tuple[str, ...]
    azp: str | None
    nonce: str | None = field(repr=False)
    auth_time: float | None


def check_claims(claims: Claims, expected: Expected, now: float) -> TokenFault | None:
    """The first rule for every ID token that the claims break at `now`, or None."""
    return next((fault for fault, holds in CHECKS if not holds(claims, expected, now)), None)


def check_login(claims: Claims, nonce: str) -> TokenFault | None:
    """The same for the token of a login: it belongs to the attempt that sent this nonce."""
    return None if _same(claims.get("nonce"), nonce) else TokenFault.NONCE


def check_refreshed(claims: Claims, original: OriginalClaims) -> TokenFault | None:
    """The same for the token of a refresh."""
    rules = REFRESH_CHECKS
    return next((fault for fault, holds in rules if not holds(claims, original)), None)


def _same(value: object, secret: str) -> bool:
    """Whether the value is that text, found out in constant time."""
    text = value if isinstance(value, str) else ""
    return hmac.compare_digest(text.encode(errors="replace"), secret.encode())


def _aud_is_ours(claims: Claims, expected: Expected, _now: float) -> bool:
    audiences = audiences_of(claims)
    others = audiences - {expected.client_id}
    return expected.client_id in audiences and others <= set(expected.trusted_audiences)


def _azp_is_ours(claims: Claims, expected: Expected, _now: float) -> bool:
    if "azp" not in claims:
        return len(audiences_of(claims)) == 1
    return claims["azp"] == expected.client_id


def _sub_is_one(claims: Claims, _expected: Expected, _now: float) -> bool:
    sub = claims.get("sub")
    return isinstance(sub, str) and 1 <= len(sub) <= 255 and sub.isascii()


def _exp_is_ahead(claims: Claims, expected: Expected, now: float) -> bool:
    exp = number_of(claims.get("exp"))
    return exp is not None and now < exp + expected.skew


def _iat_is_recent(claims: Claims, expected: Expected, now: float) -> bool:
    iat = number_of(claims.get("iat"))
    if iat is None:
        return False
    return iat - expected.skew <= now <= iat + ISSUED_WITHIN + expected.skew


def _nbf_is_past(claims: Claims, expected: Expected, now: float) -> bool:
    if "nbf" not in claims:
        return True
    nbf = number_of(claims["nbf"])
    return nbf is not None and nbf - expected.skew <= now


def _at_hash_matches(claims: Claims, expected: Expected, _now: float) -> bool:
    if "at_hash" not in claims:
        return True
    return _same(claims["at_hash"], at_hash(expected.access_token, expected.alg))


def _nonce_is_kept(claims: Claims, original: OriginalClaims) -> bool:
    return "nonce" not in claims or _same(claims["nonce"], original.nonce or "")


def _auth_time_is_kept(claims: Claims, original: OriginalClaims) -> bool:
    # Where the first token had none there is nothing that it could contradict.
    said = _auth_time(claims)
    return said is None or original.auth_time is None or said == original.auth_time


def _auth_time(claims: Claims) -> float | None:
    """When the person signed in. Some providers say 0 where they do not know."""
    said = number_of(claims.get("auth_time"))
    return said if said is not None and said > 0 else None


CHECKS: Final[tuple[tuple[TokenFault, Callable[[Claims, Expected, float], bool]], ...]] = (
    # `typ` is often absent; this is what tells a logout token from an ID token (BCL §4.1).
    (TokenFault.EVENTS, lambda claims, _expected, _now: "events" not in claims),
    (TokenFault.ISS, lambda claims, expected, _now: claims.get("iss") == expected.issuer),
    (TokenFault.SUB, _sub_is_one),
    (TokenFault.AUD, _aud_is_ours),
    (TokenFault.AZP, _azp_is_ours),
    (TokenFault.EXP, _exp_is_ahead),
    (TokenFault.IAT, _iat_is_recent),
    (TokenFault.NBF, _nbf_is_past),
    (TokenFault.AT_HASH, _at_hash_matches),
)
REFRESH_CHECKS: Final[tuple[tuple[TokenFault, Callable[[Claims, OriginalClaims], bool]], ...]] = (
    (TokenFault.ISS, lambda claims, original: claims.get("iss") == original.iss),
    (TokenFault.SUB, lambda claims, original: claims.get("sub") == original.sub),
    (TokenFault.AUD, lambda claims, original: audiences_of(claims) == frozenset(original.aud)),
    (TokenFault.AZP, lambda claims, original: claims.get("azp") == original.azp),
    (TokenFault.NONCE, _nonce_is_kept),
    (TokenFault.AUTH_TIME, _auth_time_is_kept),
)


def at_hash(access_token: str, alg: str) -> str:
    """The left half of the hash that belongs to `alg`, base64url (OpenID Core §3.1.3.6).

    EdDSA here is Ed25519, whose hash is SHA-512."""
    size = "512" if alg == "EdDSA" else alg[-3:]
    digest = hashlib.new(f"sha{size}", access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


async def verify_id_token(
    server: AuthorizationServer,
    token: str | None,
    *,
    access_token: str,
    nonce: str,
) -> IdToken:
    """The ID token of a login (OpenID Connect Core §3.1.3.7).

    Raises Refused(ID_TOKEN_INVALID), or PROVIDER_UNAVAILABLE if the keys cannot be fetched."""
    claims, alg = await _signed(server, token)
    fault = _broken(server, claims, alg, access_token) or check_login(claims, nonce)
    return _read(claims, fault)


async def verify_refreshed(
    server: AuthorizationServer, token: str, *, access_token: str, original: OriginalClaims
) -> IdToken:
    """The ID token that came with a refresh (OpenID Connect Core §12.2).

    Raises Refused: ID_TOKEN_INVALID where the issuer has signed that it is about another person or
    another login; PROVIDER_UNAVAILABLE where the keys cannot be fetched, or the token is not to be
    believed. That is no proof against anybody: a new key that is not announced yet and a clock that
    is wrong look like this.
    """
    try:
        claims, alg = await _signed(server, token)
    except Refused:
        raise Refused(Reason.PROVIDER_UNAVAILABLE) from None
    another = check_refreshed(claims, original)
    if another is None and (fault := _broken(server, claims, alg, access_token)) is not None:
        _refused(fault)
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    return _read(claims, another)


async def _signed(server: AuthorizationServer, token: str | None) -> tuple[dict[str, object], str]:
    """The claims of a token that the issuer has signed, and the algorithm. Raises Refused."""
    header = read_header(token, server.config.algorithms)
    if token is None or not isinstance(header, JwsHeader):
        raise _refused(header)
    if header.typ is not None and header.typ.lower() != "jwt":
        raise _refused(TokenFault.TYP)
    payload = await server.keys.payload(token, header)
    claims = json_object(payload) if isinstance(payload, bytes) else None
    if claims is None:
        raise _refused(payload if isinstance(payload, TokenFault) else TokenFault.PAYLOAD)
    return claims, header.alg


def _broken(
    server: AuthorizationServer, claims: Claims, alg: str, access_token: str
) -> TokenFault | None:
    """The rule for every ID token that it breaks, or None."""
    config = server.config
    expected = Expected(
        issuer=config.issuer,
        client_id=config.client_id,
        trusted_audiences=config.trusted_audiences,
        skew=config.clock_skew,
        alg=alg,
        access_token=access_token,
    )
    return check_claims(claims, expected, server.clock.now())


def _refused(fault: object) -> Refused:
    tell(Event.PROVIDER_FAILED, endpoint="id_token", code=fault)
    return Refused(Reason.ID_TOKEN_INVALID)


def _read(claims: dict[str, object], fault: TokenFault | None) -> IdToken:
    if fault is not None:
        raise _refused(fault)
    return IdToken(
        iss=str(claims["iss"]),
        sub=str(claims["sub"]),
        aud=tuple(sorted(audiences_of(claims))),
        azp=text_of(claims.get("azp")),
        nonce=text_of(claims.get("nonce")),
        sid=text_of(claims.get("sid")),
        auth_time=_auth_time(claims),
        acr=text_of(claims.get("acr")),
        iat=number_of(claims["iat"]) or 0.0,
        exp=number_of(claims["exp"]) or 0.0,
        claims=claims,
    )
