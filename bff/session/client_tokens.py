"""Tokens of our own (RFC 6749 §4.4): asked for once, apart from every session, shared by processes.

Beside `refresh`, under the same rule: one task in this process, one lease in the store, and whoever
does not hold it waits and re-reads. Nothing is spent here, so an answer that was lost is asked for
again. No person's token comes this way, and none of these goes into a session.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

import msgspec
from typing_extensions import override

from bff.clock import Clock
from bff.config.lease import lease_seconds
from bff.config.load import FrontEnd
from bff.journal.log import Event, tell
from bff.keys import Keyring
from bff.problem import Reason, Refused
from bff.provider.dpop import DpopKey, new_dpop_key, open_dpop_key
from bff.provider.server import AuthorizationServer
from bff.provider.token import client_token
from bff.provider.token_answer import TokenOutcome, TokenResponse, TokenType
from bff.provider.wanted import Wanted
from bff.session.background import Background
from bff.session.holding import BACK_OFF
from bff.session.record import Deadlines
from bff.session.refresh import FORCED_AFTER
from bff.session.seal import KeyUnknown, SealBroken, Sealer, store_key
from bff.session.store import Ended, Lease, LeaseOutcome, Loaded, Release, Store, StoreUnavailable
from bff.session.watch import POLL, Watch

RECORD_SECONDS: Final = 86400.0  # of a record at most; a token that lives longer is asked for again
ASSUMED_SECONDS: Final = 300.0  # of a token whose life neither the provider nor the file knows
EARLY: Final = 30.0  # seconds before its end, at most, from which a token is not used any more


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord:
    """What the store keeps, sealed; without a token until the first one has come."""

    access_token: str | None = field(default=None, repr=False)
    token_type: TokenType = "Bearer"  # noqa: S105 - its name
    issued_at: float = 0.0
    expires_at: float = 0.0
    dpop_key: str | None = field(default=None, repr=False)


class OwnToken(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A token of our own, ready to be shown. Times are store time."""

    bearer: bytes
    proof_key: DpopKey | None  # that it is bound to, if it is
    issued_at: float
    expires_at: float
    usable_until: float

    @override
    def __repr__(self) -> str:
        """Nothing of what it holds."""
        return "<OwnToken>"


def own_token(record: ClientRecord) -> OwnToken | None:
    """The token in a record, if there is one."""
    if record.access_token is None:
        return None
    bound = record.token_type == "DPoP" and record.dpop_key is not None  # noqa: S105 - a name
    life = record.expires_at - record.issued_at
    return OwnToken(
        bearer=record.access_token.encode(),
        proof_key=open_dpop_key(record.dpop_key) if bound and record.dpop_key else None,
        issued_at=record.issued_at,
        expires_at=record.expires_at,
        usable_until=record.expires_at - min(EARLY, life / 5),
    )


