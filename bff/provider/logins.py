"""How many logins may be under way, and begin, here and for one peer address (C-03).

The callback takes its place here *before* it claims the state: a 503 given then costs the person
nothing, as the same URL works again. No socket, no clock: the caller says what time it is.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bff.problem import Reason, Refused

WINDOW_SECONDS: Final = 10
_BEGINS_PER_PLACE: Final = 20  # in a window


class Calls:
    """The calls of logins that are under way, those that begin and those that come back."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0


class LoginBounds:
    """`places` logins at once and twenty times as many begun in ten seconds.

    One peer address may have half of either: many people may sit behind one, but not all. `calls`:
    what they may be together with others; whoever has a place here has one there.
    """

    def __init__(self, places: int, calls: Calls | None = None) -> None:
        self._places = places
        self._calls = calls or Calls(places)
        self._begins = places * _BEGINS_PER_PLACE
        self._under_way: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()
        self._window = 0

    @contextmanager
    def place(self, peer: str, now: float) -> Iterator[None]:
        """Hold a place for a login of `peer` that begins at `now`.

        Raises Refused(OVERLOADED) if there is none."""
        window = int(now // WINDOW_SECONDS)
        if window != self._window:
            self._window = window
            self._begun.clear()  # which bounds it: no more entries than logins in a window
        full = self._calls.count >= self._calls.most
        full = full or _full(self._under_way, peer, self._places)
        if full or _full(self._begun, peer, self._begins):
            raise Refused(Reason.OVERLOADED, retry_after=WINDOW_SECONDS)
        self._begun[peer] += 1
        self._under_way[peer] += 1
        self._calls.count += 1
        try:
            yield
        finally:
            self._calls.count -= 1
            self._under_way[peer] -= 1
            if not self._under_way[peer]:
                del self._under_way[peer]


def _full(counted: Counter[str], peer: str, bound: int) -> bool:
    return counted.total() >= bound or counted[peer] >= max(1, bound // 2)
