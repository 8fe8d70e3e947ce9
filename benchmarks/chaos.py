"""Three `bff serve` processes, killed and restarted at random, on one Redis: who is signed out?

    python benchmarks/chaos.py MINUTES [--run A|B] [--sessions 500] [--token-seconds 10]

Redis is a master with a replica and a sentinel.
Run A: it syncs each write and fails over as planned. A session may end only as
`refresh_interrupted`, and only where a process was killed during its refresh.
Run B: it syncs once a second. The master is killed and its replica takes over; or all lose power,
and what they had not synced is gone. Each further end is matched to a write that Redis had
acknowledged and lost.

Nothing is asserted: two tables say what happened, and each end that nothing explains is told with
the order of events. `--pause` is how many seconds a person waits between two
visits, `--lose` how many seconds of its log Redis loses with its power.
"""

import argparse
import asyncio
import contextlib
import logging
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import redis as redis_client
import uvloop

from benchmarks.field import ORIGIN, Bff, Simulator
from benchmarks.group import Group, Keeper
from benchmarks.people import PATIENCE, End, People
from benchmarks.witness import Ledger, Seen, Witness

REFRESH = "token:refresh_token"
# None of them processes a request whose answer is then lost: that would end sessions by itself.
FAULTS: dict[str, dict[str, Any]] = {
    "provider answers 503": {"status": 503},
    "provider answers 429": {"status": 429, "retry_after": 1},
    "provider drops requests unread": {"drop": True},
    "provider takes half a second": {"delay": 0.5},
}
KILLED = "kill -9 of a bff process"
PLANNED, MASTER_KILLED = "planned failover of Redis", "kill -9 of Redis' master, failover"
POWER = "all of Redis loses power"
LEASE = 9.0  # seconds, of the configuration in `field`: a kill after them cut nothing off
ENDINGS = ("replace", "end")
LOST_ANSWER = "provider's answer in doubt"


@dataclass
class Happened:
    """What was done to the field, and when (monotonic seconds)."""

    count: Counter[str] = field(default_factory=Counter)
    kills: list[tuple[float, str]] = field(default_factory=list)
    # key → when Redis lost a write of it, and how
    lost: dict[str, tuple[float, str]] = field(default_factory=dict)


