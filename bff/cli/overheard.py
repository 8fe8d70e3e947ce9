"""What goes through the door of `bff dev`, told to whoever draws it: who asked whom for what.

Paths without their queries and statuses; nothing else of a request or an answer is looked at.
"""

import asyncio
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from bff.browser.front import BACKCHANNEL_LOGOUT_URL
from bff.door.cycle import Cycle
from bff.door.protocol import Door
from bff.relay.lane import Passage
from bff.relay.route import OWN
from bff.wire import Answering

if TYPE_CHECKING:
    from bff.simulator import Exchange

Party = Literal["browser", "bff", "provider"]
Tell = Callable[["Exchange"], None]
Now = Callable[[], float]


class _Tap:
    """A transport that looks at the first line of each answer."""

    def __init__(
        self, transport: asyncio.Transport, connection: Door, tell: Tell, now: Now
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._tell = tell
        self._now = now
        self._answered: Answering | None = None
        self._began: dict[int, float] = {}  # by the identity of who answers

    def begins(self, answering: Answering) -> None:
        """A request has come."""
        self._began[id(answering)] = self._now()

    def write(self, data: bytes) -> None:
        """Pass it on; a new answer is told."""
        running = self._connection.turns.running
        if running is not None and running is not self._answered and data.startswith(b"HTTP/1.1 "):
            self._answered = running
            self._told(running, int(data[9:12]))
        self._transport.write(data)

    def _told(self, running: Answering, status: int) -> None:
        asked = _asked(running)
        at = self._began.pop(id(running), None)
        if asked is None or at is None or status < 200:
            return
        if isinstance(running, Passage) and running.response_started:
            # Asked a moment later: it stands below what it was asked for.
            self._tell(self._exchange("bff", "api", asked, status, at + 1e-6))
        caller: Party = "provider" if asked.endswith(BACKCHANNEL_LOGOUT_URL) else "browser"
        self._tell(self._exchange(caller, "bff", asked, status, at))

    def _exchange(
        self,
        source: Party,
        target: Literal["bff", "api"],
        what: str,
        status: int,
        at: float,
    ) -> "Exchange":
        from bff.simulator import Exchange  # here, so that a server in production never loads it

        seconds = self._now() - at
        return Exchange(
            source=source, target=target, what=what, status=status, at=at, seconds=seconds
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _asked(answering: Answering) -> str | None:
    """Method and path: a query may hold a code. Files of the application are of no interest."""
    if isinstance(answering, Passage):
        return f"{answering.request.method} {_text(answering.request.path)}"
    if isinstance(answering, Cycle) and answering.scope["raw_path"].startswith(OWN):
        return f"{answering.scope['method']} {_text(answering.scope['raw_path'])}"
    return None


def _text(path: bytes) -> str:
    return path.decode("latin-1")


def overheard(tell: Tell, *, now: Now) -> Callable[[type[Door]], type[Door]]:
    """What makes of a door one at which somebody listens. `now`: seconds since the epoch."""

    def around(protocol: type[Door]) -> type[Door]:
        taps: weakref.WeakKeyDictionary[Door, _Tap] = weakref.WeakKeyDictionary()

        def connection_made(self: Door, transport: asyncio.Transport) -> None:
            taps[self] = tap = _Tap(transport, self, tell, now)
            protocol.connection_made(self, tap)  # type: ignore[arg-type]  # one by its methods

        def enqueue(self: Door, answering: Answering) -> None:
            taps[self].begins(answering)
            protocol.enqueue(self, answering)

        return type("Door", (protocol,), {"connection_made": connection_made, "enqueue": enqueue})

    return around
