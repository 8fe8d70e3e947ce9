"""A stream of an API lives by what it says: heartbeats keep it, silence ends it."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.parts.config import config
from tests.parts.event_source import EventSource
from tests.parts.raw import Received, Villain, raw, villain
from tests.parts.site import serving
from tests.wire.test_lane import PATIENCE, ask
from tests.wire.test_streams import EVENTS

IDLE = 1.0  # seconds of silence that the route allows: ten times what is between two heartbeats
BEATS_FOR = 3.5 * IDLE


class Heart:
    """An event stream whose heartbeats stop some day; then it only waits to be cut."""

    def __init__(self) -> None:
        self.beats = 0
        self.stopped = threading.Event()
        self.cut = threading.Event()

    def __call__(self, connection: socket.socket, _: Received) -> str:
        connection.settimeout(PATIENCE)
        connection.sendall(EVENTS)
        end = time.monotonic() + BEATS_FOR
        while time.monotonic() < end:
            beat = b": %d\n\n" % self.beats
            connection.sendall(b"%x\r\n%s\r\n" % (len(beat), beat))
            self.beats += 1
            self.stopped.wait(IDLE / 10)
        self.stopped.set()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        self.cut.set()
        return "close"


@pytest.fixture
def upstream() -> Iterator[Villain]:
    with villain() as found:
        yield found


def listen(source: EventSource, heard: list[bytes]) -> None:
    """Hear all that is said. Raises ConnectionError if it is cut: its last chunk never comes."""
    while (beat := source.block()) is not None:
        heard.append(beat)


@pytest.mark.rule("W-07")
def test_a_stream_lives_while_its_heart_beats_and_is_cut_when_it_stops(upstream: Villain) -> None:
    text = config(
        issuer="http://127.0.0.1:1",
        api=upstream.url,
        route=f'auth = "none"\nidle_timeout = "{IDLE:.0f}s"',
    )
    heart, heard = Heart(), list[bytes]()
    upstream.script(heart)
    with serving(text) as site, raw(site.port, timeout=PATIENCE) as wire:
        wire.send(ask(site, "/api/events"))
        source = EventSource(wire)
        assert source.status == 200
        with pytest.raises(ConnectionError):
            listen(source, heard)
        assert heart.stopped.is_set()  # it was not cut before
        assert heart.cut.wait(PATIENCE)
    assert heard == [b": %d" % number for number in range(heart.beats)]
