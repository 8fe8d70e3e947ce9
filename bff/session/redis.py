"""The Store on Redis: its Lua scripts make each operation atomic, `scripts` calls them.

The hot question does not come this way: see `peek`. Which server is asked: `topology`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from bff.clock import StoreClock
from bff.config.store_url import StoreUrl
from bff.session.batch import GLANCED, Fields, Said, ask_for, asked, heard, read_fields
from bff.session.deadline import ConnectionLost, within
from bff.session.forgetting import Forgetting
from bff.session.lines import SlotLines, reach
from bff.session.nodes import Access, Nodes
from bff.session.proof import Part
from bff.session.record import Deadlines
from bff.session.scan import names
from bff.session.scripts import Answered, Scripts
from bff.session.servers import Servers
from bff.session.store import (
    ENDED_BYTES_SECONDS,
    TOMBSTONE_SECONDS,
    EndAnswer,
    Ended,
    Glimpse,
    Lease,
    LeaseOutcome,
    Live,
    Loaded,
    OutcomeUnknown,
    Question,
    Release,
    StoreUnavailable,
)

Hook = Callable[[str, str], Awaitable[None]]


class Unacknowledged(OutcomeUnknown):
    """Done by the master, but not by as many replicas as a failover needs to keep it."""


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else str(round(seconds * 1000))


def _seconds(ms: bytes) -> float:
    return int(ms) / 1000


class RedisStore:
    """Records in Redis hashes; a key's TTL is the earliest of its deadlines.

    `replicas`: how many must have what may not get lost. `hook` runs around each script in
    tests, which lose answers and delay there.
    """

    def __init__(
        self,
        url: StoreUrl,
        *,
        prefix: str,
        clock: StoreClock,
        deadline: float,
        ca_file: str | None = None,
        replicas: int | None = None,
        sentinel_password: str | None = None,
        hook: Hook | None = None,
    ) -> None:
        access = Access(
            database=url.database,
            username=url.username,
            password=url.password,
            tls=url.tls,
            ca_file=ca_file,
        )
        self._nodes = Nodes(access, deadline)
        self._topology, self._peeker = reach(url, self._nodes, deadline, sentinel_password)
        wanted = url.replicas if replicas is None else replicas
        self._scripts = Scripts(
            nodes=self._nodes,
            topology=self._topology,
            clock=clock,
            replicas=wanted,
            wait=deadline / 4,
        )
        self.servers = Servers(
            nodes=self._nodes,
            topology=self._topology,
            prefix=prefix,
            replicas=wanted,
            deadline=deadline,
        )
        self._prefix = prefix
        self._channel = f"{prefix}:changes"
        self._deadline = deadline
        self._hook = hook
        self._forgetting = Forgetting(self._forget, ENDED_BYTES_SECONDS + 1)

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
        question = asked(key, self._name(key).encode())
        try:
            fields = await self._peeker.ask(question)
        except ConnectionLost:
            fields = await self._again(question)
        return await self._confirm(key) if fields[0] is None else read_fields(fields)

    async def _again(self, question: Question) -> Fields:
        try:
            async with asyncio.timeout(self._deadline / 2):
                await self._topology.find(question.name)  # perhaps it is another server by now
                if isinstance(self._peeker, SlotLines):
                    # Of a slot that is just moving only a script finds the key.
                    fields: Fields = (await self._read("confirm", question.key))[2]
                    return fields
                return await self._peeker.ask(question)
        except (ConnectionLost, TimeoutError) as error:
            self._nodes.tell(type(error).__name__)
            raise StoreUnavailable from None

    def prepare(self, question: Question) -> None:
        """With the octets that ask it."""
        question.name = self._name(question.key).encode()
        ask_for(question, GLANCED)

    def glance(self, question: Question, then: Callable[[Glimpse | None], None]) -> None:
        """The hot question without a task."""

        def answer(said: Said | None) -> None:
            then(None if said is None else heard(question, said))

        self._peeker.glance(question, answer)

    async def _confirm(self, key: str) -> Live | Ended | None:
        _, _, fields = await self._read("confirm", key)
        return None if fields[0] is None else read_fields(fields)

    async def load(self, key: str) -> Loaded | Ended | None:
        """The sealed bytes and their version."""
        _, _, (tag, version, sealed, reason) = await self._read("load", key)
        if reason is not None:
            return Ended(reason=reason.decode())
        return None if tag is None else Loaded(version=version.decode(), sealed=sealed)

    async def touch(self, key: str) -> bool:
        """Slide the idle deadline."""
        return bool((await self._write("touch", key))[1])

    async def lease(self, key: str, version: str, *, owner: str, seconds: float) -> Lease:
        """Ask for the right to refresh."""
        try:
            answer = await self._write("lease", key, version, owner, _ms(seconds))
        except Unacknowledged:
            # After a failover another might be granted the same one: no token is spent for it.
            with contextlib.suppress(StoreUnavailable):
                await self.release(key, owner=owner, how=Release.CLEAN)
            raise StoreUnavailable from None
        _, outcome, until, definite, by, backing_off = answer
        return Lease(
            outcome=LeaseOutcome(outcome.decode()),
            until=_seconds(until) if until else None,
            backing_off=bool(backing_off),
            definite_400_at=_seconds(definite) if definite else None,
            definite_400_by=by.decode(),
        )

    async def release(
        self,
        key: str,
        *,
        owner: str,
        how: Release,
        not_before: float | None = None,
        credentials: str = "",
    ) -> None:
        """Give a lease back."""
        await self._write("release", key, owner, how.value, _ms(not_before or 0.0), credentials)

    async def replace(
        self,
        key: str,
        version: str,
        sealed: bytes,
        *,
        owner: str,
        new_version: str,
        refresh_at: float | None,
        renewed: bool = True,
    ) -> bool:
        """Write over that version under the last lease."""
        args = (version, owner, new_version, sealed, _ms(refresh_at), "1" if renewed else "0")
        try:
            return bool((await self._write("replace", key, *args))[1])
        except StoreUnavailable:
            # Even where it is sure that nothing was done: whoever asks has spent a refresh token,
            # and must ask again.
            raise OutcomeUnknown from None

    async def end(self, key: str, *, owner: str, reason: str) -> EndAnswer:
        """Remove and leave a tombstone."""
        return await self._end(key, owner, reason, version="")

    async def end_if(self, key: str, version: str, *, owner: str, reason: str) -> EndAnswer:
        """Remove that version under the live lease."""
        return await self._end(key, owner, reason, version=version)

    async def _end(self, key: str, owner: str, reason: str, *, version: str) -> EndAnswer:
        lives = (_ms(TOMBSTONE_SECONDS), _ms(ENDED_BYTES_SECONDS))
        try:
            _, ended, said, sealed = await self._write("end", key, owner, reason, *lives, version)
        except Unacknowledged:
            self._forgetting.add(key)
            raise
        if ended:
            self._forgetting.add(key)
        return EndAnswer(
            ended=bool(ended), reason=said.decode() or None, sealed=sealed if sealed else None
        )

    async def _forget(self, key: str) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self._write("forget", key, _ms(ENDED_BYTES_SECONDS))

    async def changes(self) -> AsyncIterator[str | None]:
        """Keys that changed; subscribes anew for ever, with a breath between two attempts."""
        while True:
            with contextlib.suppress(ConnectionLost):
                address = await self._topology.find(b"")
                listens = False
                async with contextlib.aclosing(
                    self._nodes.messages(address, self._channel)
                ) as messages:
                    async for message in messages:
                        if message is not None:
                            yield message.decode("ascii", "replace")
                        elif not listens:
                            listens = True
                            yield None
                        elif self._topology.at(b"") != address:
                            break  # that was the master
            self._topology.doubt()
            await asyncio.sleep(0.5)

    async def note(self, key: str, at: float, *, seconds: float) -> None:
        """Keep the latest time."""
        await self._write("note", key, _ms(at), _ms(seconds))

    async def noted(self, key: str) -> float | None:
        """The latest time that was noted."""
        _, _, at = await self._read("noted", key)
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

    def index_names(self) -> AsyncIterator[str]:
        """The names of all sets."""
        return names(self._nodes, self._topology, self._prefix, seconds=self._deadline)

    async def index_remove(self, name: str, key: str) -> None:
        """Remove from a set."""
        await self._write("index_remove", name, key)

    async def ping(self) -> None:
        """Ask for the time, which also sets the clock."""
        await self._read("load", "ping")

    async def close(self) -> None:
        """Close every connection."""
        await self._forgetting.close()
        await self._topology.close()
        self._peeker.close()
        await self._nodes.close()

    def _name(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    async def _read(self, operation: str, key: str, *args: Part) -> list[Any]:
        return (await self._call(operation, key, args, writes=False)).answer

    async def _write(self, operation: str, key: str, *args: Part) -> list[Any]:
        answered = await self._call(operation, key, args, writes=True)
        if not answered.acknowledged and _did(operation, answered.answer):
            self._nodes.tell("Unacknowledged")
            raise Unacknowledged
        return answered.answer

    async def _call(
        self, operation: str, key: str, args: tuple[Part, ...], *, writes: bool
    ) -> Answered:
        name, sent = self._name(key), (self._channel, key, *args)

        async def ask() -> Answered:
            if self._hook is not None:
                await self._hook(operation, "before")
            answered = await self._scripts.call(operation, name, sent)
            if self._hook is not None:
                await self._hook(operation, "after")
            return answered

        return await within(self._deadline, ask, operation=operation, writes=writes)


def _did(operation: str, answer: list[Any]) -> bool:
    """Whether something holds now that must not get lost."""
    if operation == "end":
        return bool(answer[2])  # there is a tombstone, ours or another's
    return answer[1] in (1, b"granted", b"granted_after_lapse")
