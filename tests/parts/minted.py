"""Sessions by the hundred, without signing in: written into a site's store as a login would."""

import secrets
from dataclasses import dataclass

from bff.session.record import Identity, Session, Tokens
from bff.simulator import Simulator
from bff.simulator.grants import Grant
from tests.parts.site import Site


@dataclass(frozen=True)
class Minted:
    """A session's id and the cookie that names it, as `name=value`."""

    session_id: str
    cookie: str


def mint(
    site: Site, *, life: float = 300.0, refresh_token: str | None = None, sub: str = "ada"
) -> Minted:
    """A new session whose access token lives that long from now on, in seconds."""
    front = site.application.site.fronts["default"].front
    provider = front.frontend.provider
    now = front.clock.now()
    tokens = Tokens(
        access_token=secrets.token_urlsafe(24),
        refresh_token=refresh_token or secrets.token_urlsafe(24),
        id_token="",
        scope=" ".join(provider.scopes),
        issued_at=now - 60,
        expires_at=now + life,
        refresh_expires_at=None,
    )
    identity = Identity(
        iss=provider.issuer,
        sub=sub,
        sid=None,
        aud=(provider.client_id,),
        azp=None,
        nonce=None,
        auth_time=None,
        acr=None,
        claims={},
    )
    session = Session(frontend="default", identity=identity, tokens=tokens, created_at=now)
    session_id = site.run(
        front.sessions.begin(session, device="a test", address=None, issued_at=now)
    )
    _, line = front.cookies.session(session_id)
    return Minted(session_id, line.decode().partition(";")[0])


def refresh_token(simulator: Simulator, sub: str = "ada") -> str:
    """One under a grant of its own. The registry is dicts, which another thread may write to."""
    realm = simulator.realm
    grant = Grant(
        grant_id=secrets.token_hex(8),
        client_id="spa",
        sub=sub,
        sid=secrets.token_hex(8),
        scope=("openid", "offline_access"),
        auth_time=int(realm.clock.now()),
        acr="1",
        nonce=None,
    )
    return realm.grants.issue_refresh_token(grant, expires_at=realm.clock.now() + 3600)
