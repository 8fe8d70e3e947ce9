"""GET /bff/frontchannel-logout: a frame of the provider's page signs out (B-11). Off by default.

The one GET that ends sessions (X-10): a frame can send nothing else. No cookie comes with it, since
it is cross-site, and no proof either: whoever knows the `sid` may do it, and nothing but the end of
those sessions follows.
"""

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from bff.browser.front import Front, refuse_prefetch
from bff.caller.request import BrowserRequest
from bff.problem import Answer, Reason, Refused
from bff.session.store import StoreUnavailable

_MOST_FIELDS: Final = 100


async def frontchannel_logout(front: Front, request: BrowserRequest) -> Answer:
    """End the sessions of `iss` and `sid`; the answer does not tell whether there were any.

    Raises Refused: NO_ROUTE where it is off, FORBIDDEN, BAD_REQUEST, STORE_UNAVAILABLE.
    """
    if not front.frontend.logout.front_channel:
        raise Refused(Reason.NO_ROUTE)
    refuse_prefetch(request)
    iss, sid = _named(request)
    issuers = [each.issuer for each in front.frontend.providers.values()]
    if iss in issuers:
        try:
            await front.provider_logouts.end_provider_session(iss, sid)
        except StoreUnavailable:
            raise Refused(Reason.STORE_UNAVAILABLE) from None
    places = [urlsplit(issuer) for issuer in issuers]
    return front.framed(" ".join(f"{parts.scheme}://{parts.netloc}" for parts in places))


def _named(request: BrowserRequest) -> tuple[str, str]:
    """`iss` and `sid`, each of which must be there once (Front-Channel Logout §2)."""
    try:
        pairs = parse_qsl(request.query.decode("ascii"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refused(Reason.BAD_REQUEST) from None
    found = [[value for name, value in pairs if name == wanted] for wanted in ("iss", "sid")]
    if any(len(values) != 1 for values in found):
        raise Refused(Reason.BAD_REQUEST)
    return found[0][0], found[1][0]
