"""Half an hour of 200 people across two workers and a real Redis: does anything grow?

    python benchmarks/soak.py [--minutes 30] [--warm-up 5] [--people 200] [--plot docs/soak.svg]

They sign in, call the API and post to it, read their session, hold event streams open, go away in
the middle, sign out and in again; a token lives twenty seconds. Every window of fifteen seconds
gives the memory of the processes, the latencies and what was answered. What counts is the slope
over the windows after the warm-up, with its standard error: flat is what that cannot tell from
zero. In the warm-up the caches fill, each of which has a bound, and people sign out and in again
ten times as often, since every login brings a new cookie. Every answer that its asker did not have
to expect is listed, of both, and one makes the exit status 1.
"""

import argparse
import asyncio
import math
import secrets
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import redis as redis_client
import uvloop

from benchmarks.field import ORIGIN, Bff, Simulator
from benchmarks.group import Server
from benchmarks.peers import wait_for
from benchmarks.people import HEADERS, WAITS, signed_in
from benchmarks.plot import Panel, svg

WINDOW: Final = 15.0  # seconds
TOKEN_SECONDS: Final = 20
PAUSE: Final = 4.0  # seconds between two things one person does, on average
STREAM: Final = 6.0  # seconds that a person looks at the live feed
LEAVES: Final = 0.02  # how likely somebody signs out before the next thing they do
RESTLESS: Final = 0.2  # the same in the warm-up
MEBI: Final = 1024 * 1024


