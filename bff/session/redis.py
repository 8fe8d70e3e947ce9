"""The Store on Redis: its Lua scripts make each operation atomic, redis-py carries them.

The one door to the redis library. The hot question does not come this way: see `peek`.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, Final

import redis.asyncio as redis_client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import RedisError

from bff.clock import StoreClock
from bff.journal.log import Event, tell
from bff.session.deadline import ConnectionLost, within
from bff.session.peek import Fields, Node, Peeker, read_fields
from bff.session.record import Deadlines
from bff.session.store import (
    ENDED_BYTES_SECONDS,
    TOMBSTONE_SECONDS,
    EndAnswer,
    Ended,
    Lease,
    LeaseOutcome,
    Live,
    Loaded,
    Release,
    StoreUnavailable,
)

Hook = Callable[[str, str], Awaitable[None]]

_OPERATIONS: Final = (
    "create", "confirm", "load", "touch", "lease", "release", "replace", "end", "forget",
    "index_add", "index_members", "index_remove", "note", "noted",
)  # fmt: skip


def _source(operation: str) -> str:
    folder = resources.files("bff.session")
    return "\n".join((folder / f"{name}.lua").read_text() for name in ("prelude", operation))


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else str(round(seconds * 1000))


def _seconds(ms: bytes) -> float:
    return int(ms) / 1000


class RedisStore:
    """Records in Redis hashes; a key's TTL is the earliest of its deadlines.

    `hook` runs around each script in tests, which lose answers and delay there.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        clock: StoreClock,
        deadline: float,
        ca_file: str | None = None,
        hook: Hook | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": deadline / 2,
        }
        if ca_file is not None:
            options["ssl_ca_certs"] = ca_file
        self._pool = redis_client.BlockingConnectionPool.from_url(
            url, max_connections=32, timeout=deadline, socket_timeout=deadline / 2, **options
        )
        self._client = redis_client.Redis(connection_pool=self._pool)
        self._listener = redis_client.Redis.from_url(
            url, socket_timeout=None, health_check_interval=15, **options
        )
        self._scripts = {name: self._client.register_script(_source(name)) for name in _OPERATIONS}
        self._prefix = prefix
        self._prefix_octets = f"{prefix}:".encode()
        self._channel = f"{prefix}:changes"
        self._clock = clock
        self._deadline = deadline
        self._hook = hook
        self._peeker = Peeker(lambda: _node(url, ca_file), deadline / 2)
        self._told_at = 0.0

    async def create(
        self, key: str, sealed: bytes, deadlines: Deadlines, *, owner: str, kid: str
    ) -> bool:
        """Write a record under a new version, unless something is there."""
        args = (
            owner,
            sealed,
            kid,
            _ms(deadlines.idle),
            _ms(deadlines.absolute),
            _ms(deadlines.refresh),
        )
        return bool((await self._write("create", key, *args))[1])

    async def peek(self, key: str) -> Live | Ended | None:
        """What is there; asked twice at most, and nothing confirmed by a script."""
        tag = key.encode()
        name = self._prefix_octets + tag
        try:
            fields = await self._peeker.ask(name, tag)
        except ConnectionLost:
            try:
                fields = await self._peeker.ask(name, tag)
            except ConnectionLost as error:
                self._tell(error)
                raise StoreUnavailable from None
        return await self._confirm(key) if fields[0] is None else read_fields(fields)

    def glance(self, key: str, then: Callable[[Live | None], None]) -> None:
        """The hot question without a task."""
        tag = key.encode()

        def answer(fields: Fields | None) -> None:
            there: Live | Ended | None = None
            if fields is not None and fields[0] is not None:
                with contextlib.suppress(StoreUnavailable):
                    there = read_fields(fields)
            then(there if isinstance(there, Live) else None)

        self._peeker.glance(self._prefix_octets + tag, tag, answer)

    async def _confirm(self, key: str) -> Live | Ended | None:
        _, name, fields = await self._read("confirm", key)
        if name != self._name(key).encode():
            raise StoreUnavailable
        return None if fields[0] is None else read_fields(fields)

    async def load(self, key: str) -> Loaded | Ended | None:
        """The sealed bytes and their version."""
        _, name, (tag, version, sealed, reason) = await self._read("load", key)
        if name != self._name(key).encode():
            raise StoreUnavailable
        if reason is not None:
            return Ended(reason=reason.decode())
        return None if tag is None else Loaded(version=version.decode(), sealed=sealed)

    async def touch(self, key: str) -> bool:
        """Slide the idle deadline."""
        return bool((await self._write("touch", key))[1])

    async def lease(self, key: str, version: str, *, owner: str, seconds: float) -> Lease:
        """Ask for the right to refresh."""
        answer = await self._write("lease", key, version, owner, _ms(seconds))
        _, outcome, until, definite, backing_off = answer
        return Lease(
            outcome=LeaseOutcome(outcome.decode()),
            until=_seconds(until) if until else None,
            backing_off=bool(backing_off),
            definite_400_at=_seconds(definite) if definite else None,
        )

    async def release(
        self, key: str, *, owner: str, how: Release, not_before: float | None = None
    ) -> None:
        """Give a lease back."""
        await self._write("release", key, owner, how.value, _ms(not_before or 0.0))

    async def replace(
        self,
        key: str,
        version: str,
        sealed: bytes,
        *,
        owner: str,
        new_version: str,
        refresh_at: float | None,
    ) -> bool:
        """Write over that version under the live lease."""
        args = (version, owner, new_version, sealed, _ms(refresh_at))
        return bool((await self._write("replace", key, *args))[1])

    async def end(self, key: str, *, owner: str, reason: str) -> EndAnswer:
        """Remove and leave a tombstone."""
        return await self._end(key, owner, reason, version="")

    async def end_if(self, key: str, version: str, *, owner: str, reason: str) -> EndAnswer:
        """Remove that version under the live lease."""
        return await self._end(key, owner, reason, version=version)

    async def _end(self, key: str, owner: str, reason: str, *, version: str) -> EndAnswer:
        lives = (_ms(TOMBSTONE_SECONDS), _ms(ENDED_BYTES_SECONDS))
        _, ended, said, sealed = await self._write("end", key, owner, reason, *lives, version)
        if ended:
            # Lua cannot remove a field later by itself; a process that dies before leaves bytes
            # that are useless without the cookie, until the tombstone goes.
            loop = asyncio.get_running_loop()
            loop.call_later(ENDED_BYTES_SECONDS + 1, self._forget, key)
        return EndAnswer(
            ended=bool(ended), reason=said.decode() or None, sealed=sealed if sealed else None
        )

    def _forget(self, key: str) -> None:
        task = asyncio.ensure_future(self._write("forget", key, _ms(ENDED_BYTES_SECONDS)))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def changes(self) -> AsyncIterator[str | None]:
        """Keys that changed; subscribes anew for ever, with a breath between two attempts."""
        while True:
            try:
                async with self._listener.pubsub(ignore_subscribe_messages=True) as listener:
                    await listener.subscribe(self._channel)
                    yield None
                    while True:
                        message = await listener.get_message(timeout=15)
                        if message is not None and message["type"] == "message":
                            yield message["data"].decode("ascii", "replace")
            except (RedisError, OSError) as error:
                self._tell(error)
                await asyncio.sleep(0.5)

    async def note(self, key: str, at: float, *, seconds: float) -> None:
        """Keep the latest time."""
        await self._write("note", key, _ms(at), _ms(seconds))

    async def noted(self, key: str) -> float | None:
        """The latest time that was noted."""
        _, name, at = await self._read("noted", key)
        if name != self._name(key).encode():
            raise StoreUnavailable
        return None if at is None else _seconds(at)

    async def index_add(self, name: str, key: str, entry: bytes, until: float) -> None:
        """Add to a sorted set by deadline."""
        await self._write("index_add", name, key, entry, _ms(until))

    async def index_members(self, names: Sequence[str]) -> list[tuple[str, bytes]]:
        """The members of several sets."""
        found: list[tuple[str, bytes]] = []
        for name in names:
            _, members = await self._read("index_members", name)
            for member in members:
                key, _, entry = member.partition(b":")
                found.append((key.decode(), entry))
        return found

    async def index_remove(self, name: str, key: str) -> None:
        """Remove from a set."""
        await self._write("index_remove", name, key)

    async def ping(self) -> None:
        """Ask for the time, which also sets the clock."""
        await self._read("load", "ping")

    async def close(self) -> None:
        """Close every connection."""
        self._peeker.close()
        await self._client.aclose()
        await self._pool.aclose()
        await self._listener.aclose()

    def _name(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    async def _read(self, operation: str, key: str, *args: str | bytes) -> Any:
        return await self._call(operation, key, args, writes=False)

    async def _write(self, operation: str, key: str, *args: str | bytes) -> Any:
        return await self._call(operation, key, args, writes=True)

    async def _call(
        self, operation: str, key: str, args: tuple[str | bytes, ...], *, writes: bool
    ) -> Any:
        async def ask() -> Any:
            if self._hook is not None:
                await self._hook(operation, "before")
            asked_at = time.monotonic()
            try:
                answer = await self._scripts[operation](
                    keys=[self._name(key)], args=[self._channel, key, *args]
                )
            except (RedisError, OSError) as error:
                self._tell(error)
                raise ConnectionLost from None
            self._clock.observe(answer[0] / 1000, asked_at)
            if self._hook is not None:
                await self._hook(operation, "after")
            return answer

        return await within(self._deadline, ask, writes=writes)

    def _tell(self, error: BaseException) -> None:
        """Log at most once a second: an outage would fill the disk with one sentence."""
        if time.monotonic() - self._told_at > 1:
            self._told_at = time.monotonic()
            tell(Event.STORE_FAILED, error=type(error).__name__)


def _node(url: str, ca_file: str | None) -> Node:
    parts = parse_url(url)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    tls = ssl.create_default_context(cafile=ca_file) if url.startswith("rediss:") else None
    return Node(
        host=parts.get("host", "localhost"),
        port=parts.get("port", 6379),
        database=parts.get("db", 0),
        username=parts.get("username"),
        password=parts.get("password"),
        tls=tls,
    )
