"""UserInfo: more claims about the person whom the ID token has already named.

After `identity`: what is said here about another `sub` is about another person (I-14). An answer
may be plain JSON, which TLS alone vouches for, or a JWT, which the issuer's keys vouch for.
"""

from collections.abc import Callable, Mapping
from typing import Final

from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.call import Fault, Reply, answered_object, json_object
from bff.provider.claims import Claims, audiences_of, number_of
from bff.provider.dpop import DpopKey
from bff.provider.jws import JwsHeader, TokenFault, read_header
from bff.provider.protected import get_with_token
from bff.provider.server import AuthorizationServer

_ENDPOINT: Final = "userinfo_endpoint"
_SIGNED: Final = "application/jwt"  # OpenID Connect Core §5.3.2
_EITHER: Final = f"application/json, {_SIGNED}"


async def userinfo(
    server: AuthorizationServer, access_token: str, sub: str, *, key: DpopKey | None = None
) -> Mapping[str, object]:
    """The claims that the provider has about `sub` (OpenID Connect Core §5.3).

    `key`: that of the token, if it is bound to one.

    Raises Refused: PROVIDER_UNAVAILABLE if it cannot say now or has no such endpoint, OVERLOADED,
    PROVIDER_ERROR if it refuses, speaks of somebody else, or its answer is not to be believed."""
    endpoint = (await server.discovery.metadata()).userinfo_endpoint
    if endpoint is None:
        tell(Event.PROVIDER_FAILED, endpoint=_ENDPOINT, code="endpoint_missing")
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    accept = _SIGNED if server.config.userinfo_signed else _EITHER
    reply = await get_with_token(
        server, endpoint, access_token, key=key, kind=_ENDPOINT, accept=accept
    )
    if isinstance(reply, Fault):
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    claims = await _read(server, reply)
    if not isinstance(claims, str) and claims.get("sub") == sub:
        return claims
    code = claims if isinstance(claims, str) else TokenFault.SUB
    tell(Event.PROVIDER_FAILED, endpoint=_ENDPOINT, status=reply.status, code=code)
    if reply.status == 429 or reply.status >= 500:
        raise Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=reply.retry_after)
    raise Refused(Reason.PROVIDER_ERROR)


async def _read(server: AuthorizationServer, reply: Reply) -> Claims | str:
    """The claims of an answer, or the code of why there are none to believe."""
    if reply.status == 200 and reply.content_type == _SIGNED:
        return await _verified(server, reply.body.decode("ascii", "replace"))
    claims = answered_object(reply)
    if claims is None:
        return "unreadable"
    return "unsigned" if server.config.userinfo_signed else claims


async def _verified(server: AuthorizationServer, token: str) -> Claims | TokenFault:
    """The claims of a JWT that is the issuer's and for us, by the algorithms of ID tokens.

    Raises Refused(PROVIDER_UNAVAILABLE) if the keys cannot be fetched."""
    header = read_header(token, server.config.algorithms)
    if not isinstance(header, JwsHeader):
        return header
    if header.typ is not None and header.typ.lower() != "jwt":
        return TokenFault.TYP
    payload = await server.keys.payload(token, header)
    if isinstance(payload, TokenFault):
        return payload
    claims = json_object(payload)
    if claims is None:
        return TokenFault.PAYLOAD
    config, now = server.config, server.clock.now()
    for fault, holds in SIGNED_CHECKS:
        if not holds(claims, config.issuer, config.client_id, now - config.clock_skew):
            return fault
    return claims


def _exp_is_ahead(claims: Claims, _issuer: str, _client_id: str, now: float) -> bool:
    """Whether it is not over, where it says when it will be (RFC 7519 §4.1.4)."""
    exp = number_of(claims.get("exp"))
    return "exp" not in claims or (exp is not None and now < exp)


# What a signed answer must say (OpenID Connect Core §5.3.2), at a `now` that is late by the skew.
# `events` and `nonce` are of logout and ID tokens, which the same keys sign for us too.
SIGNED_CHECKS: Final[tuple[tuple[TokenFault, Callable[[Claims, str, str, float], bool]], ...]] = (
    (TokenFault.ISS, lambda claims, issuer, _client_id, _now: claims.get("iss") == issuer),
    (TokenFault.AUD, lambda claims, _issuer, client_id, _now: client_id in audiences_of(claims)),
    (TokenFault.EXP, _exp_is_ahead),
    (TokenFault.EVENTS, lambda claims, _issuer, _client_id, _now: "events" not in claims),
    (TokenFault.NONCE, lambda claims, _issuer, _client_id, _now: "nonce" not in claims),
)
