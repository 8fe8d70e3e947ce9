"""Which server to ask for a key: one, the master that sentinels name, or one of a cluster's.

What is known may be old. So every server is asked for its role, and whoever fails to get an
answer says so here (`doubt`); then the next call finds out anew.
"""

import asyncio
import contextlib
import time
from binascii import crc_hqx
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from bff.config.store_url import Address
from bff.session.deadline import ConnectionLost, NotDone
from bff.session.nodes import Nodes
from bff.session.proof import Doubt

LOOK_EVERY: Final = 1.0  # seconds between two questions to the sentinels
DOUBT_EVERY: Final = 0.1  # seconds between two looks that doubts ask for
SLOTS: Final = 16384

Slots = tuple[Address | None, ...]  # who has each of them


class Single:
    """One server, whatever its name leads to."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def at(self, _name: bytes) -> Address | None:
        """Who has the key, as far as is known."""
        return self._address

    async def find(self, _name: bytes) -> Address:
        """Who has it; found out if that is not known or in doubt. Raises NotDone."""
        return self._address

    async def masters(self) -> list[Address]:
        """All who have keys. Raises NotDone."""
        return [self._address]

    def doubt(self) -> None:
        """There is nothing else to know."""

    async def close(self) -> None:
        """There is nothing to close."""


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


class _Lookout:
    """Looks when somebody doubts, one look at a time, and `every` so many seconds."""

    def __init__(self, look: Callable[[], Awaitable[None]], every: float | None) -> None:
        self._look = look
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self._doubted = True
        self._closed = False

    def doubt(self) -> None:
        """Look now, or as soon as it may be."""
        self._doubted = True
        self._begin()

    def _begin(self) -> None:
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def sure(self) -> None:
        """Return when no doubt is left, or nothing could be learned."""
        if self._doubted:
            self.doubt()
            task = self._task
            if task is not None:
                await asyncio.wait([task])

    async def _run(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.sleep(self._looked_at + DOUBT_EVERY - time.monotonic())
        self._looked_at = time.monotonic()
        self._doubted = False
        try:
            await self._look()
        except ConnectionLost:
            self._doubted = True
        finally:
            self._task = None
        if self._every is not None:
            self._timer = asyncio.get_running_loop().call_later(self._every, self._begin)

    async def close(self) -> None:
        """Look no more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


class Sentinels:
    """The master of that name, as the sentinel says that knows most of it."""

    def __init__(
        self,
        addresses: Sequence[Address],
        master: str,
        *,
        sentinels: Nodes,
        patience: float,
    ) -> None:
        self.changed: Callable[[Address], None] = _nothing
        self._addresses = tuple(addresses)
        self._name = master
        self._sentinels = sentinels
        self._patience = patience
        self._master: Address | None = None
        self._lookout = _Lookout(self._look, LOOK_EVERY)

    def at(self, _name: bytes) -> Address | None:
        """The master, as far as is known."""
        return self._master

    async def find(self, _name: bytes) -> Address:
        """The master. Raises NotDone while no sentinel has ever named one."""
        await self._lookout.sure()
        if self._master is None:
            raise NotDone
        return self._master  # if no sentinel answers now, the last one; it proves its role itself

    async def masters(self) -> list[Address]:
        """The master. Raises NotDone."""
        return [await self.find(b"")]

    def doubt(self) -> None:
        """Ask the sentinels now."""
        self._lookout.doubt()

    async def _look(self) -> None:
        asked = [asyncio.ensure_future(self._ask(each)) for each in self._addresses]
        await asyncio.wait(asked, timeout=self._patience)
        for each in asked:
            each.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        # A sentinel that a partition has left behind still names the old one, of an older epoch.
        known = [answer for answer in answers if isinstance(answer, tuple)]
        if not known:
            raise ConnectionLost
        _, master = max(known, key=lambda answer: answer[0])
        if master != self._master:
            self._master = master
            self.changed(master)

    async def _ask(self, sentinel: Address) -> tuple[int, Address]:
        # Of the two only the first names a new master as soon as it is one.
        commands = [
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name],
            ["SENTINEL", "MASTER", self._name],
        ]
        return await self._sentinels.ask(sentinel, commands, lambda replies: read_master(*replies))

    async def close(self) -> None:
        """Ask no more."""
        await self._lookout.close()
        await self._sentinels.close()


