"""How much a failing provider has to bear of this process: refreshes at a bounded rate (R-07).

Beside `token`, which asks it before a refresh leaves and tells it what came of that. Per session
the store's `not_before` bounds the asking, over all processes; here it is bounded over all
sessions. Pure but for what it counts: the caller says what time it is.
"""

import secrets
from typing import Final

PATIENCE: Final = 3  # failures in a row; from then on the process holds back
PAUSE: Final = 0.5  # seconds between two requests then: half as long to half as long again
LONGEST: Final = 60.0  # seconds; one answer cannot silence a process for longer


class Restraint:
    """Closed by one success; times are those of any one clock that does not jump."""

    def __init__(self) -> None:
        self._failures = 0
        self._next_at = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave; 0: now."""
        return max(0.0, self._next_at - now) if self._failures >= PATIENCE else 0.0

    def admit(self, now: float) -> bool:
        """Whether a request may leave now; then the next one may after a pause."""
        if self.wait(now) > 0:
            return False
        # With jitter, or all processes would come in step.
        self._next_at = max(self._next_at, now + PAUSE * (0.5 + secrets.randbelow(1000) / 1000))
        return True

    def works(self) -> None:
        """The provider has answered as it should: nothing is held back any more."""
        self._failures = 0
        self._next_at = 0.0

    def fails(self, now: float, retry_after: float | None) -> None:
        """A request came to nothing; `retry_after`: seconds, where the provider named them."""
        self._failures += 1
        if retry_after is not None:
            self._next_at = max(self._next_at, now + min(retry_after, LONGEST))
