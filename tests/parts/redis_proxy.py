"""A TCP proxy in front of Redis that does what a network must never do.

It follows a plan: one mischief for each run of octets that comes by, in either direction. With
the plan at its end, and after `calm`, it is a good proxy.
"""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final


class Mischief(StrEnum):
    PASS = "pass"
    DROP_OCTET = "drop an octet"
    TWICE_OCTET = "an octet twice"
    SWAP_OCTETS = "swap two octets"
    DROP = "drop a run"
    TWICE = "a run twice"
    LATE = "a run after the next one"
    DROP_REPLY = "drop a whole reply"
    TWICE_REPLY = "a whole reply twice"
    SWAP_REPLIES = "swap two whole replies"
    SPLIT = "octet by octet"
    CUT = "cut the connection"


Step = tuple[Mischief, int]


def replies(data: bytes) -> list[bytes]:
    """The whole replies or commands in the run; what is no whole one is the last."""
    found, at = [], 0
    while at < len(data) and (end := _end(data, at)) is not None:
        found.append(data[at:end])
        at = end
    return [*found, data[at:]] if at < len(data) else found


def _end(data: bytes, at: int) -> int | None:
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, rest, end = data[at : at + 1], data[at + 1 : line], line + 2
    if kind not in b"*$" or not rest.isdigit():
        return end
    if kind == b"$":
        end += int(rest) + 2
        return end if end <= len(data) else None
    for _ in range(int(rest)):
        after = _end(data, end)
        if after is None:
            return None
        end = after
    return end


Spoil = Callable[[bytes, int], list[bytes]]


def _octets(how: Callable[[bytes, int], bytes]) -> Spoil:
    return lambda data, where: [how(data, where % len(data))]


def _replies(how: Callable[[list[bytes], int], list[bytes]]) -> Spoil:
    def spoil(data: bytes, where: int) -> list[bytes]:
        parts = replies(data)
        return [b"".join(how(parts, where % len(parts)))]

    return spoil


# What goes on in place of a run of octets; a mischief that is not here lets it pass.
SPOILED: Final[dict[Mischief, Spoil]] = {
    Mischief.DROP_OCTET: _octets(lambda data, at: data[:at] + data[at + 1 :]),
    Mischief.TWICE_OCTET: _octets(lambda data, at: data[: at + 1] + data[at:]),
    Mischief.SWAP_OCTETS: _octets(
        lambda data, at: data[:at] + data[at : at + 2][::-1] + data[at + 2 :]
    ),
    Mischief.DROP: lambda _data, _where: [],
    Mischief.TWICE: lambda data, _: [data, data],
    Mischief.DROP_REPLY: _replies(lambda parts, at: parts[:at] + parts[at + 1 :]),
    Mischief.TWICE_REPLY: _replies(lambda parts, at: parts[: at + 1] + parts[at:]),
    Mischief.SWAP_REPLIES: _replies(
        lambda parts, at: parts[:at] + parts[at : at + 2][::-1] + parts[at + 2 :]
    ),
    Mischief.SPLIT: lambda data, _: [data[place : place + 1] for place in range(len(data))],
}


class Proxy:
    def __init__(self, redis_port: int) -> None:
        self._redis_port = redis_port
        self._plan: deque[Step] = deque()
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self.port = 0
        self.made: list[Mischief] = []  # what was done, in all

    def follow(self, plan: Sequence[Step]) -> None:
        """From here on, from any thread."""
        self._plan = deque(plan)

    def calm(self) -> None:
        """Do no more mischief."""
        self._plan = deque()

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._loop.call_soon_threadsafe(self._done.set)

    async def run(self, ready: "queue.Queue[Proxy]") -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.put(self)
        await self._done.wait()
        server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._redis_port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(reader, forth))
                    both.create_task(self._pump(back, writer))
            finally:
                forth.transport.abort()
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._pumps.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late = b""
        while data := await reader.read(65536):
            mischief, where = self._plan.popleft() if self._plan else (Mischief.PASS, 0)
            self.made.append(mischief)
            if mischief is Mischief.CUT:
                break
            if mischief is Mischief.LATE and not late:
                late = data
                continue
            spoil = SPOILED.get(mischief)
            for part in [data] if spoil is None else spoil(data, where):
                writer.write(part)
                await writer.drain()
            writer.write(late)
            late = b""
        raise ConnectionResetError  # ends the other direction as well


@contextlib.contextmanager
def proxy_to(redis_port: int) -> Iterator[Proxy]:
    ready: queue.Queue[Proxy] = queue.Queue()

    async def main() -> None:
        await Proxy(redis_port).run(ready)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="proxy", daemon=True)
    thread.start()
    proxy = ready.get(timeout=30)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(timeout=30)
