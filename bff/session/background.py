"""Work that goes on behind an answer, and answers under way: both are awaited at an end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bff.journal.log import crashed

T = TypeVar("T")


class Background:
    """Tasks that no request cancels. An exception in one is told, and goes no further."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._endless: set[asyncio.Task[Any]] = set()

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Run the coroutine to its end; nobody waits for it."""
        _ = self.start(work)

    def keep(self, work: Coroutine[Any, Any, object]) -> None:
        """Run the coroutine until `drain`, which does not wait for what has no end."""
        self._endless.add(self.start(work))

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run the coroutine to its end, whoever asked for it goes away."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way, and what that begins, `seconds` at most; cancel the rest."""
        for endless in self._endless:
            endless.cancel()
        now = asyncio.get_running_loop().time
        end = now() + seconds
        while self._tasks and now() < end:
            await asyncio.wait(self._tasks, timeout=end - now())
        for task in self._tasks:
            task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._endless.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            crashed(error)


class Users:
    """Requests that are being answered: `with users:` around each of them, or enter and leave."""

    def __init__(self) -> None:
        self._count = 0
        self._last: asyncio.Future[None] | None = None  # done when nobody is left

    def enter(self) -> None:
        """One more."""
        self._count += 1

    def leave(self) -> None:
        """One less."""
        self._count -= 1
        if not self._count and self._last is not None and not self._last.done():
            self._last.set_result(None)

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_: object) -> None:
        self.leave()

    async def gone(self) -> None:
        """Return when nobody is left."""
        while self._count:
            if self._last is None or self._last.done():
                self._last = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._last])
