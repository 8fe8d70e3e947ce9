"""Waiting for what happens in another thread or process, whose clock no test can put forward."""

import time
from collections.abc import Callable

PATIENCE = 30.0  # seconds


def until(met: Callable[[], bool]) -> None:
    """Return when it is so; ask again until then."""
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)