class Chaos:
    """The field, and a hand that disturbs it."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.given = given
        self.folder = folder
        self.hard = given.run == "B"
        self.chance = secrets.SystemRandom()
        self.redis = Group(folder, "everysec" if self.hard else "always")
        self.ledger = Ledger()
        self.happened = Happened()
        self.bffs: list[Bff] = []
        self.witnesses: list[Witness] = []

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[Simulator]:
        await asyncio.to_thread(self.redis.start)
        simulator = await Simulator.start(self.given.token_seconds)
        ports = [each.port for each in self.redis.servers]
        sentinel = self.redis.sentinel.port
        witnesses = [Witness(name, sentinel, ports, self.ledger) for name in "abc"]
        self.witnesses = witnesses
        for witness, name in zip(witnesses, "abc", strict=True):
            await witness.start()
            store = f"redis+sentinel://127.0.0.1:{witness.port}/main/0"
            self.bffs.append(Bff(name, self.folder, store, simulator))
        for bff in self.bffs:
            await bff.start()
        watching = asyncio.create_task(self._measure())
        try:
            yield simulator
        finally:
            watching.cancel()
            for bff in self.bffs:
                await bff.kill()
            for witness in witnesses:
                await witness.stop()
            await simulator.stop()
            self.redis.stop()

    async def _measure(self) -> None:
        """For ever: how long the logs were, and when."""
        while True:
            for each in self.redis.servers:
                each.measure()
            await asyncio.sleep(0.05)

    async def disturb(self, simulator: Simulator, until: float) -> None:
        """One trouble after another, until it is time; then everything is well again."""
        loop = asyncio.get_running_loop()
        next_redis = loop.time() + 15
        async with httpx.AsyncClient(trust_env=False) as http:
            while loop.time() < until:
                await asyncio.sleep(self.chance.uniform(0.5, 2.5))
                if loop.time() > next_redis and await asyncio.to_thread(self.redis.ready):
                    next_redis = loop.time() + self.chance.uniform(15, 25)
                    await self.trouble_redis()
                elif self.chance.random() < 0.6:
                    await self.kill(self.chance.choice(self.bffs))
                else:
                    await self.fault(http, simulator)

    async def kill(self, bff: Bff) -> None:
        self.happened.count[KILLED] += 1
        self.happened.kills.append((asyncio.get_running_loop().time(), bff.name))
        await bff.kill()
        await asyncio.sleep(self.chance.uniform(0, 1))
        await bff.start()

    async def fault(self, http: httpx.AsyncClient, simulator: Simulator) -> None:
        name = self.chance.choice(list(FAULTS))
        self.happened.count[name] += 1
        await http.post(f"{simulator.control}/faults", json={"endpoint": REFRESH, **FAULTS[name]})
        await asyncio.sleep(self.chance.uniform(1, 3))
        await http.post(f"{simulator.control}/clear", json={"endpoint": REFRESH})

    async def trouble_redis(self) -> None:
        name = self.chance.choice((MASTER_KILLED, POWER)) if self.hard else PLANNED
        self.happened.count[name] += 1
        if name == POWER:
            before = await asyncio.to_thread(self.redis.lose_power, self.given.lose)
            await asyncio.sleep(0.2)  # what Redis said last is noted
            at = asyncio.get_running_loop().time()
            self._shut(True)  # else what is gone could be written anew before it is missed
            await asyncio.to_thread(self.redis.regain_power, before)
        else:
            change = self.redis.fail_over if name == PLANNED else self.redis.kill_master
            before = await asyncio.to_thread(change)
            at = asyncio.get_running_loop().time()
        self._compare(before, at, name)
        self._shut(False)

    def _shut(self, yes: bool) -> None:
        for witness in self.witnesses:
            witness.shut(yes)

    def _compare(self, before: Keeper, at: float, how: str) -> None:
        """Which records are not as the master of before had said they were."""
        keys = list(self.ledger.seen)
        port = self.redis.master.port
        with contextlib.closing(redis_client.Redis(port=port, protocol=2)) as client:
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.hmget(f"bff:{key}", "v", "lo")
            found: list[list[bytes | None]] = pipeline.execute()
        for key, fields in zip(keys, found, strict=True):
            version, owner = ((each or b"").decode() for each in fields)
            possible = self.ledger.possible(key, before.port, at)
            if (version, owner) in possible or ("over", "over") in possible:
                continue
            # What nobody was told of is newer: done in the last moment, and not lost.
            if {version, owner} <= self.ledger.names(key):
                self.happened.lost.setdefault(key, (at, how))

    def why(self, end: End) -> str | None:
        """What explains the end, or None."""
        seen = [each for each in self.ledger.seen[end.key] if each.at <= end.at]
        lost_at, how = self.happened.lost.get(end.key, (end.at, ""))
        if lost_at < end.at:
            return how
        if end.reason != "refresh_interrupted":
            return None
        if any(self._cut_off(each, seen) for each in seen):
            return KILLED
        return LOST_ANSWER if any(each.outcome == "unsure" for each in seen) else None

    def _cut_off(self, lease: Seen, seen: list[Seen]) -> bool:
        """Whether the lease's owner was killed before it had made an end of it."""
        if lease.operation != "lease" or not lease.outcome.startswith("granted"):
            return False
        ended = [
            each.at for each in seen
            if each.owner == lease.owner
            and (each.operation == "release" or (each.operation in ENDINGS and each.acknowledged))
        ]  # fmt: skip
        last = min(ended, default=float("inf"))
        return any(
            name == lease.process and lease.at <= at <= min(last, lease.at + LEASE)
            for at, name in self.happened.kills
        )


