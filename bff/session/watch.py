"""Listens to the store's changes: a hint that a record is another one by now, never a proof."""

import asyncio
from collections.abc import Callable
from typing import Final

from bff.session.store import Store

POLL: Final = 0.5  # seconds after which a waiter looks again: messages get lost


class Watch:
    """Wakes whoever waits for a key, and says which opened record to drop."""

    def __init__(
        self,
        store: Store,
        forget: Callable[[str], None],
        changed: Callable[[str | None], None],
    ) -> None:
        self._store = store
        self._forget = forget
        self._changed = changed  # None: what changed was missed
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def run(self) -> None:
        """For ever: take each change. After a new subscription everybody looks again."""
        async for key in self._store.changes():
            self._changed(key)
            if key is None:
                for waiting in list(self._waiting):
                    self._wake(waiting)
            else:
                self._forget(key)
                self._wake(key)

    async def changed(self, key: str, seconds: float) -> None:
        """Return at the key's next change, or after `seconds`: messages get lost."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        try:
            await asyncio.wait([future], timeout=seconds)
        finally:
            waiting = self._waiting.get(key, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(key, None)

    def _wake(self, key: str) -> None:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(None)
