"""A witness between a process and Redis: what was asked of a session's record, and what was said.

It carries octets both ways and changes none. Replies come in the order of the questions, so each
script's answer is noted with its question: what Redis acknowledged is in the ledger, whatever
Redis itself has forgotten. Values are never noted, versions and owners only as they are compared.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import hiredis

from bff.session.scripts import source

# Of each script over a record, where among its own arguments version and owner stand.
_PLACES: dict[str, tuple[int | None, int]] = {
    "create": (0, 0),
    "lease": (0, 1),
    "replace": (2, 1),
    "release": (None, 0),
    "end": (None, 0),
}


@dataclass(frozen=True)
class Seen:
    """One script that Redis answered."""

    at: float  # monotonic seconds
    process: str
    operation: str
    outcome: str
    owner: str = ""
    version: str = ""  # over which it was asked, or which it wrote


@dataclass
class Ledger:
    """Every script over a record, by the record's key, in the order of the answers."""

    seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))

    def note(self, process: str, operation: str, args: list[bytes], reply: list[Any]) -> None:
        """`args` as the script gets them: channel, tag, and its own."""
        tag, rest = args[1].decode(), [each.decode("ascii", "replace") for each in args[2:5]]
        said = reply[1].decode() if isinstance(reply[1], bytes) else str(reply[1])
        at_version, at_owner = _PLACES[operation]
        version = "" if at_version is None else rest[at_version]
        owner = rest[at_owner]
        if operation == "release":
            said = f"{rest[1]}" if said == "1" else "not the owner"
        if operation == "end":
            said = rest[1] if said == "1" else "not ended"
        self.seen[tag].append(Seen(time.monotonic(), process, operation, said, owner, version))

    def names(self, key: str) -> set[str]:
        """Every version and owner that was acknowledged at some time, and none."""
        return {"", *(name for each in self.seen[key] for name in (each.version, each.owner))}

    def expected(self, key: str) -> tuple[str, str]:
        """The version and the lease's owner that the acknowledged answers left in a record."""
        version = owner = ""
        for each in self.seen[key]:
            match each.operation, each.outcome:
                case "create", "1":
                    version = each.version
                case "replace", "1":
                    version, owner = each.version, ""
                case "lease", "granted" | "granted_after_lapse":
                    owner = each.owner
                case "release", how if how != "not the owner":
                    owner = ""
                case "end", how if how != "not ended":
                    version = owner = "over"
        return version, owner


def _hashes() -> dict[bytes, str]:
    """By its SHA-1, as EVALSHA names it, each script over a record."""
    return {hashlib.sha1(source(name)).hexdigest().encode(): name for name in _PLACES}


class Connection:
    """One connection of a process, read along."""

    def __init__(self, process: str, ledger: Ledger, hashes: dict[bytes, str]) -> None:
        self._process = process
        self._ledger = ledger
        self._hashes = hashes
        self._asked: Any = hiredis.Reader()
        self._said: Any = hiredis.Reader()
        self._pending: deque[tuple[str, list[bytes]]] = deque()
        self._blind = False  # a subscription: what comes are no replies

    def asked(self, octets: bytes) -> None:
        if self._blind:
            return
        self._asked.feed(octets)
        while (command := self._asked.gets()) is not False:
            name = command[0].upper()
            self._blind = self._blind or name == b"SUBSCRIBE"
            operation = self._hashes.get(_digest(name, command), "")
            self._pending.append((operation, command[4:] if operation else []))

    def said(self, octets: bytes) -> None:
        if self._blind:
            return
        self._said.feed(octets)
        while (reply := self._said.gets()) is not False:
            operation, args = self._pending.popleft()
            if operation and isinstance(reply, list):  # else an error: it was not done
                _digest_of_it, answer = reply
                self._ledger.note(self._process, operation, args, answer)


def _digest(name: bytes, command: list[bytes]) -> bytes:
    """How EVALSHA names the script of a command; nothing if it is another command."""
    if name == b"EVAL":
        return hashlib.sha1(command[1]).hexdigest().encode()
    return command[1] if name == b"EVALSHA" else b""


class Witness:
    """Listens for one process in Redis' place."""

    def __init__(self, process: str, redis_port: int, ledger: Ledger) -> None:
        self._process = process
        self._redis_port = redis_port
        self._ledger = ledger
        self._hashes = _hashes()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with _closing(writer), contextlib.suppress(OSError, asyncio.CancelledError):
            there, to_there = await asyncio.open_connection("127.0.0.1", self._redis_port)
            along = Connection(self._process, self._ledger, self._hashes)
            with _closing(to_there):
                up = asyncio.ensure_future(_carry(reader, to_there, along.asked))
                down = asyncio.ensure_future(_carry(there, writer, along.said))
                try:
                    await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
                    if up.done():  # a process that was killed: what Redis says still counts
                        await asyncio.wait([down], timeout=0.2)
                finally:
                    up.cancel()
                    down.cancel()
                    await asyncio.gather(up, down, return_exceptions=True)


@contextlib.contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Any) -> None:
    while octets := await reader.read(65536):
        note(octets)
        with contextlib.suppress(OSError):  # the other side died: what is still said is noted
            writer.write(octets)
            await writer.drain()
