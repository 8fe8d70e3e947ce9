"""What an EventSource of a page reads, event by event, from octets of a real connection.

Comments, which say nothing, are passed over.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from tests.parts.browser import Browser
from tests.parts.raw import Raw, raw

PATIENCE = 30.0  # seconds until something that must come is given up

Event = tuple[str, dict[str, Any]]


class EventSource:
    """An open stream."""

    def __init__(self, wire: Raw) -> None:
        self.wire = wire
        self.status, self.fields = wire.head()
        self._text = b""
        self.ended = False  # whole, by its last chunk

    def _more(self) -> bool:
        """Take the next chunk; False: that was the last."""
        size = int(self.wire.line(), 16)
        if not size:
            self.wire.line()
            self.ended = True
            return False
        self._text += self.wire.take(size)
        assert self.wire.take(2) == b"\r\n"
        return True

    def block(self) -> bytes | None:
        """The next event or comment as it is; None: the stream is over."""
        while b"\n\n" not in self._text:
            if not self._more():
                return None
        found, _, self._text = self._text.partition(b"\n\n")
        return found

    def event(self) -> Event:
        """The next event: its name and its data. Comments would go on for ever."""
        until = time.monotonic() + PATIENCE
        while (block := self.block()) is not None and time.monotonic() < until:
            if block.startswith(b":"):
                continue
            first, second = block.decode().split("\n")
            assert first.startswith("event: ")
            assert second.startswith("data: ")
            return first[7:], json.loads(second[6:])
        raise AssertionError("the stream is over, or nothing is said any more")

    def ends(self) -> bool:
        """Whether it ends here: whole, and with the connection."""
        while (block := self.block()) is not None:
            assert block.startswith(b":"), block
        return self.ended and self.wire.closed


def request(page: Browser, *more: str, method: str = "GET") -> bytes:
    """What `new EventSource("/bff/events")` sends."""
    cookies = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
    lines = [
        f"{method} /bff/events HTTP/1.1",
        f"Host: {page.site.host}",
        "Accept: text/event-stream",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Dest: empty",
        f"Cookie: {cookies}",
    ]
    return "\r\n".join([*lines, *more, "\r\n"]).encode()


@contextlib.contextmanager
def event_source(page: Browser) -> Iterator[EventSource]:
    """A stream of that page, after its head."""
    with raw(page.site.port, timeout=PATIENCE) as wire:
        wire.send(request(page))
        source = EventSource(wire)
        assert source.status == 200, wire.buffer
        yield source


@contextlib.contextmanager
def listening(page: Browser) -> Iterator[EventSource]:
    """The same after the present state."""
    with event_source(page) as source:
        name, _ = source.event()
        assert name == "session"
        yield source