def read_master(address: Any, facts: Any) -> tuple[int, Address]:
    """The epoch and the address that a sentinel replied. Raises Doubt."""
    try:
        host, port = address
        known = dict(zip(facts[::2], facts[1::2], strict=True))
        return int(known[b"config-epoch"]), (host.decode(), int(port))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Doubt from None


class Cluster:
    """The masters of a cluster, by slot."""

    def __init__(self, addresses: Sequence[Address], *, nodes: Nodes, patience: float) -> None:
        self.changed: Callable[[set[Address]], None] = _nothing
        self._addresses = tuple(addresses)
        self._nodes = nodes
        self._patience = patience
        self._slots: Slots = (None,) * SLOTS
        self._lookout = _Lookout(self._look, None)

    def at(self, name: bytes) -> Address | None:
        """Who has the key at that name, as far as is known."""
        # The whole name: neither a prefix nor a key holds the braces of a hash tag.
        return self._slots[crc_hqx(name, 0) % SLOTS]

    async def find(self, name: bytes) -> Address:
        """Who has it. Raises NotDone if nobody is known to."""
        await self._lookout.sure()
        address = self.at(name)
        if address is None:
            self.doubt()
            raise NotDone
        return address

    async def masters(self) -> list[Address]:
        """The master of every slot. Raises NotDone where one has none."""
        await self._lookout.sure()
        known = [each for each in dict.fromkeys(self._slots) if each is not None]
        if None in self._slots:
            self.doubt()
            raise NotDone
        return known

    def doubt(self) -> None:
        """Ask for the map now."""
        self._lookout.doubt()

    async def _look(self) -> None:
        """Ask whom we know and whom the configuration names, until most of them agree."""
        known = dict.fromkeys([*(each for each in self._slots if each), *self._addresses])
        asked = [asyncio.ensure_future(self._ask(each)) for each in known]
        maps: Counter[Slots] = Counter()
        try:
            for answer in asyncio.as_completed(asked, timeout=self._patience):
                with contextlib.suppress(ConnectionLost):
                    maps[await answer] += 1
                if maps and 2 * max(maps.values()) > len(asked):
                    break
        except TimeoutError:
            pass  # the others have had their time
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not maps:
            raise ConnectionLost
        slots = agreed(maps)
        if slots != self._slots:
            self._slots = slots
            self.changed({each for each in slots if each})

    async def _ask(self, address: Address) -> Slots:
        return await self._nodes.ask(address, _SLOTS, lambda said: read_slots(said[0], address))

    async def close(self) -> None:
        """Ask no more."""
        await self._lookout.close()


_SLOTS: Final = [["CLUSTER", "SLOTS"]]


def agreed(maps: Mapping[Slots, int]) -> Slots:
    """The map that most servers have; of several the fullest.

    One that has lost its memory knows of no slot, and one that others no longer hear says what was.
    """
    return max(maps, key=lambda slots: (maps[slots], -slots.count(None)))


def read_slots(reply: object, asked: Address) -> Slots:
    """The master of each slot in a reply to CLUSTER SLOTS of the server `asked`. Raises Doubt."""
    slots: list[Address | None] = [None] * SLOTS
    if not isinstance(reply, list):
        raise Doubt
    try:
        for first, last, (host, port, *_), *_ in reply:
            if not 0 <= first <= last < SLOTS:
                raise Doubt
            master = (host.decode() if host else asked[0], port)  # no host: the one you asked
            slots[first : last + 1] = [master] * (last + 1 - first)
    except (TypeError, ValueError, AttributeError):
        raise Doubt from None
    return tuple(slots)


Topology = Single | Sentinels | Cluster