def story(chaos: Chaos, end: End) -> list[str]:
    """The order of events around an end; owners and versions by number, never as they are."""
    names: dict[str, str] = {}

    def name(kind: str, value: str) -> str:
        return names.setdefault(value, f"{kind}{len(names) + 1}") if value else "-"

    lines = [
        (
            each.at,
            f"{each.process}: {each.operation} owner {name('o', each.owner)}"
            f" version {name('v', each.version)} → {each.outcome}"
            f"{' by replicas' if each.acknowledged else ''} ({each.server})",
        )
        for each in chaos.ledger.seen[end.key]
    ]
    begin = lines[-8][0] if len(lines) > 8 else lines[0][0] if lines else end.at
    lines += [(at, f"{who} is killed") for at, who in chaos.happened.kills if begin <= at <= end.at]
    lines.append((end.at, f"the person is told {end.reason}"))
    return [f"  {at - begin:8.3f} s  {what}" for at, what in sorted(lines) if at >= begin]


def report(chaos: Chaos, people: People) -> None:
    why = [(end, chaos.why(end)) for end in people.ends]
    reasons = sorted({end.reason for end in people.ends})
    print("\n| what happened | how often | " + "".join(f"ended {each} | " for each in reasons))
    print("| --- | --- | " + "--- | " * len(reasons))
    for cause in dict.fromkeys([*chaos.happened.count, *(because for _, because in why), None]):
        ended = Counter(end.reason for end, because in why if because == cause)
        cells = "".join(f"{ended[each]} | " for each in reasons)
        often = chaos.happened.count.get(cause or "", "")
        print(f"| {cause or 'nothing explains it'} | {often} | {cells}")
    matched = sum(because is not None for _, because in why)
    print(f"\nSessions ended: {len(why)}, matched {matched}, unmatched {len(why) - matched}.")
    print(f"Still without an answer {PATIENCE:.0f} s after everything was well: {people.stuck}.")
    print(f"Records of which Redis lost an acknowledged write: {len(chaos.happened.lost)}.")
    print("Answers: " + ", ".join(f"{k}: {v:,}" for k, v in people.answers.most_common()))
    told = sum((bff.told for bff in chaos.bffs), Counter())
    print("Told by the processes: " + ", ".join(f"{k}: {v:,}" for k, v in told.most_common()))
    for end, because in why:
        if because is None:
            print(f"\nUnmatched: {end.reason}")
            print("\n".join(story(chaos, end)))


async def run(given: argparse.Namespace, folder: Path) -> None:
    chaos = Chaos(given, folder)
    loop = asyncio.get_running_loop()
    async with chaos.standing() as simulator:
        people = People(chaos.bffs, ORIGIN, chaos.chance, given.pause)
        numbers = range(given.sessions)
        await asyncio.gather(*(people.sign_in(number) for number in numbers))
        print(f"Run {given.run}: {given.sessions} sessions, "
              f"{given.minutes:g} minutes", flush=True)  # fmt: skip
        living = [asyncio.create_task(people.live(number)) for number in numbers]
        await chaos.disturb(simulator, loop.time() + given.minutes * 60)
        people.finish()
        await asyncio.gather(*living)
        if not any(
            each.operation == "lease" for seen in chaos.ledger.seen.values() for each in seen
        ):
            raise RuntimeError("the witness knew no script: its list is not the product's")
        report(chaos, people)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--run", choices=("A", "B"), default="A")
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--pause", type=float, default=5.0)
    parser.add_argument("--token-seconds", type=int, default=10)
    parser.add_argument("--lose", type=float, default=1.0)
    given = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of every dead connection
    with tempfile.TemporaryDirectory(prefix="bff-chaos-") as folder:
        uvloop.run(run(given, Path(folder)))


if __name__ == "__main__":
    main()
