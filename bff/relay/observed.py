"""What is counted and timed of one route: a few additions for each request."""

from time import perf_counter

from bff.journal.metrics import (
    RELAY_SECONDS,
    REQUESTS,
    UPSTREAM_SECONDS,
    count,
    status_class,
    timed,
)


class Observed:
    """One route's numbers. A moment is what `moment` said then."""

    __slots__ = ("_frontend", "_relay", "_route", "_upstream")

    def __init__(self, frontend: str, route: str) -> None:
        self._frontend = frontend
        self._route = route
        self._relay = timed(RELAY_SECONDS, frontend, route)
        self._upstream = timed(UPSTREAM_SECONDS, frontend, route)

    def answered(self, status: int, asked_at: float) -> None:
        """The upstream has begun to answer what it was asked at that moment."""
        self._upstream.observe(perf_counter() - asked_at)
        self.told(status)

    def told(self, status: int) -> None:
        """The browser gets that status."""
        count(REQUESTS, self._frontend, self._route, status_class(status))

    def done(self, began_at: float) -> None:
        """An answer is complete whose turn came at that moment."""
        self._relay.observe(perf_counter() - began_at)


moment = perf_counter
