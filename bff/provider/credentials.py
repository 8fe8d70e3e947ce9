"""Whether the token endpoint lets us in: asked with a refresh token that nobody ever issued.

For `bff check` alone. RFC 6749 §5.2: who is not let in hears `invalid_client`, and only who is let
in hears that the token is no good.
"""

import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from bff.provider.call import Fault, Reply
from bff.provider.client import post_authenticated
from bff.provider.dpop import new_dpop_key, open_dpop_key
from bff.provider.metadata import Metadata
from bff.provider.server import AuthorizationServer


class Admission(StrEnum):
    """What the endpoint makes of our credentials."""

    LET_IN = "let_in"
    REFUSED = "refused"
    UNTOLD = "untold"  # another answer, or none


_ADMISSIONS: Final[Mapping[object, Admission]] = {
    "invalid_grant": Admission.LET_IN,
    "invalid_client": Admission.REFUSED,
}


async def admission(server: AuthorizationServer, metadata: Metadata) -> tuple[Admission, int]:
    """What our credentials are worth, and the status that said so; 0: no answer."""
    reply = await post_authenticated(
        server,
        metadata.token_endpoint,
        {"grant_type": "refresh_token", "refresh_token": secrets.token_urlsafe(32)},
        metadata=metadata,
        kind="token_endpoint",
        key=open_dpop_key(new_dpop_key()) if server.config.dpop else None,
    )
    return read_admission(reply), reply.status if isinstance(reply, Reply) else 0


def read_admission(reply: Reply | Fault) -> Admission:
    """What an answer says; only an error's own code counts, under any 4xx."""
    if isinstance(reply, Fault) or not 400 <= reply.status < 500:
        return Admission.UNTOLD
    code = (reply.json_object() or {}).get("error")
    return _ADMISSIONS.get(code, Admission.UNTOLD) if isinstance(code, str) else Admission.UNTOLD
