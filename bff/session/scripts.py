"""The store's Lua scripts: which there are, and one call of one of them.

A call is one exchange on one connection to the node that holds the key: the script, then `WAIT`
where replicas must have it, then `ROLE`, for a server that is no master any more may be stale.
"""

import hashlib
import time
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, Final

from bff.clock import StoreClock
from bff.config.store_url import Address
from bff.session.batch import is_master
from bff.session.deadline import ConnectionLost, NotDone
from bff.session.nodes import Command, Nodes, Refusal
from bff.session.proof import Doubt, Part, asked, proven
from bff.session.topology import Topology

OPERATIONS: Final = (
    "create", "confirm", "load", "touch", "lease", "release", "replace", "end", "forget",
    "index_add", "index_members", "index_remove", "note", "noted",
)  # fmt: skip

# What must not be lost by a failover that comes right after it. The index too: a session that no
# logout can find must not exist. And that a provider has signed a session out.
ACKNOWLEDGED: Final = frozenset({"create", "lease", "replace", "end", "index_add", "note"})


@dataclass(frozen=True, slots=True)
class Answered:
    """A script's answer, and whether enough replicas have what it wrote."""

    answer: list[Any]
    acknowledged: bool = True


@dataclass(frozen=True, slots=True)
class _Way:
    whole: bool = False  # with its source: the server does not know the digest
    asking: bool = False  # of a node that a slot is moving to


def source(operation: str) -> bytes:
    """The whole of a script, as it is sent."""
    folder = resources.files("bff.session")
    names = ("prelude", operation, "proof")
    prelude, body, proof = ((folder / f"{name}.lua").read_text() for name in names)
    return f"{prelude}\nlocal function operation()\n{body}\nend\n{proof}".encode()


class Scripts:
    """Calls scripts. `replicas`: how many must have a write, `wait`: seconds given to them."""

    def __init__(
        self,
        *,
        nodes: Nodes,
        topology: Topology,
        clock: StoreClock,
        replicas: int,
        wait: float,
    ) -> None:
        self._nodes = nodes
        self._topology = topology
        self._clock = clock
        self._replicas = replicas
        self._wait_ms = max(1, round(wait * 1000))
        self._sources = {name: source(name) for name in OPERATIONS}
        self._sha = {
            name: hashlib.sha1(text, usedforsecurity=False).hexdigest()
            for name, text in self._sources.items()
        }

    async def call(self, operation: str, name: str, args: tuple[Part, ...]) -> Answered:
        """The proven answer. Raises NotDone, ConnectionLost."""
        try:
            return await self._called(operation, name, args)
        except ConnectionLost:
            self._topology.doubt()
            raise

    async def _called(self, operation: str, name: str, args: tuple[Part, ...]) -> Answered:
        address, way = await self._topology.find(name.encode()), _Way()
        for _ in range(3):  # a server that lacks the script, then a slot that is moving
            found = await self._once(address, operation, name, args, way)
            if isinstance(found, Answered):
                return found
            if found.kind == "NOSCRIPT":
                way = replace(way, whole=True)
            elif found.kind == "ASK" and found.address is not None:
                address, way = found.address, replace(way, asking=True)
            else:
                self._nodes.tell(found.kind)
                break
        raise NotDone

    async def _once(
        self, address: Address, operation: str, name: str, args: tuple[Part, ...], way: _Way
    ) -> Answered | Refusal:
        sent = asked(name, args)
        waits = self._replicas > 0 and operation in ACKNOWLEDGED
        script = self._sources[operation] if way.whole else self._sha[operation]
        commands: list[Command] = [["ASKING"]] if way.asking else []
        commands.append(["EVAL" if way.whole else "EVALSHA", script, 1, name, *sent])
        if waits:
            commands.append(["WAIT", self._replicas, self._wait_ms])
        commands.append(["ROLE"])
        asked_at = time.monotonic()

        def judge(replies: list[Any]) -> Answered | Refusal:
            script, *wait = replies[1 if way.asking else 0 : -1]
            if isinstance(script, Refusal):
                return script
            answer = proven(script, sent)
            if not is_master(replies[-1]):
                raise Doubt  # what was read may be stale, what was written may be lost
            self._clock.observe(answer[0] / 1000, asked_at)
            enough = not waits or (isinstance(wait[0], int) and wait[0] >= self._replicas)
            return Answered(answer, acknowledged=enough)

        return await self._nodes.ask(address, commands, judge)
