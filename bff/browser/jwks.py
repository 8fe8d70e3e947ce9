"""GET /bff/jwks: the public halves of the keys by which we sign in at the provider (RFC 7517 §5).

The provider asks, so there is no cookie and nothing to prove. Without such keys it is 404.
"""

from bff.browser.front import Front
from bff.caller.request import BrowserRequest
from bff.config.client_keys import public_jwks
from bff.problem import Answer, Reason, Refused


async def jwks(front: Front, _request: BrowserRequest) -> Answer:
    """The JWK Set. Raises Refused(NO_ROUTE) if there is nothing to publish."""
    listed = tuple(
        dict.fromkeys(key for each in front.frontend.providers.values() for key in each.client_keys)
    )
    if not listed:
        raise Refused(Reason.NO_ROUTE)
    return front.document(public_jwks(listed), kind=b"application/jwk-set+json")
