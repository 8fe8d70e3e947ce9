"""The hot question on connections of its own: does this record live, and in which version?

Questions of one turn of the event loop travel gathered in one write. Replies are positional, so
nothing is taken on trust: each batch ends with `ECHO <nonce>`, each answer carries the tag of
its key, and if anything is in doubt the connection closes and the whole batch fails.
"""

import asyncio
import itertools
import secrets
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import hiredis
from typing_extensions import override

from bff.session.deadline import ConnectionLost
from bff.session.store import Ended, Live, StoreUnavailable

FIELDS: Final = (b"t", b"v", b"ia", b"ab", b"rf", b"se", b"r")
LINES: Final = 2  # connections per node: one that hangs does not stop the other

Fields = list[bytes | None]
Answer = Callable[[Fields | None], None]  # None: the connection is lost, or in doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where to connect, and as whom."""

    host: str
    port: int
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None


@dataclass(slots=True)
class _Batch:
    tags: list[bytes]
    answers: list[Answer]
    nonce: bytes
    timer: asyncio.TimerHandle | None = None
    replies: list[Fields] = field(default_factory=list)

    def settle(self) -> None:
        """Hand out the answers, now that the nonce has proved them."""
        if self.timer is not None:
            self.timer.cancel()
        for answer, fields in zip(self.answers, self.replies, strict=True):
            answer(fields)


def _take_fields(batch: _Batch, reply: object) -> bool:
    if not isinstance(reply, list) or len(reply) != len(FIELDS):
        return False
    if reply[0] is not None and reply[0] != batch.tags[len(batch.replies)]:
        return False
    batch.replies.append(reply)
    return True


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


_HMGET: Final = b"*%d\r\n$5\r\nHMGET\r\n" % (2 + len(FIELDS))
_ASKED: Final = b"".join(b"$%d\r\n%s\r\n" % (len(name), name) for name in FIELDS)


class PeekLine(asyncio.Protocol):
    """One connection. `ask` returns a future that fails with ConnectionLost on any doubt."""

    def __init__(self, node: Node, patience: float) -> None:
        self._node = node
        self._patience = patience  # seconds for one batch, connecting included
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._reader = hiredis.Reader()
        self._greeting = 0  # replies to AUTH and SELECT still to come
        self._nonce = secrets.token_hex(8).encode()  # with a count: no batch has another's
        self._count = itertools.count()
        self._waiting: _Batch | None = None
        self._sent: deque[_Batch] = deque()

    @property
    def load(self) -> int:
        """How many batches are under way."""
        return len(self._sent)

    def ask(self, key: bytes, tag: bytes, answer: Answer) -> None:
        """Ask for the fields of the record at `key`, with the others of this turn of the loop.

        `answer` is called once, without a turn of the loop in between; it raises nothing.
        """
        if self._waiting is None:
            self._waiting = _Batch([], [], b"%s%d" % (self._nonce, next(self._count)))
            self._keys: list[bytes] = []
            if self._sent:
                self._loop.call_soon(self._flush)  # others of this turn may come along
        self._keys.append(key)
        self._waiting.tags.append(tag)
        self._waiting.answers.append(answer)
        if not self._sent:
            self._flush()  # nobody is being waited for: no turn is lost

    def close(self) -> None:
        """Close the connection; what is under way fails."""
        self._fail()

    def _flush(self) -> None:
        batch = self._waiting
        if batch is None:
            return
        if batch.timer is None:
            batch.timer = self._loop.call_later(self._patience, self._fail)
        if self._transport is None:
            if self._connecting is None:
                self._connecting = self._loop.create_task(self._connect())
            return
        if self._greeting:
            return  # the batch leaves when the server has let us in
        self._waiting = None
        self._sent.append(batch)
        lines = [b"%s$%d\r\n%s\r\n%s" % (_HMGET, len(key), key, _ASKED) for key in self._keys]
        lines.append(_command(b"ECHO", batch.nonce))
        self._transport.write(b"".join(lines))

    async def _connect(self) -> None:
        node = self._node
        try:
            await self._loop.create_connection(lambda: self, node.host, node.port, ssl=node.tls)
        except (OSError, asyncio.CancelledError):
            self._connecting = None
            self._fail()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server: who we are, which database."""
        self._connecting = None
        self._transport = transport  # type: ignore[assignment]  # TCP gives a Transport
        self._reader = hiredis.Reader()
        greeting = []
        if self._node.password is not None:
            user = [self._node.username.encode()] if self._node.username else []
            greeting.append(_command(b"AUTH", *user, self._node.password.encode()))
        greeting.append(_command(b"SELECT", str(self._node.database).encode()))
        self._greeting = len(greeting)
        self._write(b"".join(greeting))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    @override
    def data_received(self, data: bytes) -> None:
        """Take replies in order; one that does not fit closes the connection."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if not self._take(reply):
                    self._fail()
                    return
        except hiredis.ProtocolError:
            self._fail()

    def _take(self, reply: object) -> bool:
        """Take one reply; whether it is what must come now."""
        if self._greeting:
            return self._take_greeting(reply)
        if not self._sent:
            return False
        batch = self._sent[0]
        if len(batch.replies) < len(batch.tags):
            return _take_fields(batch, reply)
        if reply != batch.nonce:
            return False
        self._sent.popleft()
        batch.settle()
        return True

    def _take_greeting(self, reply: object) -> bool:
        self._greeting -= 1
        if reply != b"OK":
            return False
        if not self._greeting:
            self._flush()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """What is under way fails; the next question connects anew."""
        self._fail()

    @override
    def eof_received(self) -> bool:
        """Close."""
        return False

    def _fail(self) -> None:
        transport, self._transport = self._transport, None
        connecting, self._connecting = self._connecting, None
        self._greeting = 0
        batches = [*self._sent, *([self._waiting] if self._waiting else [])]
        self._sent.clear()
        self._waiting = None
        if transport is not None:
            transport.abort()
        if connecting is not None:
            connecting.cancel()
        for batch in batches:
            if batch.timer is not None:
                batch.timer.cancel()
            for answer in batch.answers:
                answer(None)


