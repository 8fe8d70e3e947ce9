"""A witness between a process and Redis: what was asked of a session's record, and what was said.

It carries octets both ways and changes none, but for the ports that a sentinel names. Replies
come in the order of the questions, so each script's answer is noted with its question: what Redis
acknowledged is in the ledger, whatever Redis itself has forgotten. Values are never noted,
versions and owners only as they are compared.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

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
    server: int = 0  # the port of the Redis that answered
    acknowledged: bool = False  # by as many replicas as were waited for


@dataclass
class Ledger:
    """Every script over a record, by the record's key, in the order of the answers."""

    seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))

    def note(
        self, process: str, server: int, operation: str, args: list[bytes], reply: list[Any]
    ) -> Callable[[], None]:
        """`args` as the script gets them: channel, tag, and its own. Call what is returned when
        the replicas have it."""
        tag, rest = args[1].decode(), [each.decode("ascii", "replace") for each in args[2:5]]
        said = reply[1].decode() if isinstance(reply[1], bytes) else str(reply[1])
        at_version, at_owner = _PLACES[operation]
        version = "" if at_version is None else rest[at_version]
        owner = rest[at_owner]
        if operation == "release":
            said = f"{rest[1]}" if said == "1" else "not the owner"
        if operation == "end":
            said = rest[1] if said == "1" else "not ended"
        of_it = self.seen[tag]
        place = len(of_it)
        of_it.append(Seen(time.monotonic(), process, operation, said, owner, version, server))

        def acknowledge() -> None:
            of_it[place] = replace(of_it[place], acknowledged=True)

        return acknowledge

    def names(self, key: str) -> set[str]:
        """Every version and owner that was acknowledged at some time, and none."""
        return {"", *(name for each in self.seen[key] for name in (each.version, each.owner))}

    def possible(self, key: str, server: int, at: float) -> set[tuple[str, str]]:
        """How a record may be found, by version and owner of the lease, if nothing was lost.

        As the last answer left it that `server` gave until `at` and replicas acknowledged, or as
        any later one did: whoever was not told that a write counts does not count on it.
        """
        seen = self.seen[key]
        sure = [
            place for place, each in enumerate(seen)
            if each.acknowledged and each.server == server and each.at <= at
        ]  # fmt: skip
        state, found = ("", ""), {("", "")}
        for place, each in enumerate(seen):
            state = _after(state, each)
            if sure and place == sure[-1]:
                found.clear()
            found.add(state)
        return found


def _after(state: tuple[str, str], seen: Seen) -> tuple[str, str]:
    version, owner = state
    match seen.operation, seen.outcome:
        case "create", "1":
            version = seen.version
        case "replace", "1":
            # Answers on two connections may be read in another order than they were given.
            version, owner = seen.version, "" if owner == seen.owner else owner
        case "lease", "granted" | "granted_after_lapse":
            owner = seen.owner
        case "release", how if how != "not the owner" and owner == seen.owner:
            owner = ""
        case "end", how if how != "not ended":
            version = owner = "over"
    return version, owner


def _hashes() -> dict[bytes, str]:
    """By its SHA-1, as EVALSHA names it, each script over a record."""
    return {hashlib.sha1(source(name)).hexdigest().encode(): name for name in _PLACES}


class Connection:
    """One connection of a process to a Redis, read along."""

    def __init__(self, process: str, server: int, ledger: Ledger, hashes: dict[bytes, str]) -> None:
        self._process = process
        self._server = server
        self._ledger = ledger
        self._hashes = hashes
        self._asked: Any = hiredis.Reader()
        self._said: Any = hiredis.Reader()
        self._pending: deque[tuple[str, list[bytes]]] = deque()
        self._acknowledge: Callable[[], None] | None = None
        self._blind = False  # a subscription: what comes are no replies

    def asked(self, octets: bytes) -> bytes:
        if self._blind:
            return octets
        self._asked.feed(octets)
        while (command := self._asked.gets()) is not False:
            name = command[0].upper()
            self._blind = self._blind or name == b"SUBSCRIBE"
            if name == b"WAIT":
                self._pending.append(("WAIT", command[1:2]))
                continue
            operation = self._hashes.get(_digest(name, command), "")
            self._pending.append((operation, command[4:] if operation else []))
        return octets

    def said(self, octets: bytes) -> bytes:
        if self._blind:
            return octets
        self._said.feed(octets)
        while (reply := self._said.gets()) is not False:
            self._take(*self._pending.popleft(), reply)
        return octets

    def _take(self, operation: str, args: list[bytes], reply: Any) -> None:
        if operation == "WAIT":  # it is about the script before it
            if self._acknowledge is not None and isinstance(reply, int) and reply >= int(args[0]):
                self._acknowledge()
            return
        self._acknowledge = None
        if operation and isinstance(reply, list):  # else an error: it was not done
            self._acknowledge = self._ledger.note(
                self._process, self._server, operation, args, reply[1]
            )


class Signpost:
    """One connection to a sentinel: the servers that it names are called by their witnesses."""

    def __init__(self, shown: Mapping[int, int]) -> None:
        self._shown = {_bulk(real): _bulk(witness) for real, witness in shown.items()}

    def asked(self, octets: bytes) -> bytes:
        return octets

    def said(self, octets: bytes) -> bytes:
        for real, witness in self._shown.items():
            octets = octets.replace(real, witness)
        return octets


def _bulk(port: int) -> bytes:
    return b"$%d\r\n%d\r\n" % (len(str(port)), port)


def _digest(name: bytes, command: list[bytes]) -> bytes:
    """How EVALSHA names the script of a command; nothing if it is another command."""
    if name == b"EVAL":
        return hashlib.sha1(command[1]).hexdigest().encode()
    return command[1] if name == b"EVALSHA" else b""


class Along(Protocol):
    """Reads what passes, and says what is to be passed on."""

    def asked(self, octets: bytes) -> bytes: ...
    def said(self, octets: bytes) -> bytes: ...


class Between:
    """Listens for one process in the place of a server; `along`: one for each connection."""

    def __init__(self, port: int, along: Callable[[], Along]) -> None:
        self._there = port
        self._along = along
        self.shut = False  # nobody gets through: what Redis remembers is being looked at
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
            if self.shut:
                return
            there, to_there = await asyncio.open_connection("127.0.0.1", self._there)
            along = self._along()
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


class Witness:
    """Stands for one process in the place of a sentinel and of all its servers."""

    def __init__(self, process: str, sentinel: int, servers: Sequence[int], ledger: Ledger) -> None:
        hashes = _hashes()
        self._servers = {
            port: Between(port, partial(Connection, process, port, ledger, hashes))
            for port in servers
        }
        self._sentinel = Between(sentinel, self._signpost)

    def _signpost(self) -> Signpost:
        return Signpost({real: witness.port for real, witness in self._servers.items()})

    @property
    def port(self) -> int:
        """Where the process finds its sentinel."""
        return self._sentinel.port

    def shut(self, yes: bool) -> None:
        """Let nobody through who comes from now on, or all again."""
        for each in self._servers.values():
            each.shut = yes

    async def start(self) -> None:
        for each in (*self._servers.values(), self._sentinel):
            await each.start()

    async def stop(self) -> None:
        for each in (self._sentinel, *self._servers.values()):
            await each.stop()


@contextlib.contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.close()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], bytes]
) -> None:
    while octets := await reader.read(65536):
        passed = note(octets)
        with contextlib.suppress(OSError):  # the other side died: what is still said is noted
            writer.write(passed)
            await writer.drain()
