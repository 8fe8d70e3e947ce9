"""POST /bff/backchannel-logout: the provider says who is signed out (rows B).

Called by the provider's server, not by a browser: no cookie, no X-CSRF; the token's signature is
the proof, and nothing is asked of the store before it has been believed.
"""

from typing import Final
from urllib.parse import parse_qsl

from bff.browser.front import BodyReader, Front
from bff.caller.request import BrowserRequest
from bff.journal.log import Event, tell
from bff.problem import Answer, Refused
from bff.provider.jws import TokenFault, claimed_issuer
from bff.provider.logout_token import LogoutToken, verify_logout_token
from bff.provider.server import AuthorizationServer
from bff.session.store import StoreUnavailable

LONGEST_FORM: Final = 64 * 1024  # octets
_MOST_FIELDS: Final = 100
_FORM: Final = b"application/x-www-form-urlencoded"


async def backchannel_logout(front: Front, request: BrowserRequest, read: BodyReader) -> Answer:
    """Sign out whom the token names: 200, or 400 for whatever reason (BCL §2.8). Raises Aborted."""
    token = await _sent(request, read)
    try:
        believed = None if token is None else await _believed(front, token)
        if believed is None or not await front.provider_logouts.carry_out(believed):
            return _failed(front, "invalid_request")
    except (Refused, StoreUnavailable):
        return _failed(front, "temporarily_unavailable")  # not 503: §2.8 knows no other status
    return front.nothing()


async def _sent(request: BrowserRequest, read: BodyReader) -> str | None:
    """The one logout token of the form, or None; other fields are nobody's business (§2.5)."""
    media_type = (request.get(b"content-type") or b"").partition(b";")[0]
    if media_type.strip().lower() != _FORM:
        return None
    try:
        form = (await read(LONGEST_FORM)).decode("ascii")
        pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (Refused, ValueError):
        return None
    sent = [value for name, value in pairs if name == "logout_token"]
    return sent[0] if len(sent) == 1 else None


async def _believed(front: Front, token: str) -> LogoutToken | None:
    """The verified token, or None. Raises Refused(PROVIDER_UNAVAILABLE) if there are no keys."""
    server = _its_server(front, token)
    provider = server.config
    if provider.identity != "openid":
        tell(Event.PROVIDER_LOGOUT_REFUSED, frontend=front.frontend.name, code=TokenFault.NO_KEY)
        return None
    found = await verify_logout_token(
        server,
        token,
        exp_required=provider.logout_exp_required,
        strict_typ=provider.strict_logout_typ,
    )
    if isinstance(found, LogoutToken):
        return found
    tell(Event.PROVIDER_LOGOUT_REFUSED, frontend=front.frontend.name, code=found)
    return None


def _its_server(front: Front, token: str) -> AuthorizationServer:
    """The provider that it says it is of: that one has to prove it. Else the one there is."""
    return front.server_of(claimed_issuer(token)) or front.server


def _failed(front: Front, error: str) -> Answer:
    return front.document({"error": error}, status=400)
