"""Revocation: a token that nobody needs any more is made worthless (RFC 7009).

After a session has ended; its end never waits for this. Revoking twice does no harm, so every
passing failure may be tried again.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from bff.journal.log import Event, tell
from bff.problem import Refused
from bff.provider.call import Fault, Reply
from bff.provider.client import post_authenticated
from bff.provider.server import AuthorizationServer

TRIES: Final = 3
PAUSE_SECONDS: Final = 2  # where the server names no time
MAX_PAUSE_SECONDS: Final = 60

Hint = Literal["refresh_token", "access_token"]


class Revoked(StrEnum):
    """What came of one try."""

    DONE = "done"  # worthless now, or there is nowhere to revoke it
    REFUSED = "refused"  # and would be again: `unsupported_token_type`, say (RFC 7009 §2.2.1)
    LATER = "later"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationAnswer:
    """The end of one try; `retry_after` in seconds from now, where the server has named it."""

    outcome: Revoked
    status: int | None = None
    retry_after: int | None = None


def read_revocation(reply: Reply | Fault) -> RevocationAnswer:
    """What the answer means: 200 is the end whatever it says (RFC 7009 §2.2)."""
    if isinstance(reply, Fault):
        return RevocationAnswer(outcome=Revoked.LATER)
    if reply.status == 200:
        return RevocationAnswer(outcome=Revoked.DONE, status=200)
    if reply.status in (429, 502, 503, 504):  # 502 and 504 are a gateway's
        return RevocationAnswer(
            outcome=Revoked.LATER, status=reply.status, retry_after=reply.retry_after
        )
    return RevocationAnswer(outcome=Revoked.REFUSED, status=reply.status)


async def revoke_once(server: AuthorizationServer, token: str, *, hint: Hint) -> RevocationAnswer:
    """One try; never raises. A definite refusal is told to the log."""
    try:
        metadata = await server.discovery.metadata()
    except Refused:
        return RevocationAnswer(outcome=Revoked.LATER)
    if metadata.revocation_endpoint is None:
        return RevocationAnswer(outcome=Revoked.DONE)
    try:
        async with asyncio.timeout(server.config.total_timeout):
            await server.revoking.acquire()
    except TimeoutError:
        return RevocationAnswer(outcome=Revoked.LATER)
    try:
        reply = await post_authenticated(
            server,
            metadata.revocation_endpoint,
            {"token": token, "token_type_hint": hint},
            metadata=metadata,
            kind="revocation_endpoint",
        )
    finally:
        server.revoking.release()
    answer = read_revocation(reply)
    if answer.outcome is Revoked.REFUSED:
        tell(Event.REVOCATION_FAILED, endpoint="revocation_endpoint", status=answer.status)
    return answer


def next_try(answer: RevocationAnswer, tries: int) -> int | None:
    """Seconds until the next try after `tries` that ended so; None for no further one."""
    if answer.outcome is not Revoked.LATER or tries >= TRIES:
        return None
    named = answer.retry_after
    return PAUSE_SECONDS if named is None else min(named, MAX_PAUSE_SECONDS)


async def revoke(server: AuthorizationServer, token: str, *, hint: Hint) -> bool:
    """Whether the token is revoked, or there is nowhere to revoke it; never raises.

    A few tries in this process. Waits a minute at most between them, so call it in the background.
    False is final."""
    tries, pause = 0, 0
    while True:
        await asyncio.sleep(pause)
        answer = await revoke_once(server, token, hint=hint)
        tries += 1
        further = next_try(answer, tries)
        if further is None:
            break
        pause = further
    if answer.outcome is Revoked.LATER:
        tell(Event.REVOCATION_FAILED, endpoint="revocation_endpoint", status=answer.status)
    return answer.outcome is Revoked.DONE
