"""Several real Redis processes that belong together: a master with its replica and a sentinel."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.parts.certificates import Authority
from tests.parts.redis_process import RedisProcess, free_port, redis_process
from tests.parts.waiting import until

PATIENCE = 30.0  # seconds
QUICK = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


def in_sync(master: RedisProcess) -> None:
    """Return when a replica has all that the master has."""
    with contextlib.closing(master.client()) as client:

        def has_it() -> bool:
            client.set("in-sync", 1, px=1)  # WAIT is about what this connection wrote
            return int(client.wait(1, 100)) == 1

        until(has_it)


def host(tls: Authority | None) -> str:
    """Under which name servers know each other; certificates hold a name and no address."""
    return "127.0.0.1" if tls is None else "localhost"


@contextlib.contextmanager
def replicated(tls: Authority | None = None) -> Iterator[tuple[RedisProcess, RedisProcess]]:
    """A master and its replica."""
    named = (*QUICK, "--replica-announce-ip", host(tls))
    with redis_process(*named, tls=tls) as master:
        following = ("--replicaof", host(tls), str(master.port))
        with redis_process(*named, *following, tls=tls) as replica:
            in_sync(master)
            yield master, replica


@dataclass
class Watched:
    """Two servers, one of them the master, and the sentinel that watches them."""

    servers: tuple[RedisProcess, RedisProcess]
    sentinel: RedisProcess
    nobody: int  # a port where a sentinel was once

    @property
    def url(self) -> str:
        tls = self.sentinel.tls
        hosts = ",".join(f"{host(tls)}:{port}" for port in (self.nobody, self.sentinel.port))
        return f"{'redis' if tls is None else 'rediss'}+sentinel://{hosts}/main/0"

    @property
    def master(self) -> RedisProcess:
        """Whom the sentinel names."""
        _, port = self.sentinel.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return next(each for each in self.servers if each.port == int(port))

    @property
    def other(self) -> RedisProcess:
        master = self.master
        return next(each for each in self.servers if each is not master)

    def can_fail_over(self) -> None:
        """Return when the sentinel knows a replica that could take over."""
        until(lambda: self.other.do("ROLE")[0] == b"slave")
        in_sync(self.master)

        def known() -> bool:
            replicas = self.sentinel.do("SENTINEL", "REPLICAS", "main")
            facts = [dict(zip(each[::2], each[1::2], strict=True)) for each in replicas]
            return any(
                (each[b"flags"], each[b"master-link-status"]) == (b"slave", b"ok") for each in facts
            )

        until(known)

    def planned(self) -> None:
        """A failover that somebody asks for."""
        master = self.master
        self.sentinel.do("SENTINEL", "FAILOVER", "main")
        until(lambda: self.master is not master)
        # The sentinel would tell it as well, ten seconds later; so long it believes to be a master.
        master.do("REPLICAOF", host(master.tls), self.master.port)


@contextlib.contextmanager
def watched(
    tls: Authority | None = None, *, password: str | None = None, announced: str | None = None
) -> Iterator[Watched]:
    """`password`: what the sentinel demands; `announced`: how it calls the master."""
    with replicated(tls) as servers, redis_process() as gone:
        nobody = gone.port
        gone.stop()
        with redis_process("--sentinel", tls=tls, password=password) as sentinel:
            monitor = ("MONITOR", "main", announced or host(tls), servers[0].port, 1)
            sentinel.do("SENTINEL", *monitor)
            for name, value in (
                ("down-after-milliseconds", 500),
                ("failover-timeout", 2000),
            ):
                sentinel.do("SENTINEL", "SET", "main", name, value)
            yield Watched(servers, sentinel, nobody)


SLOTS = 16384


@dataclass
class ClusterOfThree:
    """Three masters that share the slots, and a replica of each if it is asked for."""

    nodes: tuple[RedisProcess, ...]
    replicas: tuple[RedisProcess, ...] = ()

    @property
    def url(self) -> str:
        tls = self.nodes[0].tls
        hosts = ",".join(f"{host(tls)}:{each.port}" for each in self.nodes)
        return f"{'redis' if tls is None else 'rediss'}+cluster://{hosts}"

    def flush(self) -> None:
        for node in self.nodes:
            node.flush()

    def owner(self, name: str) -> RedisProcess:
        """Who has the key of that name."""
        return self.having(name)[0]

    def having(self, name: str) -> list[RedisProcess]:
        """The same and its replicas, as somebody who lives sees it."""
        everybody = (*self.nodes, *self.replicas)
        asked = next(each for each in everybody if each.process is not None)
        slot = asked.do("CLUSTER", "KEYSLOT", name)
        servers = next(
            servers
            for first, last, *servers in asked.do("CLUSTER", "SLOTS")
            if first <= slot <= last
        )
        ports = [port for _, port, *_ in servers]
        return [next(each for each in everybody if each.port == port) for port in ports]

    def move(self, name: str, *, half: bool = False) -> Callable[[], None]:
        """Move the slot of that key to another node; `half`: not to the end, which comes later."""
        source = self.owner(name)
        target = next(each for each in self.nodes if each is not source)
        slot = source.do("CLUSTER", "KEYSLOT", name)
        ids = {each.port: each.do("CLUSTER", "MYID").decode() for each in (source, target)}
        target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        keys = source.do("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        if keys:
            source.do("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

        def finish() -> None:
            for node in (target, source, *self.nodes):
                node.do("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])

        if not half:
            finish()
        return finish


@contextlib.contextmanager
def cluster_of_three(
    tls: Authority | None = None, *, replicas: bool = False
) -> Iterator[ClusterOfThree]:
    quick = (*QUICK, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    options: tuple[str, ...] = (*quick, "--cluster-require-full-coverage", "no")
    if tls is not None:
        options += ("--tls-cluster", "yes", "--cluster-announce-hostname", host(tls))
        options += ("--cluster-preferred-endpoint-type", "hostname")
    with contextlib.ExitStack() as stack:
        servers = tuple(
            # Else it is 10,000 above the other, where there may be no port.
            stack.enter_context(
                redis_process(*options, "--cluster-port", str(free_port()), tls=tls)
            )
            for _ in range(6 if replicas else 3)
        )
        nodes = servers[:3]
        for place, node in enumerate(nodes):
            bounds = (SLOTS * place // 3, SLOTS * (place + 1) // 3 - 1)
            node.do("CLUSTER", "ADDSLOTSRANGE", *bounds)
            node.do("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for server in servers[1:]:
            nodes[0].do("CLUSTER", "MEET", "127.0.0.1", server.port, server.options[-1])
        until(lambda: all(_knows_all(server, len(servers)) for server in servers))
        for node, replica in zip(nodes, servers[3:], strict=False):
            replica.do("CLUSTER", "REPLICATE", node.do("CLUSTER", "MYID").decode())
        for replica in servers[3:]:
            until(lambda replica=replica: follows(replica))  # type: ignore[misc]
        until(lambda: all(_sees(server, len(servers) // 3) for server in servers))
        if replicas:
            until(lambda: all(_is_followed(node) for node in nodes))
        yield ClusterOfThree(nodes, servers[3:])


def follows(replica: RedisProcess) -> bool:
    """Whether it is a replica that gets what its master gets."""
    kind, *facts = replica.do("ROLE")
    return bool(kind == b"slave" and facts[2] == b"connected")


def _is_followed(master: RedisProcess) -> bool:
    """Whether it counts its replica: only then `WAIT` does, a second after that has connected."""
    with contextlib.closing(master.client()) as client:
        facts = client.info("replication")
    return bool(facts.get("slave0", {}).get("state") == "online")


def _knows_all(server: RedisProcess, count: int) -> bool:
    info = server.do("CLUSTER", "INFO")
    text = info if isinstance(info, bytes) else str(info).encode()
    wanted = (b"cluster_state:ok", b"cluster_slots_ok:16384", b"cluster_known_nodes:%d" % count)
    return all(each in text for each in wanted)


def _sees(server: RedisProcess, count: int) -> bool:
    """Whether it knows of each slot so many servers that have it."""
    return all(len(servers) == count for _, _, *servers in server.do("CLUSTER", "SLOTS"))
