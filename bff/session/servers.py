"""The servers of a store as an operator asks them: each master, by its address.

For `bff check` alone: what is asked here is about the server, and no session's record is read or
written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bff.config.store_url import Address
from bff.session.deadline import within
from bff.session.nodes import Command, Nodes
from bff.session.topology import Cluster, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """How to reach them, and what the store wants of them; `deadline`: seconds for a question."""

    nodes: Nodes = field(repr=False)
    topology: Topology = field(repr=False)
    prefix: str
    replicas: int
    deadline: float

    @property
    def is_cluster(self) -> bool:
        """Whether they share the keys."""
        return isinstance(self.topology, Cluster)

    async def masters(self) -> list[Address]:
        """Every server that has keys. Raises StoreUnavailable."""
        return await within(self.deadline, self.topology.masters, operation="survey", writes=False)

    async def ask(
        self, address: Address, commands: Sequence[Command], nodes: Nodes | None = None
    ) -> list[Any]:
        """The replies, a server's own errors among them. Raises StoreUnavailable."""
        ways = self.nodes if nodes is None else nodes

        async def ask() -> list[Any]:
            return await ways.ask(address, commands, list)

        return await within(self.deadline, ask, operation="survey", writes=False)
