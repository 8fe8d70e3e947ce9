"""What is asked of a store, and a store that stops at one step until it is told to go on."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from bff.session.memory import MemoryStore
from bff.session.redis import RedisStore
from tests.parts.site import Site

PATIENCE = 20.0  # seconds


@dataclass
class Held:
    """The step that is being held: the store's deadline does not strike meanwhile."""

    loop: asyncio.AbstractEventLoop
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def wait(self) -> None:
        assert self.reached.wait(PATIENCE), "it did not come to that step"

    def release(self) -> None:
        self.loop.call_soon_threadsafe(self.go_on.set)


@contextlib.contextmanager
def holding(
    site: Site, operation: str, number: int, stage: str, *, deaf: bool = False
) -> Iterator[Held]:
    """Hold the call of that number from now on, `before` or `after` it is done.

    `deaf`: it goes on when it is cancelled, as a library may that loses the word.
    """
    store = site.application.site.fronts["default"].front.sessions.store
    assert isinstance(store, RedisStore)
    held, calls = Held(site.loop), 0

    async def hook(name: str, moment: str) -> None:
        nonlocal calls
        if (name, moment) != (operation, stage):
            return
        calls += 1
        if calls == number:
            held.reached.set()
            try:
                await held.go_on.wait()
            except asyncio.CancelledError:
                if not deaf:
                    raise

    store._hook, deadline, store._deadline = hook, store._deadline, PATIENCE
    try:
        yield held
    finally:
        held.release()
        store._hook, store._deadline = None, deadline


@contextlib.contextmanager
def overhearing(site: Site) -> Iterator[list[str]]:
    """The operations asked of a store in memory, but `note`: each process writes by itself."""
    store = site.application.site.fronts["default"].front.sessions.store
    assert isinstance(store, MemoryStore)
    usual, found = store._hook, list[str]()

    async def hook(operation: str, stage: str) -> None:
        if stage == "before" and operation != "note":
            found.append(operation)
        await usual(operation, stage)

    store._hook = hook
    try:
        yield found
    finally:
        store._hook = usual
