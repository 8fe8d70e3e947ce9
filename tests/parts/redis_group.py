"""Several real Redis processes that belong together: a master with its replica and a sentinel."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.parts.redis_process import RedisProcess, redis_process

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
