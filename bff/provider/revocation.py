"""Revocation: a token that nobody needs any more is made worthless (RFC 7009).

After a session has ended; its end never waits for this. Revoking twice does no harm, so every
passing failure may be tried again.
"""

import asyncio
from typing import Final, Literal

from bff.journal.log import Event, tell
from bff.problem import Refused
from bff.provider.call import Fault, Reply
from bff.provider.client import client_credentials
from bff.provider.server import AuthorizationServer

TRIES: Final = 3
PAUSE_SECONDS: Final = 2  # where the server names no time
MAX_PAUSE_SECONDS: Final = 60


def next_try(reply: Reply | Fault, tries: int) -> int | None:
    """Seconds until the next try after `tries` that ended so; None for no further one.

    `unsupported_token_type` and every other definite refusal is the end (RFC 7009 §2.2.1)."""
    passing = isinstance(reply, Fault) or reply.status in (429, 503)
    if not passing or tries >= TRIES:
        return None
    named = reply.retry_after if isinstance(reply, Reply) else None
    return PAUSE_SECONDS if named is None else min(named, MAX_PAUSE_SECONDS)


async def revoke(
    server: AuthorizationServer, token: str, *, hint: Literal["refresh_token", "access_token"]
) -> bool:
    """Whether the token is revoked, or there is nowhere to revoke it; never raises.

    Waits a minute at most between tries, so call it in the background. False is final."""
    try:
        metadata = await server.discovery.metadata()
    except Refused:
        return False
    if metadata.revocation_endpoint is None:
        return True
    headers, form = client_credentials(server.config, {"token": token, "token_type_hint": hint})
    reply: Reply | Fault = Fault.NOT_SENT
    pause: int | None = 0
    tries = 0
    while pause is not None:
        await asyncio.sleep(pause)
        tries += 1
        reply = await server.http.post_form(
            metadata.revocation_endpoint, form, headers=headers, kind="revocation_endpoint"
        )
        if isinstance(reply, Reply) and reply.status == 200:
            return True
        pause = next_try(reply, tries)
    status = reply.status if isinstance(reply, Reply) else None
    tell(Event.REVOCATION_FAILED, endpoint="revocation_endpoint", status=status)
    return False
