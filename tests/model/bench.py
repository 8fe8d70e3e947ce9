"""The two stores on a bench: their time can be moved, and what they are asked can go wrong.

Nothing sleeps: a second on the bench passes when somebody says so. The memory store reads a clock
that stands still until it is moved; Redis has its own, so there every time in the record is moved
into the past instead.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, TypeVar

import redis as redis_client
from typing_extensions import override

from bff.clock import StoreClock
from bff.config.store_url import parse_store_url
from bff.session.deadline import ConnectionLost
from bff.session.memory import MemoryStore
from bff.session.redis import RedisStore
from bff.session.store import OutcomeUnknown, Store

T = TypeVar("T")

DEADLINE = 30.0  # seconds; a busy machine is no fault of the store


class Trouble(StrEnum):
    """What happens to one call."""

    NONE = "none"
    ANSWER_LOST = "done, the answer lost, asked again"
    NEVER_KNOWN = "done, and every answer lost"
    NEVER_DONE = "never arrived, which nobody can know"
    LATE = "done after the caller has given up"

    @property
    def done(self) -> bool:
        """Whether the store does it, and now."""
        return self not in (Trouble.NEVER_DONE, Trouble.LATE)


# At which stages of one call and its repetition the connection breaks.
_BREAKS = {
    Trouble.NONE: (),
    Trouble.ANSWER_LOST: ("after",),
    Trouble.NEVER_KNOWN: ("after", "after"),
    Trouble.NEVER_DONE: ("before", "before"),
    Trouble.LATE: ("before", "before"),
}


class Bench(ABC):
    """A store, its time and its troubles, driven from a test that is no coroutine."""

    store: Store

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time = 0.0  # seconds on the bench
        self._loop = loop
        self._breaks: list[str] = []

    def ask(self, call: Callable[[], Awaitable[T]], trouble: Trouble = Trouble.NONE) -> T | None:
        """The answer of one call under that trouble; None as well where it is unknown."""

        async def whole() -> T:
            return await call()

        self._breaks = list(_BREAKS[trouble])
        try:
            return self._loop.run_until_complete(whole())
        except OutcomeUnknown:
            return None
        finally:
            self._breaks = []

    @abstractmethod
    def store_time(self, at: float) -> float:
        """A time of the bench as the store counts it now."""

    @abstractmethod
    def move(self, key: str, seconds: float) -> None:
        """It is later by so much."""

    def close(self) -> None:
        """Close what the store has open."""
        self.ask(self.store.close)

    async def _hook(self, _operation: str, stage: str) -> None:
        if self._breaks and self._breaks[0] == stage:
            del self._breaks[0]
            raise ConnectionLost


class MemoryBench(Bench):
    """The memory store, by the time of the bench."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.store = MemoryStore(self, deadline=DEADLINE, hook=self._hook)

    def now(self) -> float:
        """The store's clock."""
        return self.time

    @override
    def store_time(self, at: float) -> float:
        return at

    @override
    def move(self, key: str, seconds: float) -> None:
        self.time += seconds


class RedisBench(Bench):
    """A real Redis. Its own clock goes on meanwhile, by far less than it is moved."""

    _TIMES = ("ia", "ab", "rf", "se", "lu", "d4", "nb", "et")

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        super().__init__(loop)
        self._clock = StoreClock()
        self._raw: Any = redis_client.Redis(port=port, protocol=2)
        url = parse_store_url(f"redis://127.0.0.1:{port}/0")
        self.store = RedisStore(
            url, prefix="model", clock=self._clock, deadline=DEADLINE, hook=self._hook
        )
        self.ask(self.store.ping)  # sets the clock

    @override
    def store_time(self, at: float) -> float:
        return self._clock.now() + at - self.time

    @override
    def move(self, key: str, seconds: float) -> None:
        self.time += seconds
        name, by = f"model:{key}", round(seconds * 1000)
        held = zip(self._TIMES, self._raw.hmget(name, self._TIMES), strict=True)
        moved = {each: int(at) - by for each, at in held if at and int(at)}
        if moved:
            end = self._raw.pexpiretime(name)
            self._raw.hset(name, mapping=moved)
            self._raw.pexpireat(name, end - by)

    @override
    def close(self) -> None:
        super().close()
        self._raw.close()
