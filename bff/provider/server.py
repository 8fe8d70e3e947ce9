"""Everything that is needed to speak with one authorization server, in one value.

Made once per front end, before the first request; `token`, `identity`, `userinfo` and
`revocation` take it.
"""

from dataclasses import dataclass

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.config.model import Provider
from bff.config.values import Origin
from bff.provider.call import ProviderHttp, login_bound
from bff.provider.keyset import KeySet
from bff.provider.logins import LoginBounds
from bff.provider.metadata import Discovery


@dataclass(slots=True, kw_only=True)
class CredentialsHistory:
    """Whether our credentials worked since they were loaded, and when last (R-07).

    The one value here that changes: in store time, None for never."""

    last_success: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationServer:
    """One authorization server, and who we are to it."""

    config: Provider
    origin: Origin
    http: ProviderHttp
    discovery: Discovery
    keys: KeySet
    clock: Clock
    logins: LoginBounds
    history: CredentialsHistory


def open_server(frontend: FrontEnd, clock: Clock) -> AuthorizationServer:
    """The provider of a front end. Nothing is asked of it yet: it may be down (P-11)."""
    config = frontend.provider
    http = ProviderHttp(config)
    discovery = Discovery(config, http, clock)
    return AuthorizationServer(
        config=config,
        origin=frontend.origin,
        http=http,
        discovery=discovery,
        keys=KeySet(discovery, http, clock),
        clock=clock,
        logins=LoginBounds(login_bound(config)),
        history=CredentialsHistory(),
    )


async def close(server: AuthorizationServer) -> None:
    """End what runs in the background, and close every connection."""
    await server.keys.close()
    await server.discovery.close()
    await server.http.close()
