"""UserInfo: more claims about the person whom the ID token has already named.

After `identity`: what is said here about another `sub` is about another person (I-14).
"""

from collections.abc import Mapping

from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.call import Fault, Reply, Share, answered_object
from bff.provider.server import AuthorizationServer


async def userinfo(
    server: AuthorizationServer, access_token: str, sub: str
) -> Mapping[str, object]:
    """The claims that the provider has about `sub` (OpenID Connect Core §5.3).

    Raises Refused: PROVIDER_UNAVAILABLE if it cannot say now or has no such endpoint, OVERLOADED,
    PROVIDER_ERROR if it refuses, speaks of somebody else, or signs the answer."""
    endpoint = (await server.discovery.metadata()).userinfo_endpoint
    if endpoint is None:
        tell(Event.PROVIDER_FAILED, endpoint="userinfo_endpoint", code="endpoint_missing")
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    reply = await server.http.get(
        endpoint,
        headers={"authorization": f"Bearer {access_token}"},
        kind="userinfo_endpoint",
        share=Share.LOGIN,
    )
    return read_userinfo(reply, sub)


def read_userinfo(reply: Reply | Fault, sub: str) -> Mapping[str, object]:
    """The claims in an answer about `sub`. Raises Refused as `userinfo` does."""
    if isinstance(reply, Fault):
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    claims = answered_object(reply)
    if claims is not None and claims.get("sub") == sub:
        return claims
    code = "sub" if claims is not None else "unreadable"
    tell(Event.PROVIDER_FAILED, endpoint="userinfo_endpoint", status=reply.status, code=code)
    if reply.status == 429 or reply.status >= 500:
        raise Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=reply.retry_after)
    raise Refused(Reason.PROVIDER_ERROR)
