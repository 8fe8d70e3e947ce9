"""Who signed in, at a provider without OpenID Connect: a resource of its own says so.

In the place of `identity`. There is no signature to look at: what counts is that the answer came
over TLS from the address in the file, to the very token that the code has just brought; PKCE and
`state` bind that code to this browser.
"""

from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.call import Fault, Reply, answered_object
from bff.provider.claims import Claims
from bff.provider.dpop import DpopKey
from bff.provider.identity import IdToken
from bff.provider.protected import get_with_token
from bff.provider.server import AuthorizationServer

_ENDPOINT = "identity_endpoint"
_LONGEST = 255


async def identity_from_resource(
    server: AuthorizationServer, access_token: str, *, key: DpopKey | None = None
) -> IdToken:
    """The person whose token it is, with what the resource says about them as claims.

    `key`: that of the token, if it is bound to one.
    Raises Refused: PROVIDER_UNAVAILABLE, OVERLOADED, PROVIDER_ERROR if it refuses or names nobody.
    """
    config = server.config
    reply = await get_with_token(
        server, config.identity_endpoint or "", access_token, key=key, kind=_ENDPOINT
    )
    claims = read_resource(reply, config.subject_claim or "")
    now = server.clock.now()
    return IdToken(
        iss=config.issuer,
        sub=subject(claims.get(config.subject_claim or "")) or "",
        aud=(config.client_id,),
        azp=None,
        nonce=None,
        sid=None,
        auth_time=None,  # it does not say how or when: nothing that asks for more is met
        acr=None,
        iat=now,
        exp=now,
        claims={name: value for name, value in claims.items() if name not in _NOT_SAID},
    )


# What only an ID token can say, and rules would believe.
_NOT_SAID = frozenset({"iss", "sub", "aud", "acr", "amr", "auth_time"})


def read_resource(reply: Reply | Fault, claim: str) -> Claims:
    """The claims of an answer that names somebody. Raises Refused as `identity_from_resource`."""
    if isinstance(reply, Fault):
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    claims = answered_object(reply)
    if claims is not None and subject(claims.get(claim)) is not None:
        return claims
    code = "sub" if claims is not None else "unreadable"
    tell(Event.PROVIDER_FAILED, endpoint=_ENDPOINT, status=reply.status, code=code)
    if reply.status == 429 or reply.status >= 500:
        raise Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=reply.retry_after)
    raise Refused(Reason.PROVIDER_ERROR)


def subject(value: object) -> str | None:
    """The `sub` that an id makes: a whole number, or a short text of printable ASCII."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST:
        return None
    return value if value.isascii() and value.isprintable() else None