@dataclass
class Window:
    """What was seen in it. Latencies in milliseconds, memory in MiB."""

    latencies: list[float] = field(default_factory=list)
    supervisor: float = 0.0
    workers: float = 0.0
    store: float = 0.0

    def quantile(self, part: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Slope:
    """What a value gains in an hour, and by how much that may be wrong."""

    an_hour: float
    error: float

    def text(self, unit: str) -> str:
        flat = "flat" if abs(self.an_hour) <= 2 * self.error else "NOT flat"
        return f"{self.an_hour:+.2f} ± {self.error:.2f} {unit} an hour ({flat})"


def slope(values: Sequence[float]) -> Slope:
    """By least squares over the windows."""
    hours = [number * WINDOW / 3600 for number in range(len(values))]
    fit = statistics.linear_regression(hours, values)
    wrong = sum(
        (value - fit.intercept - fit.slope * at) ** 2
        for at, value in zip(hours, values, strict=True)
    )
    spread = sum((at - statistics.fmean(hours)) ** 2 for at in hours)
    return Slope(fit.slope, math.sqrt(wrong / (len(values) - 2) / spread))


class Crowd:
    """The people, and what they were told."""

    def __init__(self, door: Bff, chance: secrets.SystemRandom) -> None:
        self.window = Window()
        self.leaves = RESTLESS
        self.answers: Counter[str] = Counter()
        self.unexplained: Counter[str] = Counter()
        self._door = door
        self._chance = chance
        self._host = urlsplit(ORIGIN).netloc
        self._signing_in = asyncio.Semaphore(2)
        self._deeds: list[tuple[Callable[[str], Awaitable[bool]], int]] = [
            (self._call, 60), (self._post, 12), (self._look, 10),
            (self._watch, 8), (self._go_away, 5),
        ]  # fmt: skip

    async def live(self, over: asyncio.Event) -> None:
        """One person, until it is over."""
        while not over.is_set():
            cookie = await self._sign_in()
            deeds, weights = zip(*self._deeds, strict=True)
            lives = True
            while lives and not over.is_set() and self._chance.random() > self.leaves:
                await asyncio.sleep(PAUSE * self._chance.uniform(0.1, 1.9))
                (deed,) = self._chance.choices(deeds, weights)
                lives = await deed(cookie)
            self._told("POST /bff/logout", await self._ask("POST", "/bff/logout", cookie), 200)

    async def _sign_in(self) -> str:
        async with self._signing_in:
            while True:
                cookie = await asyncio.to_thread(signed_in, self._door.port, ORIGIN)
                if cookie is not None:
                    self.answers["sign-in well"] += 1
                    return cookie
                self.unexplained["sign-in"] += 1
                await asyncio.sleep(1)

    async def _call(self, cookie: str) -> bool:
        began = time.perf_counter()
        status = await self._ask("GET", "/api/tasks", cookie)
        self.window.latencies.append((time.perf_counter() - began) * 1000)
        return self._told("GET /api/tasks", status, 200)

    async def _post(self, cookie: str) -> bool:
        body = b'{"title": "water the plants"}'
        status = await self._ask("POST", "/api/echo", cookie, body)
        return self._told("POST /api/echo", status, 200)

    async def _look(self, cookie: str) -> bool:
        status = await self._ask("GET", "/bff/session", cookie)
        return self._told("GET /bff/session", status, 200)

    async def _watch(self, cookie: str) -> bool:
        """The events of the session for a while, then the tab is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._door.port)
        try:
            writer.write(self._head("GET", "/bff/events", cookie, b""))
            status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
            await asyncio.sleep(STREAM * self._chance.uniform(0.1, 1.9))
            return self._told("GET /bff/events", status, 200)
        finally:
            writer.close()

    async def _go_away(self, cookie: str) -> bool:
        """Ask, and be gone before the answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self._door.port)
        writer.write(self._head("GET", "/api/tasks", cookie, b""))
        await asyncio.sleep(self._chance.uniform(0, 0.005))
        writer.close()
        self.answers["GET /api/tasks and gone"] += 1
        return True

    async def _ask(self, method: str, path: str, cookie: str, body: bytes = b"") -> str:
        """The status, or what came instead."""
        try:
            async with asyncio.timeout(WAITS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._door.port)
                try:
                    writer.write(self._head(method, path, cookie, body) + body)
                    head, _, said = (await reader.read(-1)).partition(b"\r\n\r\n")
                finally:
                    writer.close()
            status = head.split(b" ", 2)[1].decode()
        except (OSError, TimeoutError, IndexError) as error:
            return type(error).__name__
        return status if status[0] == "2" else f"{status} {said[:120].decode(errors='replace')}"

    def _head(self, method: str, path: str, cookie: str, body: bytes) -> bytes:
        fields = {**HEADERS, "host": self._host, "cookie": f"bff={cookie}", "connection": "close"}
        if method == "POST":
            fields |= {"content-type": "application/json", "content-length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def _told(self, what: str, got: str | int, wanted: int) -> bool:
        """Note the answer; whether the session goes on."""
        if str(got) == str(wanted):
            self.answers[f"{what} {wanted}"] += 1
        else:
            self.unexplained[f"{what} {got}"] += 1
        return not str(got).startswith("401")


def resident(pid: int) -> float:
    """What a process holds for itself, in MiB: shared pages count by their share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def measured(
    crowd: Crowd, bff: Bff, store: Server, warm_up: float, minutes: float
) -> list[Window]:
    """The windows, one after the other."""
    windows: list[Window] = []
    client = redis_client.Redis(port=store.port, protocol=2)
    warming = int(warm_up * 60 / WINDOW)
    for number in range(warming + max(4, int(minutes * 60 / WINDOW))):
        if number == warming:
            crowd.leaves = LEAVES
        window = crowd.window = Window()
        await asyncio.sleep(WINDOW)
        supervisor, *workers = bff.family
        window.supervisor = resident(supervisor)
        window.workers = sum(map(resident, workers))
        window.store = client.info("memory")["used_memory"] / MEBI
        windows.append(window)
        if number % 20 == 19:
            print(f"{(number + 1) * WINDOW / 60:g} minutes: workers {window.workers:.1f} MiB, "
                  f"p50 {window.quantile(0.5):.1f} ms, p99 {window.quantile(0.99):.1f} ms, "
                  f"unexplained {crowd.unexplained.total()}", flush=True)  # fmt: skip
    client.close()
    return windows


VALUES: Final[tuple[tuple[str, str, Callable[[Window], float]], ...]] = (
    ("Memory of the two workers", "MiB", lambda window: window.workers),
    ("Memory of the supervisor", "MiB", lambda window: window.supervisor),
    ("Memory that Redis uses", "MiB", lambda window: window.store),
    ("Latency of a call, median", "ms", lambda window: window.quantile(0.5)),
    ("Latency of a call, 99 of 100", "ms", lambda window: window.quantile(0.99)),
)


def report(
    crowd: Crowd, bff: Bff, windows: list[Window], warm_up: float, plot: Path | None
) -> None:
    """Print it, and draw it."""
    minutes = len(windows) * WINDOW / 60
    settled = windows[int(warm_up * 60 / WINDOW) :]
    print("\n| what | at the start | at the end | slope |\n| --- | --- | --- | --- |")
    for name, unit, of in VALUES:
        values = [of(window) for window in settled]
        edge = max(1, len(values) // 10)
        first, last = statistics.fmean(values[:edge]), statistics.fmean(values[-edge:])
        print(f"| {name} | {first:.1f} {unit} | {last:.1f} {unit} | {slope(values).text(unit)} |")
    print("\nAnswers: " + ", ".join(f"{k}: {v:,}" for k, v in sorted(crowd.answers.items())))
    print(f"Unexplained: {crowd.unexplained.total()}"
          + "".join(f"\n  {k}: {v}" for k, v in crowd.unexplained.most_common(20)))  # fmt: skip
    print("Told: " + ", ".join(f"{k}: {v:,}" for k, v in bff.told.most_common()))
    if plot is not None:
        panels = [Panel(name, unit, [of(each) for each in windows]) for name, unit, of in VALUES]
        about = f"Memory and latency over {minutes:g} minutes of load"
        plot.write_text(svg(panels, minutes=minutes, about=about))


async def run(given: argparse.Namespace, folder: Path) -> int:
    """The number of answers that nothing explains."""
    store = Server(folder / "redis")
    store.command = ["--port", str(store.port), "--bind", "127.0.0.1"]
    store.command += ["--dir", str(store.folder), "--save", "", "--appendonly", "yes"]
    await asyncio.to_thread(store.start)
    simulator = await Simulator.start(TOKEN_SECONDS)
    url = f"redis://127.0.0.1:{store.port}/0"
    # As long as unless said: a provider on a busy machine is slow, and no answer is one lost.
    bff = Bff("soak", folder, url, simulator, workers=2, total_timeout="10s")
    await bff.start()
    await asyncio.to_thread(wait_for, bff.port)
    over = asyncio.Event()
    crowd = Crowd(bff, secrets.SystemRandom())
    try:
        people = [asyncio.create_task(crowd.live(over)) for _ in range(given.people)]
        windows = await measured(crowd, bff, store, given.warm_up, given.minutes)
        over.set()
        await asyncio.gather(*people)
        print(f"{given.people} people, {given.minutes:g} minutes after {given.warm_up:g} of "
              "warm-up, two workers")  # fmt: skip
        report(crowd, bff, windows, given.warm_up, given.plot)
        return crowd.unexplained.total()
    finally:
        await bff.kill()
        await simulator.stop()
        store.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm-up", type=float, default=5.0)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bff-soak-") as folder:
        unexplained = uvloop.run(run(given, Path(folder)))
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
