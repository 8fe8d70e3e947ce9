"""Store time: the one clock that every process agrees on.

Wall clocks of nodes differ; deadlines and token ages are therefore reckoned in the store's time,
whose distance from our monotonic clock is measured at connect and with each write.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds since the epoch, in store time."""
        ...


class StoreClock:
    """The store's time, carried by the monotonic clock between two measurements."""

    def __init__(self) -> None:
        # Until the store has spoken, the wall clock is the best guess there is.
        self._offset = time.time() - time.monotonic()  # noqa: TID251 - this is the Clock

    def now(self) -> float:
        """Seconds since the epoch, in store time."""
        return time.monotonic() + self._offset

    def observe(self, store_seconds: float, asked_at: float) -> None:
        """Take the store's time from an answer to what was asked at monotonic `asked_at`."""
        middle = (asked_at + time.monotonic()) / 2
        self._offset = store_seconds - middle
