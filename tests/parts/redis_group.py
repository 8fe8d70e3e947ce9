"""Several real Redis processes that belong together: a master with its replica and a sentinel."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.parts.redis_process import RedisProcess, free_port, redis_process

PATIENCE = 30.0  # seconds
QUICK = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


def until(wanted: Callable[[], bool]) -> None:
    """Ask again until it is so."""
    end = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < end, "it did not come to that"


def in_sync(master: RedisProcess) -> None:
    """Return when a replica has all that the master has."""
    with contextlib.closing(master.client()) as client:

        def has_it() -> bool:
            client.set("in-sync", 1, px=1)  # WAIT is about what this connection wrote
            return int(client.wait(1, 100)) == 1

        until(has_it)


@contextlib.contextmanager
def replicated() -> Iterator[tuple[RedisProcess, RedisProcess]]:
    """A master and its replica."""
    with redis_process(*QUICK) as master:
        following = ("--replicaof", "127.0.0.1", str(master.port))
        with redis_process(*QUICK, *following) as replica:
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
        hosts = ",".join(f"127.0.0.1:{port}" for port in (self.nobody, self.sentinel.port))
        return f"redis+sentinel://{hosts}/main/0"

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


@contextlib.contextmanager
def watched() -> Iterator[Watched]:
    with replicated() as servers, redis_process() as gone:
        nobody = gone.port
        gone.stop()
        with redis_process("--sentinel") as sentinel:
            monitor = ("MONITOR", "main", "127.0.0.1", servers[0].port, 1)
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
    """Three masters that share the slots."""

    nodes: tuple[RedisProcess, ...]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in self.nodes)

    def flush(self) -> None:
        for node in self.nodes:
            node.flush()

    def owner(self, name: str) -> RedisProcess:
        """Who has the key of that name."""
        slot = self.nodes[0].do("CLUSTER", "KEYSLOT", name)
        port = next(
            master[1]
            for first, last, master, *_ in self.nodes[0].do("CLUSTER", "SLOTS")
            if first <= slot <= last
        )
        return next(each for each in self.nodes if each.port == port)

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
def cluster_of_three() -> Iterator[ClusterOfThree]:
    quick = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    with contextlib.ExitStack() as stack:
        options = (*quick, "--cluster-require-full-coverage", "no", "--cluster-port")
        nodes = tuple(
            # Else it is 10,000 above the other, where there may be no port.
            stack.enter_context(redis_process(*options, str(free_port())))
            for _ in range(3)
        )
        for place, node in enumerate(nodes):
            bounds = (SLOTS * place // 3, SLOTS * (place + 1) // 3 - 1)
            node.do("CLUSTER", "ADDSLOTSRANGE", *bounds)
            node.do("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for node in nodes[1:]:
            nodes[0].do("CLUSTER", "MEET", "127.0.0.1", node.port, node.options[-1])
        until(lambda: all(_knows_all(node) for node in nodes))
        yield ClusterOfThree(nodes)


def _knows_all(node: RedisProcess) -> bool:
    info = node.do("CLUSTER", "INFO")
    text = info if isinstance(info, bytes) else str(info).encode()
    return b"cluster_state:ok" in text and b"cluster_slots_ok:16384" in text
