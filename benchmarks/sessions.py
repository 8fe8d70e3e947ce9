"""Sessions in Redis: how many octets each takes beside its bare tokens, and how fast it is found.

    python benchmarks/sessions.py [--sessions 1000000] [--asked 5000] [--access 1000] [--id 900]

Needs Debian's redis-server. A million sessions take some gigabytes in Redis: `free -m` first, and
name fewer where there is less. Each record is written by the product's own `create` script from
what its own sealer made, and each index entry by `index_add`, only many to a pipeline instead of
one by one; that the fields are the same is compared with a record the store itself has written.
"""

import argparse
import asyncio
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import redis

from benchmarks import peers
from bff.clock import StoreClock
from bff.config.store_url import parse_store_url
from bff.keys import Keyring, new_key, parse_key
from bff.session.index import IndexEntry
from bff.session.proof import asked
from bff.session.record import Deadlines, Identity, Session, Tokens
from bff.session.redis import RedisStore
from bff.session.scripts import source
from bff.session.seal import Sealer, store_key

ORIGIN = "https://app.example.com"
PREFIX = "bff"
IDLE, LIFETIME = 1800.0, 43_200.0
SIZES = (1_000, 100_000, 1_000_000)
PIPELINE = 500


def text(length: int) -> str:
    return secrets.token_urlsafe(length)[:length]


@dataclass(frozen=True)
class Lengths:
    """Of the tokens, in octets."""

    access: int
    id: int
    refresh: int = 43

    @property
    def bare(self) -> int:
        return self.access + self.id + self.refresh


class Writer:
    """Writes sessions as the product does, from 256-bit ids that it draws."""

    def __init__(self, port: int, lengths: Lengths) -> None:
        self.keyring = Keyring(current=parse_key(new_key()))
        self.record = Sealer(self.keyring, "record", ORIGIN)
        self.index = Sealer(self.keyring, "index", ORIGIN)
        self.redis: Any = redis.Redis(port=port, protocol=2)
        self.create = self.redis.script_load(source("create"))
        self.index_add = self.redis.script_load(source("index_add"))
        self.lengths = lengths
        self.now = time.time()  # noqa: TID251 - Redis runs on this machine
        self.ids: list[str] = []
        self.entry = ""
        self.sealed = 0

    def session(self, number: int) -> Session:
        sub = f"person-{number}-{secrets.token_hex(8)}"
        return Session(
            frontend="default",
            identity=Identity(
                iss="https://login.example.com", sub=sub, sid=secrets.token_hex(16), aud=("spa",),
                azp=None, nonce=text(43), auth_time=self.now, acr=None,
                claims={"name": "Ada Lovelace", "email": "ada@example.com"},
            ),
            tokens=Tokens(
                access_token=text(self.lengths.access), refresh_token=text(self.lengths.refresh),
                id_token=text(self.lengths.id), scope="openid profile email offline_access",
                issued_at=self.now, expires_at=self.now + 300, refresh_expires_at=None,
            ),
            created_at=self.now,
        )  # fmt: skip

    def add(self, count: int) -> None:
        """So many more sessions, each with its entries under `sub` and `sid`."""
        for start in range(0, count, PIPELINE):
            pipeline = self.redis.pipeline(transaction=False)
            for number in range(start, min(count, start + PIPELINE)):
                self._queue(pipeline, number)
            pipeline.execute()

    def _queue(self, pipeline: Any, number: int) -> None:
        session, session_id = self.session(number), secrets.token_urlsafe(32)
        key = store_key("session", "default", session_id)
        sealed = self.record.seal(session, place=key, salt=session_id.encode())
        absolute = str(round((self.now + LIFETIME) * 1000))
        channel = f"{PREFIX}:changes"
        entry = IndexEntry(
            handle=text(22), created_at=self.now, device="Firefox on Linux",
            sub=session.identity.sub, sid=session.identity.sid,
        )  # fmt: skip
        self.entry = secrets.token_hex(32)  # as long as the HMAC that it stands for
        for name in (secrets.token_hex(32), self.entry):  # of `sub` and of `sid`
            closed = self.index.seal(entry, place=name)
            place = f"{PREFIX}:{name}"
            parts = asked(place, (channel, name, key, closed, absolute))
            pipeline.evalsha(self.index_add, 1, place, *parts)
        idle = str(round(IDLE * 1000))
        args = (secrets.token_hex(12), sealed, self.keyring.current.kid, idle, absolute, "")
        place = f"{PREFIX}:{key}"
        pipeline.evalsha(self.create, 1, place, *asked(place, (channel, key, *args)))
        self.ids.append(session_id)
        self.sealed = len(sealed)

    def parts(self) -> tuple[int, int]:
        """Octets of the last record, and of the last index entry (MEMORY USAGE)."""
        record = store_key("session", "default", self.ids[-1])
        return (
            int(self.redis.memory_usage(f"{PREFIX}:{record}", samples=0)),
            int(self.redis.memory_usage(f"{PREFIX}:{self.entry}", samples=0)),
        )

    def memory(self) -> int:
        return int(self.redis.info("memory")["used_memory"])


