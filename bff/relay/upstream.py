"""The connections to one origin: a pool with a bound, the last used first."""

import asyncio
import contextlib
import ssl
import time
from collections import deque
from typing import Final
from urllib.parse import urlsplit

from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.relay.connection import UpstreamConnection

IDLE_SECONDS: Final = 60.0
FRESH_SECONDS: Final = 2.0  # an idle connection younger than this is safe enough for any method


class Upstream:
    """The connections to one origin: as many as configured, the last used first."""

    def __init__(
        self,
        origin: str,
        *,
        connections: int,
        connect_timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls
        self._most = connections
        self._connect_timeout = connect_timeout
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()  # the idle ones, and those at work
        self._streams: set[UpstreamConnection] = set()  # those that hold no place here
        self._connecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._told_at = 0.0

    @property
    def held(self) -> tuple[int, int]:
        """How many connections are idle, and how many at work or carrying a stream."""
        busy = len(self._open) - len(self._idle) + len(self._streams)
        return len(self._idle), busy

    def take(self, *, careful: bool) -> UpstreamConnection | None:
        """A connection that is kept alive, if there is one.

        `careful`: the request may not be repeated, so a connection that has been idle for long,
        and that the upstream may be closing right now, will not do.
        """
        while self._idle:
            connection = self._idle.pop()
            age = connection.idle_for
            if connection.open and age < (FRESH_SECONDS if careful else IDLE_SECONDS):
                return connection
            connection.abort()
            self._open.discard(connection)
        return None

    async def acquire(self, *, careful: bool) -> UpstreamConnection:
        """A connection, kept alive or new. Raises Refused: UPSTREAM_UNREACHABLE, OVERLOADED."""
        while True:
            if (kept := self.take(careful=careful)) is not None:
                return kept
            if len(self._open) + self._connecting < self._most:
                return await self._connect()
            await self._turn()  # another may be quicker than whoever was woken: look again

    async def _turn(self) -> None:
        """Wait until a connection is given back."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= self._most:
            raise Refused(Reason.OVERLOADED)
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._connect_timeout):
                await turn
        except TimeoutError:
            self._leave(turn)
            if turn.cancelled():
                raise Refused(Reason.OVERLOADED) from None
            # Woken in the very moment of giving up: the turn is as good as any other.
        except asyncio.CancelledError:
            self._leave(turn)
            if not turn.cancelled():
                self._wake_one()  # whoever was woken has gone: the turn is the next one's
            raise

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Whoever waits no more takes no place in the queue."""
        with contextlib.suppress(ValueError):  # it was woken, or passed over, and is not there
            self._waiting.remove(turn)

    async def _connect(self) -> UpstreamConnection:
        connection = UpstreamConnection()
        self._connecting += 1
        try:
            async with asyncio.timeout(self._connect_timeout):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except (OSError, TimeoutError) as error:
            connection.abort()
            self._tell(error)
            self._wake_one()
            raise Refused(Reason.UPSTREAM_UNREACHABLE, phase="connect") from None
        except BaseException:
            connection.abort()
            self._wake_one()
            raise
        finally:
            self._connecting -= 1
        self._open.add(connection)
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """End the exchange on a connection and keep it, if it is good for another."""
        if connection.finish() and connection in self._open:
            self._idle.append(connection)
            # The last used is the first taken: those at the bottom would stay for ever, and with
            # them an address that the upstream's name may long have left.
            while self._idle[0].idle_for >= IDLE_SECONDS:
                old = self._idle.pop(0)
                old.abort()
                self._open.discard(old)
        else:
            connection.abort()
            self._open.discard(connection)
            self._streams.discard(connection)
        self._wake_one()

    def detach(self, connection: UpstreamConnection) -> None:
        """Give its place to another: what it carries now may go on for hours."""
        self._open.discard(connection)
        self._streams.add(connection)
        self._wake_one()

    def release(self, connection: UpstreamConnection) -> None:
        """A detached connection is over, or is another's now."""
        self._streams.discard(connection)

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _tell(self, error: BaseException) -> None:
        if time.monotonic() - self._told_at > 1:
            self._told_at = time.monotonic()
            tell(Event.UPSTREAM_FAILED, error=type(error).__name__)

    def close(self) -> None:
        """Close every connection, those at work as well."""
        for connection in (*self._open, *self._streams):
            connection.give_up()
        self._idle.clear()
        self._open.clear()
        self._streams.clear()
