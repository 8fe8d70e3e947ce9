"""One side of a WebSocket: octets to events and back, part by part, and how far it is closed.

Pure but for the write: what is a message, how large it may be, and which code says what is wrong
is decided here and by the library.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

# Octets of a compressed message opened in one step: they may grow a thousandfold.
STEP: Final = 1024

_OVER: Final = frozenset({ConnectionState.CLOSED, ConnectionState.LOCAL_CLOSING})


@dataclass(frozen=True, slots=True)
class Failure:
    """What a side sent is no WebSocket, or more than may be; `code` says which."""

    code: int


class Side:
    """One of the two connections: octets to events and back, and how far it is closed."""

    __slots__ = ("_arrived", "_connection", "_deaf", "_deflates", "_out", "_size", "transport")

    def __init__(
        self, transport: asyncio.Transport, kind: ConnectionType, deflate: PerMessageDeflate | None
    ) -> None:
        self.transport = transport
        self._deflates = deflate is not None
        self._connection = Connection(kind, [deflate] if deflate is not None else [])
        self._arrived = bytearray()  # and not yet opened
        self._out = bytearray()
        self._size = 0  # octets of the message that is arriving
        self._deaf = False  # what it sends has stopped to mean anything

    @property
    def closed(self) -> bool:
        """Whether nothing more is to come from it that matters."""
        return self._deaf or self._connection.state is ConnectionState.CLOSED

    def lost(self) -> None:
        """Its connection is closed."""
        self._deaf = True

    def take(self, data: bytes) -> None:
        """Octets that have come, for `read` to open."""
        if not self.closed:
            self._arrived += data

    @property
    def waiting(self) -> bool:
        """Whether there is something to read."""
        return bool(self._arrived) and not self.closed

    def read(self, most: int) -> Iterator[Event | Failure]:
        """The events in the next step of what has come: all of it, unless it may grow.

        A Failure is the last of them, and its side is not heard again.
        """
        step = STEP if self._deflates else len(self._arrived)
        data = bytes(self._arrived[:step])
        del self._arrived[:step]
        self._connection.receive_data(data)
        for event in self._connection.events():
            if (code := self._fault(event, most)) is not None:
                self._deaf = True
                yield Failure(code)
                return
            yield event

    def _fault(self, event: Event, most: int) -> int | None:
        """The code of what is wrong with an event, if anything is."""
        if isinstance(event, CloseConnection):
            # Where the frames were no frames, the library asks us to close; nobody else did.
            return event.code if self._connection.state is ConnectionState.OPEN else None
        if not isinstance(event, TextMessage | BytesMessage):
            return None
        self._size += _octets(event.data)
        if self._size > most:
            return CloseReason.MESSAGE_TOO_BIG
        if event.message_finished:
            self._size = 0
        return None

    def say(self, event: Event) -> None:
        """Have it told, unless this side is closing."""
        if self._connection.state is ConnectionState.OPEN:
            self._out += self._connection.send(event)

    def close(self, code: int, reason: str | None = None) -> None:
        """Have it told that it ends, or its own saying so answered."""
        if self._connection.state not in _OVER:
            self._out += self._connection.send(CloseConnection(code, reason))

    def flush(self) -> None:
        """One write for all that was said."""
        if self._out and not self.transport.is_closing():
            self.transport.write(bytes(self._out))
        self._out.clear()


def _octets(data: str | bytes | bytearray) -> int:
    if isinstance(data, str) and not data.isascii():
        return len(data.encode())
    return len(data)
