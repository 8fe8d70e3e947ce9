"""Whose turn it is on a connection: answers go out in the order of the requests (RFC 9112 §9.3)."""

from collections import deque
from collections.abc import Callable

from bff.wire import Answering


def _nothing() -> None:
    """There is nobody to tell."""


class Turns:
    """The requests of one connection that are being answered, or wait for it."""

    def __init__(self, none_waits: Callable[[], None]) -> None:
        self._none_waits = none_waits  # called before the last one begins
        self.newest: Answering | None = None
        self.running: Answering | None = None  # the one whose turn it is
        self._waiting: deque[Answering] = deque()  # until the answers before them are given
        self._advancing = False
        self.ended = False  # nothing further is answered

    @property
    def current(self) -> Answering | None:
        """The one that is being answered."""
        running = self.running
        return None if running is None or running.response_complete else running

    @property
    def waiting(self) -> bool:
        """Whether one waits for its turn."""
        return bool(self._waiting)

    def add(self, answering: Answering) -> bool:
        """Let it be answered after those before it; whether it is the only one."""
        self.newest = answering
        self._waiting.append(answering)
        return len(self._waiting) == 1 and self.current is None

    def withdraw_newest(self) -> bool:
        """Take the newest back; False where octets of its answer have left already."""
        if self.newest is not self.running:
            self._waiting.pop().gone()
        elif self.running is not None:
            if self.running.response_started:
                return False
            self.running.gone()
            self.running = None
        return True

    def replace(self, answering: Answering) -> None:
        """Another goes on in the turn of the one that is being answered."""
        self.running = self.newest = answering

    def abandon(self) -> None:
        """The browser has gone: nothing is answered any more."""
        self.ended = True
        for answering in (self.current, *self._waiting):
            if answering is not None:
                answering.gone()
        # They hold the connection: let go of them here, no collector is needed.
        self._none_waits = _nothing
        self.running = self.newest = None
        self._waiting.clear()

    def advance(self) -> None:
        """Begin what waits while nothing is being answered. Not nested: many may wait."""
        if self._advancing or not self._waiting:
            return
        self._advancing = True
        while self._waiting and self.current is None and not self.ended:
            self.running = self._waiting.popleft()
            if not self._waiting:
                self._none_waits()
            self.running.start()
        self._advancing = False
