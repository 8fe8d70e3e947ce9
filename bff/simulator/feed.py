"""Who follows whose tasks: server-sent events of the small API.

For a follower that takes nothing a hundred events wait; what comes then, it misses.
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

HEARTBEAT: Final = 15  # seconds between comments while nothing happens
WAITING: Final = 100  # events


def now() -> str:
    """The time of day in UTC (RFC 3339)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Feed:
    """Everybody's followers."""

    def __init__(self) -> None:
        self._of_person: defaultdict[str, set[asyncio.Queue[str]]] = defaultdict(set)

    def tell(self, sub: str, what: str, title: str) -> None:
        """Something happened to a task of that person."""
        event = _event("task", {"what": what, "title": title, "at": now()})
        for follower in self._of_person[sub]:
            with contextlib.suppress(asyncio.QueueFull):
                follower.put_nowait(event)

    async def follow(self, sub: str) -> AsyncIterator[str]:
        """A stream of events (HTML, server-sent events), from now until it is left."""
        mine: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._of_person[sub].add(mine)
        try:
            yield _event("hello", {"at": now()})
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        event = await mine.get()
                except TimeoutError:
                    event = ":\n\n"
                yield event
        finally:
            self._of_person[sub].discard(mine)


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
