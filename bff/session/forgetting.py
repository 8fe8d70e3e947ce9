"""The sealed bytes of ended sessions, which go a minute after the end: one timer for all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class Forgetting:
    """Asks to `forget` each key `seconds` after it was added, until it is closed.

    `forget` raises nothing: it is not worth a second attempt.

    Lua cannot remove a field later by itself. A process that dies before leaves bytes that are
    useless without the cookie, until the tombstone goes.
    """

    def __init__(self, forget: Callable[[str], Awaitable[object]], seconds: float) -> None:
        self._forget = forget
        self._seconds = seconds
        self._due: deque[tuple[float, str]] = deque()
        self._working: asyncio.Task[None] | None = None
        self._closed = False

    def add(self, key: str) -> None:
        """Not now, later."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        self._due.append((loop.time() + self._seconds, key))
        if self._working is None:
            self._working = loop.create_task(self._work(loop))

    async def close(self) -> None:
        """Ask for nothing more; what is being asked is broken off."""
        self._closed = True
        self._due.clear()
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])

    async def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._due:
                at, key = self._due.popleft()
                await asyncio.sleep(max(0.0, at - loop.time()))
                await self._forget(key)
        finally:
            self._working = None