async def same_as_the_store_writes(writer: Writer, store: RedisStore) -> bool:
    """Whether a record of the pipeline has the fields, and lengths, of one of the store's."""
    session_id = secrets.token_urlsafe(32)
    key = store_key("session", "default", session_id)
    sealed = writer.record.seal(writer.session(0), place=key, salt=session_id.encode())
    deadlines = Deadlines(idle=IDLE, absolute=writer.now + LIFETIME, refresh=None)
    kid = writer.keyring.current.kid
    await store.create(key, sealed, deadlines, owner=secrets.token_hex(12), kid=kid)
    ours, theirs = (
        writer.redis.hgetall(f"{PREFIX}:{each}")
        for each in (store_key("session", "default", writer.ids[0]), key)
    )
    writer.redis.delete(f"{PREFIX}:{key}")
    return {k: len(v) for k, v in ours.items() if k != b"s"} == {
        k: len(v) for k, v in theirs.items() if k != b"s"
    }


async def timed(ask: Callable[[str], Awaitable[object]], keys: list[str]) -> list[float]:
    """Microseconds of each question, asked one after another."""
    took = []
    for key in keys:
        began = time.perf_counter()
        if await ask(key) is None:
            raise RuntimeError("a session is not there")
        took.append((time.perf_counter() - began) * 1e6)
    return sorted(took)


async def rate(ask: Callable[[str], Awaitable[object]], keys: list[str]) -> float:
    """Questions per second with 32 under way."""
    left = list(keys)

    async def one() -> None:
        while left:
            await ask(left.pop())

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(32)))
    return len(keys) / (time.perf_counter() - began)


def row(size: int, writer: Writer, empty: int, found: dict[str, list[float]], rates: str) -> str:
    each = (writer.memory() - empty) / size
    cells = [f"{size:,}", f"{each:,.0f}", f"{each - writer.lengths.bare:,.0f}"]
    for took in found.values():
        cells.append(f"{statistics.median(took):.0f} / {took[len(took) * 99 // 100]:.0f}")
    return f"| {' | '.join(cells)} | {rates} |"


async def run(port: int, sessions: int, questions: int, lengths: Lengths) -> None:
    writer = Writer(port, lengths)
    store = RedisStore(
        parse_store_url(f"redis://127.0.0.1:{port}/0"),
        prefix=PREFIX,
        clock=StoreClock(),
        deadline=5.0,
    )
    empty, have = writer.memory(), 0
    print(f"tokens of {lengths.access} + {lengths.refresh} + {lengths.id} octets: {lengths.bare}\n")
    print("| sessions | octets each | beside the tokens | peek µs p50 / p99 | load µs p50 / p99 |"
          " peek/s, 32 at once |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- |")
    for size in sorted({min(size, sessions) for size in SIZES} | {sessions}):
        writer.add(size - have)
        have = size
        if not await same_as_the_store_writes(writer, store):
            raise RuntimeError("not what the store writes")
        keys = [
            store_key("session", "default", secrets.choice(writer.ids)) for _ in range(questions)
        ]
        await timed(store.peek, keys[:200])  # connections and caches are warm
        found = {"peek": await timed(store.peek, keys), "load": await timed(store.load, keys)}
        rates = f"{await rate(store.peek, keys):,.0f}"
        print(row(size, writer, empty, found, rates), flush=True)
    await store.close()
    record, entry = writer.parts()
    print(f"\nA record is {record:,} octets, {writer.sealed:,} of them sealed; each of its two")
    print(f"index entries {entry:,} (MEMORY USAGE, all fields; the table of keys comes on top).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=SIZES[-1])
    parser.add_argument("--asked", type=int, default=5000, help="questions for each figure")
    parser.add_argument("--access", type=int, default=1000, help="octets of an access token")
    parser.add_argument("--id", type=int, default=900, help="octets of an ID token")
    given = parser.parse_args()
    lengths = Lengths(access=given.access, id=given.id)
    with (
        tempfile.TemporaryDirectory(prefix="bff-bench-") as folder,
        peers.redis(Path(folder)) as port,
    ):
        asyncio.run(run(port, given.sessions, given.asked, lengths))


if __name__ == "__main__":
    main()
