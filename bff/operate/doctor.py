"""What `bff check --online` asks of the world: does the store answer, does the provider.

Each question is harmless and needs no session. Findings are told apart by `ok`; what a provider
or a store sends is never repeated.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from bff.clock import StoreClock
from bff.problem import Refused
from bff.provider.call import Reply, answered_object
from bff.provider.keyset import read_keys
from bff.provider.server import AuthorizationServer
from bff.session.store import Store, StoreUnavailable

SKEW: Final = 5.0  # seconds; what ID tokens are forgiven, and more than a good clock is off


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One question and what came of it."""

    about: str
    ok: bool
    said: str


async def examine(
    store: Store, server: AuthorizationServer, clock: StoreClock
) -> AsyncIterator[Finding]:
    """What one front end depends on, question by question. Raises nothing."""
    answers = await _answers(store)
    yield Finding(about="store", ok=answers, said="answers" if answers else "does not answer")
    if answers:
        yield _difference("this machine's clock", time.time(), clock.now())  # noqa: TID251 - it is what is examined
    try:
        metadata = await server.discovery.metadata()
    except Refused:
        yield Finding(about="provider metadata", ok=False, said="not to be had, or another's")
        return
    yield Finding(about="provider metadata", ok=True, said="read, and of the configured issuer")
    if metadata.revocation_endpoint is None:
        yield Finding(about="revocation", ok=True, said="not offered: tokens live until they end")
    async for finding in _keys_and_clock(server, metadata.jwks_uri, clock if answers else None):
        yield finding


async def _answers(store: Store) -> bool:
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


async def _keys_and_clock(
    server: AuthorizationServer, jwks_uri: str, clock: StoreClock | None
) -> AsyncIterator[Finding]:
    reply = await server.http.get(jwks_uri, kind="jwks")
    document = answered_object(reply)
    read = document is not None and read_keys(document) is not None
    yield Finding(about="provider keys", ok=read, said="read" if read else "not to be had")
    if clock is not None and isinstance(reply, Reply) and reply.date is not None:
        yield _difference("the provider's clock", reply.date, clock.now())


def _difference(about: str, theirs: float, ours: float) -> Finding:
    """Two clocks beside each other; a Date field counts whole seconds."""
    seconds = round(theirs - ours)
    said = "agrees with the store's" if abs(seconds) <= 1 else f"{seconds:+d} s from the store's"
    return Finding(about=about, ok=abs(seconds) <= SKEW, said=said)
