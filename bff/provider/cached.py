"""A document of the provider's that is kept, and renewed behind the callers' backs (P-11).

Under `metadata` and `keyset`. One fetch at a time however many ask; the last good copy lives on
while fetches fail, so that an outage of the provider does not reach live sessions.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bff.clock import Clock
from bff.journal.log import crashed
from bff.problem import Reason, Refused

FRESH_SECONDS: Final = 3600
PAUSE_SECONDS: Final = 1  # after a fetch that failed

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Copy(Generic[T]):
    """What was last fetched, if it has not been disowned, and when, in store time; None: never.

    It may outlive who fetched it, and be in the hands of two for a while: what the one finds out
    the other knows."""

    held: T | None = field(default=None, repr=False)
    fetched_at: float | None = None


class Cached(Generic[T]):
    """What `fetch` last brought. `fetch` returns None when it failed, and has told the log why."""

    def __init__(
        self, fetch: Callable[[], Awaitable[T | None]], clock: Clock, copy: Copy[T]
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._copy = copy
        self._handed_on = copy.held is not None
        self._failed_at: float | None = None
        self._flight: asyncio.Task[T | None] | None = None

    @property
    def held(self) -> T | None:
        """The copy at hand, of whatever age."""
        return self._copy.held

    @property
    def known(self) -> bool:
        """Whether there has ever been a copy; it may have been disowned since."""
        return self._copy.fetched_at is not None

    @property
    def fetching(self) -> bool:
        """Whether a fetch is under way, which `fetched` would join."""
        return self._flight is not None

    async def value(self) -> T:
        """The copy at hand; one that is old, or was handed on, is renewed in the background.

        Raises Refused(PROVIDER_UNAVAILABLE) if there is none and none can be had."""
        held, fetched_at = self._copy.held, self._copy.fetched_at
        if held is None or fetched_at is None:
            return await self.fetched()
        if self._handed_on or not 0 <= self._clock.now() - fetched_at < FRESH_SECONDS:
            self._fly()
        return held

    async def fetched(self) -> T:
        """What a fetch brings that is under way or begins now, but for the pause after a failure.

        Raises Refused(PROVIDER_UNAVAILABLE) if it fails."""
        flight = self._fly()
        # A caller that goes away does not take the fetch from the others.
        found = None if flight is None else await asyncio.shield(flight)
        if found is None:
            raise Refused(Reason.PROVIDER_UNAVAILABLE)
        return found

    def forget(self) -> None:
        """Drop the copy at hand: it has been disowned."""
        self._copy.held = None

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    def _fly(self) -> "asyncio.Task[T | None] | None":
        if self._flight is None:
            failed_at = self._failed_at
            if failed_at is not None and 0 <= self._clock.now() - failed_at < PAUSE_SECONDS:
                return None
            self._flight = asyncio.create_task(self._renew())
            self._flight.add_done_callback(self._landed)
        return self._flight

    async def _renew(self) -> T | None:
        found = await self._fetch()
        if found is None:
            self._failed_at = self._clock.now()
        else:
            self._copy.held, self._copy.fetched_at = found, self._clock.now()
            self._failed_at, self._handed_on = None, False
        return found

    def _landed(self, flight: "asyncio.Task[T | None]") -> None:
        self._flight = None
        # Nobody may be waiting, and asyncio would log the message of an exception left behind.
        if not flight.cancelled() and (error := flight.exception()) is not None:
            crashed(error)
