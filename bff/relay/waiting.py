"""What an exchange has to wait for: one task, and where what it raises goes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bff.caller.request import BrowserRequest
from bff.journal.log import on_behalf_of
from bff.wire import Wire

Work = Callable[[], Coroutine[Any, Any, None]]


class Waiting:
    """Work that has begun; `over` is called at its end, with what it raised, if anything."""

    __slots__ = ("_task",)

    def __init__(
        self,
        wire: Wire,
        request: BrowserRequest,
        work: Work,
        over: Callable[["Waiting", Exception | None], None],
    ) -> None:
        self._task: asyncio.Task[None] | None = wire.spawn(self._watch(request, work, over))

    def cancel(self) -> None:
        """Do not go on with it."""
        # What a task was cancelled by knows where it was, and that is here: no ring shall be left.
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _watch(
        self,
        request: BrowserRequest,
        work: Work,
        over: Callable[["Waiting", Exception | None], None],
    ) -> None:
        on_behalf_of(request.peer, request.request_id)
        error: Exception | None = None
        try:
            await work()
        except Exception as raised:  # noqa: BLE001 - an exception in any check refuses (E-05)
            error = raised
        try:
            over(self, error)
        finally:
            del error  # it knows where it was raised, and that is here: no ring shall be left
