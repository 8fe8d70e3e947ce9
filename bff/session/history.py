"""When a token request with our credentials last succeeded, in whatever process (R-07).

Under `refresh`: a provider that answers a dead refresh token and a wrong client secret with the
same empty 400 can be understood only by somebody else's success. Each process writes its own into
one key of the store, seldom; it is read only where such an answer came twice.
"""

import asyncio
import hashlib
import hmac
from typing import Final

from bff.config.load import FrontEnd
from bff.config.provider_section import Provider
from bff.journal.log import Event, tell
from bff.keys import Key, Keyring, derive
from bff.provider.client import shown_credentials
from bff.provider.server import AuthorizationServer
from bff.session.seal import store_key
from bff.session.store import Store, StoreUnavailable

PAUSE: Final = 1.0  # seconds between two writes of one process


class SharedHistory:
    """The history of one front end's credentials at a provider. A changed secret begins anew."""

    def __init__(
        self, *, frontend: FrontEnd, keyring: Keyring, store: Store, server: AuthorizationServer
    ) -> None:
        self._store = store
        self._own = server.history
        # A session can begin only with a success, so an older one than a session's longest life
        # says nothing about any session that lives.
        self._seconds = frontend.session.lifetime
        self._names = [_name(frontend, server.config, key) for key in keyring.all()]

    @property
    def credentials(self) -> str:
        """A name of ours, under which others know them in the store."""
        return self._names[0]

    def ours(self, credentials: str) -> bool:
        """Whether that name is of the same, perhaps under another key of the keyring."""
        return credentials in self._names

    async def run(self) -> None:
        """For ever: write down the latest success of this process."""
        while True:
            await self._own.fresh.wait()
            self._own.fresh.clear()
            try:
                await self._publish()
            except StoreUnavailable:
                self._own.fresh.set()
                tell(Event.STORE_FAILED, operation="note")
            await asyncio.sleep(PAUSE)

    async def _publish(self) -> None:
        if self._own.last_success is not None:
            await self._store.note(self._names[0], self._own.last_success, seconds=self._seconds)

    async def last_success(self) -> float | None:
        """Its store time, if there was one. A store that cannot say leaves our own."""
        times = [self._own.last_success]
        try:
            times += [await self._store.noted(name) for name in self._names]
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="noted")
        return max((at for at in times if at is not None), default=None)


def _name(frontend: FrontEnd, provider: Provider, key: Key) -> str:
    """The place of the note. The secret is in it only as a keyed hash: guesses cannot be tried."""
    secret = shown_credentials(provider)
    fingerprint = hmac.digest(
        derive(key, "index", frontend.origin),
        store_key(provider.client_authentication, frontend.name, secret).encode(),
        hashlib.sha256,
    )
    return store_key(
        "credentials", frontend.name, provider.issuer, provider.client_id, fingerprint.hex()
    )
