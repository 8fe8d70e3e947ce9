"""Connections on which nothing goes on: how long they may stay, and how many."""

import asyncio
from collections.abc import Collection
from itertools import islice
from typing import Final

SAMPLE: Final = 64  # connections looked at for an idle one when there are too many
SPARE: Final = 1.1  # so many times the bound may be open, so that signing out is always answered


class Idle:
    """The idle time of one connection; its timer is pushed out lazily, as most requests come soon.

    It runs from the beginning: a connection on which nothing ever arrives is an idle one.
    """

    __slots__ = (
        "_loop",
        "_over",
        "_patience",
        "_since",
        "_stalled",
        "_timer",
        "_transport",
        "_unread",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        *,
        patience: float,
        unread: float,
    ) -> None:
        """`patience`: seconds without a request; `unread`: in which nothing written is taken."""
        self._loop = loop
        self._transport = transport
        self._patience = patience
        self._unread = unread
        self._over = False
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self.start()

    def start(self) -> None:
        """Nothing goes on from now."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._patience, self._look)

    def busy(self) -> None:
        """Something goes on; whoever completes the answer starts to count again."""
        self._since = None

    def stop(self) -> None:
        """The connection is closed: whoever is told so may still say that it shall be."""
        self._over = True
        self.taken()
        if self._timer is not None:
            self._timer.cancel()

    def close_now(self) -> None:
        """Close, if nothing goes on; the browser opens another when it needs one."""
        if self._since is not None and not self._transport.is_closing():
            self.close()

    def close(self) -> None:
        """Close when what was written has been taken, or when it is given up."""
        self.not_taken()
        self._transport.close()

    def not_taken(self) -> None:
        """The browser takes nothing of what was written: `unread` seconds, and it is given up."""
        if self._stalled is None and not self._over:
            self._stalled = self._loop.call_later(self._unread, self._transport.abort)

    def taken(self) -> None:
        """The browser takes more again."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _look(self) -> None:
        self._timer = None
        if self._since is None or self._transport.is_closing():
            return
        left = self._since + self._patience - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self.close()


def make_room(connections: Collection[object], newcomer: object, most: int) -> bool:
    """Close idle ones of too many connections; whether the newcomer may stay nevertheless."""
    for other in list(islice(connections, SAMPLE)):
        idle = getattr(other, "idle", None)
        if isinstance(idle, Idle) and other is not newcomer:
            idle.close_now()
    return len(connections) <= most * SPARE
