"""When something is due on one connection: one timer, pushed out lazily, as most comes in time."""

import asyncio
from collections.abc import Callable
from math import inf


def _nothing() -> None:
    """Is ever due."""


class Deadline:
    """`late` is called when what is due has not come. Times in seconds from now."""

    __slots__ = ("_due", "_late", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self._loop = loop
        self._late = late
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    def arm(self, patience: float) -> None:
        """Something is due by then."""
        self.push(patience)
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_later(patience, self._look)

    def push(self, patience: float) -> None:
        """Something went on: count the time anew."""
        self._due = self._loop.time() + patience

    def disarm(self) -> None:
        """Nothing is due; the timer is left to find that out."""
        self._due = inf

    def stop(self) -> None:
        """Nothing will ever be due again."""
        self._due = inf
        self._late = _nothing  # it leads back to the connection, and no collector shall be needed
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        left = self._due - self._loop.time()
        if left == inf:
            return
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._late()
