"""What `bff check --online` asks of the world: does the store answer, does the provider.

Each question is harmless and needs no session. What a provider or a store sends is not repeated,
but for one thing: the issuer that a provider's metadata names in place of the configured one.
"""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from bff.clock import StoreClock
from bff.keys import Keyring
from bff.operate.discovery import another_issuer, origins, our_origins, promises
from bff.operate.finding import Finding, State, finding
from bff.operate.handshake import shake_hands
from bff.operate.redis import examine_redis
from bff.operate.upstreams import own_certificate
from bff.problem import Refused
from bff.provider.call import Reply, answered_object, provider_tls
from bff.provider.credentials import Admission, admission
from bff.provider.keyset import read_keys
from bff.provider.metadata import Metadata, openid_configuration_url
from bff.provider.server import AuthorizationServer
from bff.session.redis import RedisStore
from bff.session.store import Store, StoreUnavailable

SKEW: Final = 5.0  # seconds; what ID tokens are forgiven, and more than a good clock is off


async def examine(
    store: Store,
    servers: Sequence[AuthorizationServer],
    clock: StoreClock,
    keyring: Keyring,
) -> AsyncIterator[Finding]:
    """What one front end depends on, question by question. Raises nothing."""
    answers = await _answers(store)
    yield finding("store", "answers" if answers else "does not answer", right=answers)
    if answers:
        yield _difference("this machine's clock", time.time(), clock.now())  # noqa: TID251 - it is what is examined
    if isinstance(store, RedisStore):
        async for found in examine_redis(store.servers, keyring):
            yield found
    for server in servers:
        ask = _provider if server.config.identity == "openid" else _without_metadata
        async for found in ask(server, clock if answers else None):
            about = f"{server.name}: {found.about}" if server.name else found.about
            yield replace(found, about=about)


async def _answers(store: Store) -> bool:
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


async def _without_metadata(
    server: AuthorizationServer, _clock: StoreClock | None
) -> AsyncIterator[Finding]:
    for found in own_certificate("provider", server.config.client_certificate):
        yield found
    yield finding("provider endpoints", "as the file has them: there is no metadata to ask")
    yield await _credentials(server, await server.discovery.metadata())


async def _provider(
    server: AuthorizationServer, clock: StoreClock | None
) -> AsyncIterator[Finding]:
    issuer = server.config.issuer
    for found in own_certificate("provider", server.config.client_certificate):
        yield found
    if urlsplit(issuer).scheme == "https":
        yield await _handshake(server, urlsplit(issuer).netloc, issuer)
    document = answered_object(
        await server.http.get(openid_configuration_url(issuer), kind="openid_configuration")
    )
    stranger = None if document is None else another_issuer(document, issuer)
    if stranger is not None:
        yield stranger
        return
    try:
        metadata = await server.discovery.metadata()
    except Refused:
        yield finding("provider metadata", "not to be had, or lacks an endpoint", right=False)
        return
    yield finding("provider metadata", "read, and of the configured issuer")
    for found in promises(document or {}, metadata, server):
        yield found
    async for found in _others(server, metadata):
        yield found
    yield await _credentials(server, metadata)
    async for found in _keys_and_clock(server, metadata.jwks_uri, clock):
        yield found


async def _others(server: AuthorizationServer, metadata: Metadata) -> AsyncIterator[Finding]:
    """Endpoints at another address than the issuer's."""
    ours = our_origins(metadata)
    for name, url in origins(metadata).items():
        if name != urlsplit(metadata.issuer).netloc:
            found = await _handshake(server, name, url)
            # Where only browsers go, they may have another way there, and trust others.
            passing = found.state is State.FAIL and name not in ours
            yield replace(found, state=State.WARN) if passing else found


async def _handshake(server: AuthorizationServer, name: str, url: str) -> Finding:
    return await shake_hands(
        f"TLS of {name}",
        url,
        provider_tls(server.config),
        seconds=server.config.connect_timeout,
        shown="none of ours" if server.config.client_certificate is None else "ours",
    )


async def _credentials(server: AuthorizationServer, metadata: Metadata) -> Finding:
    about = "client authentication"
    said, status = await admission(server, metadata)
    if said is Admission.LET_IN:
        return finding(about, "the token endpoint lets us in")
    if said is Admission.REFUSED:
        return finding(about, "the token endpoint does not let us in: invalid_client", right=False)
    answered = f"it answered {status}" if status else "it did not answer"
    return finding(about, f"cannot be told: {answered}", right=False, otherwise=State.WARN)


async def _keys_and_clock(
    server: AuthorizationServer, jwks_uri: str, clock: StoreClock | None
) -> AsyncIterator[Finding]:
    reply = await server.http.get(jwks_uri, kind="jwks")
    document = answered_object(reply)
    read = document is not None and read_keys(document) is not None
    yield finding("provider keys", "read" if read else "not to be had", right=read)
    if clock is not None and isinstance(reply, Reply) and reply.date is not None:
        yield _difference("the provider's clock", reply.date, clock.now())


def _difference(about: str, theirs: float, ours: float) -> Finding:
    """Two clocks beside each other; a Date field counts whole seconds, and may be a moment old."""
    seconds = round(theirs - ours)
    agrees = abs(seconds) <= SKEW
    return finding(
        about,
        "agrees with the store's" if agrees else f"{seconds:+d} s from the store's",
        right=agrees,
    )
