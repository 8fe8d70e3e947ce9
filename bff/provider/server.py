"""Everything that is needed to speak with one authorization server, in one value.

Made once per front end and provider, before the first request; `token`, `identity`, `userinfo` and
`revocation` take it.
"""

import asyncio
from dataclasses import dataclass, field

from bff.clock import Clock
from bff.config.client_keys import SigningKey, signing_keys
from bff.config.load import FrontEnd
from bff.config.provider_section import Provider
from bff.config.values import Origin
from bff.provider.call import ProviderHttp, login_bound
from bff.provider.dpop import Nonces
from bff.provider.keyset import KeySet
from bff.provider.known import Known, known
from bff.provider.logins import Calls, LoginBounds
from bff.provider.metadata import Discovery
from bff.provider.restraint import Restraint


@dataclass(slots=True, kw_only=True)
class CredentialsHistory:
    """Whether our credentials worked since they were loaded, and when last (R-07).

    In store time, None for never. `fresh` is set at each success, for whoever tells others."""

    last_success: float | None = None
    fresh: asyncio.Event = field(default_factory=asyncio.Event)

    def succeeded(self, at: float) -> None:
        """A token request that left at `at` has been granted."""
        self.last_success = max(at, self.last_success or at)
        self.fresh.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationServer:
    """One authorization server, and who we are to it."""

    name: str  # among several of a front end; the only one has none
    config: Provider
    origin: Origin
    http: ProviderHttp
    known: Known
    discovery: Discovery
    keys: KeySet
    clock: Clock
    client_keys: tuple[SigningKey, ...]  # the first one signs
    logins: LoginBounds
    pushes: LoginBounds  # of logins that begin
    history: CredentialsHistory
    restraint: Restraint
    nonces: Nonces
    places: asyncio.Semaphore  # for refreshes: as many as there are connections
    revoking: asyncio.Semaphore  # for revocations: what logins leave, and one for refreshes


def open_server(
    frontend: FrontEnd, clock: Clock, name: str = "", former: Known | None = None
) -> AuthorizationServer:
    """That provider of a front end. Nothing is asked of it yet: it may be down (P-11).

    `former` is what was known of its issuer, perhaps under other settings.
    """
    config = frontend.providers[name]
    # Before the files are read for TLS: what comes between asks anew next time, not never.
    what_is_known = known(config, former)
    http = ProviderHttp(config)
    discovery = Discovery(config, http, clock, what_is_known.metadata)
    calls = Calls(login_bound(config))
    return AuthorizationServer(
        name=name,
        config=config,
        origin=frontend.origin,
        http=http,
        known=what_is_known,
        discovery=discovery,
        keys=KeySet(discovery, http, clock, what_is_known.keys),
        clock=clock,
        client_keys=signing_keys(config.client_keys),
        logins=LoginBounds(calls.most, calls),
        # Anybody may begin a login: places are left for those who come back with a code.
        pushes=LoginBounds(max(1, calls.most * 3 // 4), calls),
        history=CredentialsHistory(),
        restraint=Restraint(),
        nonces=Nonces(),
        places=asyncio.Semaphore(config.connections),
        revoking=asyncio.Semaphore(max(1, config.connections - calls.most - 1)),
    )


async def close(server: AuthorizationServer) -> None:
    """End what runs in the background, and close every connection."""
    await server.keys.close()
    await server.discovery.close()
    await server.http.close()