class ClientTokens:
    """The token of our own for one purpose at one provider, whoever asks."""

    personal: Final = False

    def __init__(
        self,
        *,
        frontend: FrontEnd,
        keyring: Keyring,
        store: Store,
        clock: Clock,
        server: AuthorizationServer,
        background: Background,
        watch: Watch,
        wanted: Wanted,
    ) -> None:
        config = server.config
        self._store = store
        self._clock = clock
        self._server = server
        self._background = background
        self._watch = watch
        self._wanted = wanted
        self._sealer = Sealer(keyring, "client", frontend.origin)
        self._key = store_key(
            "client-token",
            frontend.name,
            config.issuer,
            config.client_id,
            wanted.scope,
            wanted.resource or "",
            wanted.audience or "",
            "dpop" if config.dpop else "",
        )
        self._lease_seconds = lease_seconds(
            frontend.refresh.lease, config.total_timeout, frontend.session.store_deadline
        )
        self._patience = self._lease_seconds + 2 * POLL
        self._token: OwnToken | None = None
        self._running: asyncio.Task[OwnToken | Refused] | None = None

    def at_hand(self, _: object = None) -> OwnToken | None:
        """The token, if it is good to use and this process has it."""
        token = self._token
        return token if token is not None and self._clock.now() < token.usable_until else None

    async def get(self, _: object = None) -> OwnToken:
        """The token. Raises Refused: PROVIDER_UNAVAILABLE, STORE_UNAVAILABLE."""
        token = self.at_hand()
        if token is not None:
            return token
        result = await self._joined(self._task(None))
        if isinstance(result, Refused):
            raise Refused(result.reason, retry_after=result.retry_after)
        return result

    async def after_refusal(self, _: object, refused: bytes) -> OwnToken | None:
        """Another token than the one that an upstream refused, if there is one (as R-08)."""
        known = self._token
        if known is not None and known.bearer != refused:
            return known
        if known is None or self._clock.now() - known.issued_at < FORCED_AFTER:
            return None  # a refusal of a fresh token is about something else
        result = await self._joined(self._task(refused))
        # The upstream's own answer says more than our trouble.
        return None if isinstance(result, Refused) or result.bearer == refused else result

    def _task(self, refused: bytes | None) -> asyncio.Task[OwnToken | Refused]:
        task = self._running
        if task is None:
            task = self._running = self._background.start(self._obtain(refused))
            task.add_done_callback(self._done)
        return task

    def _done(self, _: object) -> None:
        self._running = None

    async def _joined(self, task: asyncio.Task[OwnToken | Refused]) -> OwnToken | Refused:
        # Not cancelled with us: others wait for it as well.
        await asyncio.wait([task], timeout=self._patience)
        return task.result() if task.done() else Refused(Reason.PROVIDER_UNAVAILABLE)

    async def _obtain(self, refused: bytes | None) -> OwnToken | Refused:
        """Take what another process has got, or ask the provider; never the one refused."""
        deadline = time.monotonic() + self._patience
        try:
            while time.monotonic() < deadline:
                loaded = await self._store.load(self._key)
                if isinstance(loaded, Ended):
                    break  # by nobody of ours
                if loaded is None:
                    await self._create()
                elif (result := await self._from(loaded, refused)) is not None:
                    return result
        except StoreUnavailable:
            return Refused(Reason.STORE_UNAVAILABLE)
        return Refused(Reason.PROVIDER_UNAVAILABLE)

    async def _create(self) -> None:
        """An empty record, to hold the lease."""
        deadlines = Deadlines(
            idle=RECORD_SECONDS, absolute=self._clock.now() + RECORD_SECONDS, refresh=None
        )
        # Without a key id: it is nobody's session.
        await self._store.create(
            self._key, self._sealed(ClientRecord()), deadlines, owner=secrets.token_hex(12), kid=""
        )

    async def _from(self, loaded: Loaded, refused: bytes | None) -> OwnToken | Refused | None:
        """The token in the record, or what comes of a try for the lease; None: look again."""
        there = self._opened(loaded)
        other = there is not None and there.bearer != refused
        if there is not None and other and self._clock.now() < there.usable_until:
            self._token = there
            return there
        owner = secrets.token_hex(12)
        lease = await self._store.lease(
            self._key, loaded.version, owner=owner, seconds=self._lease_seconds
        )
        match lease.outcome:
            case LeaseOutcome.HELD:
                return await self._wait(lease)
            case LeaseOutcome.STALE | LeaseOutcome.GONE:
                return None
            case LeaseOutcome.GRANTED | LeaseOutcome.GRANTED_AFTER_LAPSE:
                return await self._ask(loaded.version, owner)

    async def _wait(self, lease: Lease) -> Refused | None:
        left = (lease.until or 0.0) - self._clock.now()
        if lease.backing_off:
            return _unavailable(left)
        await self._watch.changed(self._key, min(max(left, 0.01), POLL))
        return None

    async def _ask(self, version: str, owner: str) -> OwnToken | Refused:
        dpop_key = new_dpop_key() if self._server.config.dpop else None
        asked_at = self._clock.now()
        outcome = await client_token(self._server, self._wanted, dpop_key=dpop_key)
        if outcome.response is None:
            return await self._back_off(owner, outcome)
        record = self._record(outcome.response, asked_at, dpop_key)
        try:
            await self._store.replace(
                self._key,
                version,
                self._sealed(record),
                owner=owner,
                new_version=secrets.token_hex(12),
                refresh_at=record.expires_at,
            )
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="replace")  # others ask for one of their own
        self._token = own_token(record)
        return self._token or Refused(Reason.PROVIDER_UNAVAILABLE)

    def _record(
        self, response: TokenResponse, asked_at: float, dpop_key: str | None
    ) -> ClientRecord:
        life = response.expires_in
        if life is None:
            life = self._server.config.assume_expires_in or ASSUMED_SECONDS
        return ClientRecord(
            access_token=response.access_token,
            token_type=response.token_type,
            issued_at=asked_at,
            expires_at=asked_at + life,
            dpop_key=dpop_key,
        )

    async def _back_off(self, owner: str, outcome: TokenOutcome) -> Refused:
        wait = float(outcome.retry_after or BACK_OFF)
        try:
            await self._store.release(
                self._key, owner=owner, how=Release.CLEAN, not_before=self._clock.now() + wait
            )
        except StoreUnavailable:
            tell(Event.STORE_FAILED, operation="release")  # the lease lapses by itself
        return _unavailable(wait)

    def _sealed(self, record: ClientRecord) -> bytes:
        return self._sealer.seal(record, place=self._key)

    def _opened(self, loaded: Loaded) -> OwnToken | None:
        """What a record holds; one that does not open holds nothing, and is written anew."""
        try:
            return own_token(self._sealer.open(loaded.sealed, ClientRecord, place=self._key))
        except (KeyUnknown, SealBroken):
            return None


def _unavailable(seconds: float) -> Refused:
    return Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=max(1, round(seconds)))
