"""Which peek lines a question takes: those to the one master, or to a cluster's node by its slot.

Here a store's URL becomes a topology and its lines.
"""

import asyncio
import ssl
from functools import cached_property

from bff.config.store_url import Address, StoreKind, StoreUrl
from bff.session.batch import Answer, Fields
from bff.session.deadline import ConnectionLost
from bff.session.nodes import Access, Nodes
from bff.session.peek import Node, Peeker
from bff.session.store import Question
from bff.session.topology import Cluster, Sentinels, Single, Topology


class _Servers:
    """What lines need to know of the servers, and how they say that one failed."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        return self._nodes.access.context()

    def node(self, address: Address) -> Node:
        """Where to connect, and as whom."""
        access = self._nodes.access
        return Node(
            host=address[0],
            port=address[1],
            database=access.database,
            username=access.username,
            password=access.password,
            tls=self._tls,
        )

    def failed(self, topology: Topology, error: BaseException | None) -> None:
        """Tell it, and have it looked at who is master now."""
        if error is not None:
            self._nodes.tell(type(error).__name__)
        topology.doubt()


class MasterLines(Peeker):
    """The lines to the one master; they find it again each time they connect."""

    def __init__(self, topology: Topology, servers: _Servers, patience: float) -> None:
        async def find() -> Node:
            return servers.node(await topology.find(b""))

        super().__init__(find, patience, lambda error: servers.failed(topology, error))


class SlotLines:
    """The lines to each master of a cluster."""

    def __init__(self, cluster: Cluster, servers: _Servers, patience: float) -> None:
        self._cluster = cluster
        self._servers = servers
        self._patience = patience
        self._peekers: dict[Address, Peeker] = {}

    def ask(self, question: Question) -> asyncio.Future[Fields]:
        """The fields that it asks for. ConnectionLost at once if nobody is known to have its
        record, else from the future."""
        peeker = self._to(question.name)
        if peeker is None:
            raise ConnectionLost
        return peeker.ask(question)

    def glance(self, question: Question, answer: Answer) -> None:
        """Ask it; `answer` is called once, without a task."""
        peeker = self._to(question.name)
        if peeker is None:
            answer(None)
        else:
            peeker.glance(question, answer)

    def _to(self, key: bytes) -> Peeker | None:
        address = self._cluster.at(key)
        if address is None:
            return None
        peeker = self._peekers.get(address)
        if peeker is None:
            peeker = self._peekers[address] = self._lines(address)
        return peeker

    def _lines(self, address: Address) -> Peeker:
        async def find() -> Node:
            return self._servers.node(address)

        return Peeker(
            find, self._patience, lambda error: self._servers.failed(self._cluster, error)
        )

    def keep(self, addresses: set[Address]) -> None:
        """Close the lines to all others: they are no masters any more."""
        for address in self._peekers.keys() - addresses:
            self._peekers.pop(address).close()

    def close(self) -> None:
        """Close every line."""
        self.keep(set())


def reach(
    url: StoreUrl, nodes: Nodes, deadline: float, sentinel_password: str | None
) -> tuple[Topology, MasterLines | SlotLines]:
    """The way to a store: who has which key, and the lines to ask for it."""
    servers, patience = _Servers(nodes), deadline / 2
    if url.kind is StoreKind.CLUSTER:
        cluster = Cluster(url.addresses, nodes=nodes, patience=deadline / 4)
        slot_lines = SlotLines(cluster, servers, patience)

        def of(masters: set[Address]) -> None:
            slot_lines.keep(masters)
            nodes.only(masters)

        cluster.changed = of
        return cluster, slot_lines
    topology: Topology
    if url.kind is StoreKind.SENTINEL:
        access = Access(password=sentinel_password, tls=url.tls, ca_file=nodes.access.ca_file)
        sentinels = Nodes(access, deadline)
        topology = Sentinels(url.addresses, url.master, sentinels=sentinels, patience=deadline / 4)
        lines = MasterLines(topology, servers, patience)

        def another(master: Address) -> None:
            lines.close()
            nodes.only((master,))

        topology.changed = another
        return topology, lines
    topology = Single(url.addresses[0])
    return topology, MasterLines(topology, servers, patience)
