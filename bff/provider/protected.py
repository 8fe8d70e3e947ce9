"""A resource of the provider's own that wants the person's token: UserInfo, or what stands for it.

Under `userinfo` and `resource_identity`. A bearer token goes as one, a bound one with a proof.
"""

from bff.provider.call import Fault, Reply, Share
from bff.provider.dpop import DpopKey, htu_of, proof
from bff.provider.server import AuthorizationServer


async def get_with_token(
    server: AuthorizationServer,
    url: str,
    access_token: str,
    *,
    key: DpopKey | None,
    kind: str,
    accept: str = "application/json",
) -> Reply | Fault:
    """The answer; `key`: that of the token, if it is bound to one; `accept`: media types.

    With a bound token once more, if the server asks for another nonce (RFC 9449 §9).
    Raises Refused(OVERLOADED) if logins hold all of their share."""

    async def once() -> Reply | Fault:
        headers = {"accept": accept, "authorization": f"Bearer {access_token}"}
        if key is not None:
            shown = proof(
                key,
                htm="GET",
                htu=htu_of(url),
                now=server.clock.now(),
                nonce=server.nonces.newest(url),
                access_token=access_token.encode(),
            )
            headers |= {"authorization": f"DPoP {access_token}", "dpop": shown}
        return await server.http.get(url, headers=headers, kind=kind, share=Share.LOGIN)

    reply, before = await once(), server.nonces.newest(url)
    if key is None or isinstance(reply, Fault) or reply.dpop_nonce is None:
        return reply
    server.nonces.heard(url, reply.dpop_nonce)
    return await once() if reply.status == 401 and reply.dpop_nonce != before else reply