class Peeker:
    """The lines to one node; each question goes to the one with less under way."""

    def __init__(self, node: Callable[[], Node], patience: float) -> None:
        self._node = node
        self._patience = patience
        self._lines: list[PeekLine] = []

    def glance(self, key: bytes, tag: bytes, answer: Answer) -> None:
        """Ask for the fields of the record at `key`; `answer` is called once, without a task."""
        if not self._lines:
            self._lines = [PeekLine(self._node(), self._patience) for _ in range(LINES)]
        first, second = self._lines
        (second if second.load < first.load else first).ask(key, tag, answer)

    def ask(self, key: bytes, tag: bytes) -> asyncio.Future[Fields]:
        """The fields of the record at `key`. The future fails with ConnectionLost."""
        future: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()

        def settle(fields: Fields | None) -> None:
            if future.done():
                return
            if fields is None:
                future.set_exception(ConnectionLost())
            else:
                future.set_result(fields)

        self.glance(key, tag, settle)
        return future

    def close(self) -> None:
        """Close every line."""
        for line in self._lines:
            line.close()
        self._lines = []


def read_fields(fields: Fields) -> Live | Ended:
    """What the fields of a record or tombstone say. Raises StoreUnavailable."""
    return _read(*fields)


@lru_cache(maxsize=8192)
def _read(*fields: bytes | None) -> Live | Ended:
    """Pure, and a record that nobody writes answers the same again and again."""
    _, version, idle_at, absolute_at, refresh_at, seen_at, reason = fields
    if reason is not None:
        return Ended(reason=reason.decode())
    if version is None or idle_at is None or absolute_at is None or seen_at is None:
        raise StoreUnavailable  # a hash of ours without these was never written by us
    return Live(
        version=version.decode(),
        idle_at=_seconds(idle_at),
        absolute_at=_seconds(absolute_at),
        refresh_at=_seconds(refresh_at) if refresh_at else None,
        seen_at=_seconds(seen_at),
    )


def _seconds(ms: bytes) -> float:
    return int(ms) / 1000
