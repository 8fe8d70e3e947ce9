"""The servers that a store is made of: where they are, as whom we come, connections to each.

redis-py carries what is rare: one exchange is a few commands on one connection, and their
replies. Nothing is repeated here.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import redis.asyncio as redis_client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from bff.config.store_url import Address
from bff.journal.log import Event, tell
from bff.session.deadline import ConnectionLost, NotDone
from bff.session.proof import Doubt, Part

T = TypeVar("T")
Command = Sequence[Part | int]

_FAILURES: Final = (RedisError, OSError)
CONNECTIONS: Final = 32  # per node, beside those of the hot question
# A connection that a network has lost without a word must not look silent for a quarter of an hour.
_NOTICED: Final = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 25_000),  # ms, for what was sent and is not acknowledged
    )
    if hasattr(socket, name)
}
LISTEN: Final = 2.0  # seconds without a message, after which the listener may look around


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that a server replied. `address`: where to ask instead, if it says so."""

    kind: str
    address: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to come to any of the servers."""

    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None

    def context(self) -> ssl.SSLContext | None:
        """What a connection of our own trusts: the system's roots, and the file's."""
        if not self.tls:
            return None
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        return context

    def options(self, address: Address, patience: float) -> dict[str, Any]:
        """The same for a connection of redis-py; `patience`: seconds for connecting."""
        options: dict[str, Any] = {
            "host": address[0],
            "port": address[1],
            "db": self.database,
            "username": self.username,
            "password": self.password,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": patience,
        }
        if self.tls:
            options |= {
                "connection_class": redis_client.SSLConnection,
                "ssl_ca_certs": self.ca_file,
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
            }
        return options


class Nodes:
    """A pool of connections to each server that was ever asked."""

    def __init__(self, access: Access, deadline: float) -> None:
        self.access = access
        self._deadline = deadline
        self._told_at: dict[str, float] = {}  # by what was told
        self._pools: dict[Address, redis_client.BlockingConnectionPool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def _pool(self, address: Address) -> redis_client.BlockingConnectionPool:
        pool = self._pools.get(address)
        if pool is None:
            pool = self._pools[address] = redis_client.BlockingConnectionPool(
                max_connections=CONNECTIONS,
                timeout=self._deadline,
                socket_timeout=self._deadline / 2,
                **self.access.options(address, self._deadline / 2),
            )
        return pool

    def only(self, addresses: Collection[Address]) -> None:
        """Close what leads to other servers: they may never come back under that address."""
        for address in self._pools.keys() - set(addresses):
            closing = asyncio.get_running_loop().create_task(self._pools.pop(address).aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def ask(
        self, address: Address, commands: Sequence[Command], judge: Callable[[list[Any]], T]
    ) -> T:
        """What `judge` makes of the replies to commands that travel together on one connection.

        Raises NotDone if they never left, ConnectionLost if a reply did not come or was in doubt.
        """
        pool = self._pool(address)
        try:
            connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        except _FAILURES as error:
            self.tell(_name(error))
            raise NotDone from None
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            return judge([await _reply(connection) for _ in commands])
        except Doubt as error:
            self.tell(_name(error))
            await connection.disconnect()  # who knows whose replies are still to come
            raise ConnectionLost from None
        except _FAILURES as error:
            self.tell(_name(error))
            raise (NotDone if isinstance(error, BusyLoadingError) else ConnectionLost) from None
        finally:
            # Shielded: cancelled while it waits for the pool's lock it would leave the pool
            # with one connection less, for ever.
            await asyncio.shield(pool.release(connection))

    async def messages(self, address: Address, channel: str) -> AsyncGenerator[bytes | None, None]:
        """What is published; None once nothing more is missed, and when nothing came for a while.

        Ends when the connection does.
        """
        # Without a time-out: what is waited for may never come. A PING tells that it lives.
        client = redis_client.Redis(
            connection_pool=redis_client.ConnectionPool(
                socket_timeout=None,
                health_check_interval=15,
                socket_keepalive=True,
                socket_keepalive_options=_NOTICED,
                **self.access.options(address, self._deadline / 2),
            )
        )
        try:
            async with client.pubsub() as listener:
                await listener.subscribe(channel)  # the first message says that it is so
                while True:
                    message = await listener.get_message(timeout=LISTEN)
                    is_one = message is not None and message["type"] == "message"
                    yield message["data"] if is_one else None
        except _FAILURES as error:
            self.tell(_name(error))
        finally:
            await client.aclose()
            await client.connection_pool.aclose()

    def tell(self, what: str) -> None:
        """Log each thing at most once a second: an outage would fill the disk with one sentence.

        Each by itself, for a sentinel that is down must not hide that another refuses us."""
        now = time.monotonic()
        if now - self._told_at.get(what, -1.0) > 1:
            self._told_at[what] = now
            tell(Event.STORE_FAILED, error=what)

    async def close(self) -> None:
        """Close every connection."""
        self.only(())
        if self._closing:
            await asyncio.wait(self._closing)


async def _reply(connection: Any) -> Any:
    """The next reply; the server's own errors are replies too."""
    try:
        return await connection.read_response()
    except AskError as error:  # MovedError is one of them
        kind = "MOVED" if isinstance(error, MovedError) else "ASK"
        return Refusal(kind, (error.host, error.port))
    except NoScriptError:
        return Refusal("NOSCRIPT")
    except ResponseError as error:
        return Refusal(type(error).__name__)


def _name(error: BaseException) -> str:
    """What the log says of an error: redis-py wraps the socket's, which says more (E-09)."""
    inner = error.__cause__ or error.__context__
    return type(inner if isinstance(inner, OSError) else error).__name__
