"""How much is under way at once, in all and per session: requests and streams apart (Q-24).

A stream may live for hours and costs little, a request is over soon and costs much: neither
shall keep the other's places.
"""

from bff.config.model import Limits
from bff.problem import Reason, Refused


class Count:
    """Places of one kind: so many in all, so many for each session."""

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._each: dict[str, int] = {}
        self.taken = 0

    def bound(self, most: int, most_each: int) -> None:
        """From now on so many. Whoever is there stays: fewer places refuse newcomers only."""
        self._most = most
        self._most_each = most_each

    def enter(self, session_id: str | None) -> None:
        """Take a place; None: for nobody in particular. Raises Refused(OVERLOADED)."""
        if self.taken >= self._most:
            raise Refused(Reason.OVERLOADED)
        if session_id is not None:
            there = self._each.get(session_id, 0)
            if there >= self._most_each:
                raise Refused(Reason.OVERLOADED)
            self._each[session_id] = there + 1
        self.taken += 1

    def leave(self, session_id: str | None) -> None:
        """Give the place back."""
        self.taken -= 1
        if session_id is not None:
            there = self._each[session_id] - 1
            if there:
                self._each[session_id] = there
            else:
                del self._each[session_id]


class Crowd:
    """The requests that one process is relaying, and its streams: relayed ones and our own.

    It outlives the Site: what began under a former configuration has its places still.
    """

    def __init__(self, limits: Limits) -> None:
        self.requests = Count(limits.requests, limits.requests_per_session)
        self.streams = Count(limits.streams, limits.streams_per_session)

    def bound(self, limits: Limits) -> None:
        """Hold to these limits from now on."""
        self.requests.bound(limits.requests, limits.requests_per_session)
        self.streams.bound(limits.streams, limits.streams_per_session)
