"""A connection is given up for what its browser does not read, however little that is (Q-24)."""

import asyncio
import socket

import uvloop
from typing_extensions import override

from bff.door.idle import Idle

UNREAD = b"x" * 4 * 1024 * 1024  # more than a socket takes without a reader


class _Written(asyncio.Protocol):
    """Writes at once, and has an idle time that ends at once."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    @override
    def connection_made(  # type: ignore[override]  # a socket gives a Transport
        self, transport: asyncio.Transport
    ) -> None:
        transport.set_write_buffer_limits(high=2 * len(UNREAD))  # so that nobody hears of it
        transport.write(UNREAD)
        self.idle = Idle(asyncio.get_running_loop(), transport, patience=0.01, unread=0.01)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def _closes() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        _, written = await loop.create_connection(_Written, sock=ours)
        async with asyncio.timeout(20):
            await written.lost.wait()


def test_what_nobody_reads_does_not_keep_a_connection() -> None:
    uvloop.run(_closes())
