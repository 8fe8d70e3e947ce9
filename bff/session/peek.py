"""The hot question on connections of its own: does this record live, and in which version?

Questions of one turn of the event loop travel gathered in one write. Replies are positional, so
nothing is taken on trust: each batch ends with `ECHO <nonce>`, each answer carries the tag of
its key, and if anything is in doubt the connection closes and the whole batch fails. A reply that
is what it was the last time, octet for octet, is known without the parser: see `batch`. That the
server is a master is asked when a line connects and every second after that: a replica, or a
master that has become one, may not know yet that a session is over.
"""

import asyncio
import itertools
import secrets
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import hiredis
from typing_extensions import override

from bff.journal.metrics import STORE_ERRORS, count
from bff.session.batch import ROLE, Answer, Batch, Check, Fields, Said, bulk, command, is_master
from bff.session.deadline import ConnectionLost
from bff.session.store import Question

LINES: Final = 2  # connections per node: one that hangs does not stop the other
CHECK_EVERY: Final = 1.0  # seconds between two questions to a server whether it is a master


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where to connect, and as whom."""

    host: str
    port: int
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None


Find = Callable[[], Awaitable[Node]]
Failed = Callable[[BaseException | None], None]


class PeekLine(asyncio.Protocol):
    """One connection. On any doubt it closes, and every answer under way is None."""

    def __init__(self, find: Find, patience: float, failed: Failed) -> None:
        self._find = find
        self._patience = patience  # seconds for one batch, connecting included
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._reader = hiredis.Reader()
        self._at_rest = False  # the parser stands before a batch, of which nothing has come
        self._greeting = 0  # replies to AUTH, SELECT and ROLE still to come
        self._checking: asyncio.TimerHandle | None = None
        self._nonce = secrets.token_hex(8).encode()  # with a count: no batch has another's
        self._count = itertools.count()
        self._waiting: Batch | None = None
        self._crowded = False  # whether the last batch had more than one question
        self._sent: deque[Batch] = deque()

    @property
    def load(self) -> int:
        """How many batches are under way."""
        return len(self._sent)

    def ask(self, question: Question, answer: Answer) -> None:
        """Ask it, with the others of this turn of the loop.

        `answer` is called once, without a turn of the loop in between; it raises nothing.
        """
        if self._waiting is None:
            self._waiting = Batch(self._next_nonce())
            if self._sent or self._crowded:
                self._loop.call_soon(self._flush)  # others of this turn may come along
        self._waiting.questions.append(question)
        self._waiting.answers.append(answer)
        if not (self._sent or self._crowded):
            self._flush()  # nobody is being waited for: no turn is lost

    def _next_nonce(self) -> bytes:
        return b"%s%d" % (self._nonce, next(self._count))

    def close(self) -> None:
        """Close the connection; what is under way fails."""
        self._drop()

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
        batch.asked_at = perf_counter()
        self._crowded = len(batch.questions) > 1
        self._sent.append(batch)
        self._transport.write(batch.octets())

    async def _connect(self) -> None:
        try:
            self._node = node = await self._find()
            await self._loop.create_connection(lambda: self, node.host, node.port, ssl=node.tls)
        except asyncio.CancelledError:
            self._connecting = None
            self._drop()
        except (OSError, ConnectionLost) as error:
            self._connecting = None
            self._fail(error)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server: who we are, which database, and is it a master."""
        self._connecting = None
        self._transport = transport  # type: ignore[assignment]  # TCP gives a Transport
        self._reader = hiredis.Reader()
        self._at_rest = False
        greeting = []
        if self._node.password is not None:
            user = [self._node.username.encode()] if self._node.username else []
            greeting.append(command(b"AUTH", *user, self._node.password.encode()))
        if self._node.database:
            greeting.append(command(b"SELECT", str(self._node.database).encode()))
        greeting.append(ROLE)
        self._greeting = len(greeting)
        self._write(b"".join(greeting))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    @override
    def data_received(self, data: bytes) -> None:
        """Take replies in order; one that does not fit closes the connection."""
        known = self._recognise(data) if self._at_rest else 0
        if known == len(data):
            return
        last: object = None
        try:
            self._reader.feed(data[known:])
            while (reply := self._reader.gets()) is not False:
                if not self._take(reply):
                    self._fail()
                    return
                last = reply
        except hiredis.ProtocolError:
            self._fail()
        # Where the read ends with a nonce, nothing is left in the parser of what comes next.
        self._at_rest = isinstance(last, bytes) and data.endswith(bulk(last))

    def _recognise(self, data: bytes) -> int:
        """Settle the batches whose replies are what they were; where the others begin."""
        place = 0
        while self._sent and (end := self._sent[0].recognise(data, place)):
            place = end
            self._sent.popleft().settle()
        return place

    def _take(self, reply: object) -> bool:
        """Take one reply; whether it is what must come now."""
        if self._greeting:
            return self._take_greeting(reply)
        if not self._sent:
            return False
        batch = self._sent[0]
        if not batch.answered:
            return batch.take(reply)
        if reply != batch.nonce:
            return False
        self._sent.popleft()
        batch.settle()
        return True

    def _take_greeting(self, reply: object) -> bool:
        self._greeting -= 1
        if self._greeting:
            return reply == b"OK"
        if not is_master(reply):
            return False
        self._checking = self._loop.call_later(CHECK_EVERY, self._check)
        self._flush()
        return True

    def _check(self) -> None:
        """Ask whether the server is a master still, in a batch between the others."""
        check = Check(self._next_nonce())
        check.timer = self._loop.call_later(self._patience, self._fail)
        self._checking = self._loop.call_later(CHECK_EVERY, self._check)
        self._sent.append(check)
        self._write(check.octets())

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """What is under way fails; the next question connects anew."""
        if self._transport is not None:  # else it was we who closed it
            self._fail(exc)

    @override
    def eof_received(self) -> bool:
        """Close."""
        return False

    def _fail(self, error: BaseException | None = None) -> None:
        self._drop()
        self._failed(error)

    def _drop(self) -> None:
        transport, self._transport = self._transport, None
        connecting, self._connecting = self._connecting, None
        self._greeting = 0
        if self._checking is not None:
            self._checking.cancel()
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
            if batch.answers:
                count(STORE_ERRORS, "peek")
            for answer in batch.answers:
                answer(None)


class Peeker:
    """The lines to one node; each question goes to the one with less under way.

    `find` says where to connect, each time; `failed` hears of every line that is given up.
    """

    def __init__(self, find: Find, patience: float, failed: Failed) -> None:
        self._find = find
        self._patience = patience
        self._failed = failed
        self._lines: list[PeekLine] = []

    def glance(self, question: Question, answer: Answer) -> None:
        """Ask it; `answer` is called once, without a task."""
        if not self._lines:
            self._lines = [PeekLine(self._find, self._patience, self._failed) for _ in range(LINES)]
        first, second = self._lines
        (second if second.load < first.load else first).ask(question, answer)

    def ask(self, question: Question) -> asyncio.Future[Fields]:
        """The fields that it asks for, once. The future fails with ConnectionLost."""
        future: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()

        def settle(said: Said | None) -> None:
            if future.done():
                return
            if isinstance(said, list):
                future.set_result(said)
            else:
                future.set_exception(ConnectionLost())

        self.glance(question, settle)
        return future

    def close(self) -> None:
        """Close every line."""
        for line in self._lines:
            line.close()
        self._lines = []
