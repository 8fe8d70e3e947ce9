"""The queue of requests before an upstream whose connections are all at work: short, and not long.

As many wait as there may be connections, and each as long as connecting may take. Whoever is too
much, or has waited too long, hears that there is no place (Q-24), and the upstream hears nothing.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bff.journal.metrics import REFUSALS, snapshot
from tests.parts.config import config
from tests.parts.raw import OK, Raw, RawAnswer, Received, Villain, raw, villain
from tests.parts.site import Site, serving
from tests.parts.waiting import until
from tests.wire.test_lane import PATIENCE, ask


@pytest.fixture
def upstream() -> Iterator[Villain]:
    with villain() as found:
        yield found


@dataclass(frozen=True)
class Busy:
    """A site whose only connection upstream is at work for `first`, until somebody lets it go."""

    site: Site
    first: Raw
    let_go: threading.Event

    def waiting(self) -> int:
        (pool,) = self.site.application.site.upstreams
        return len(pool._waiting)


@contextlib.contextmanager
def busy(upstream: Villain, connect_timeout: str) -> Iterator[Busy]:
    let_go = threading.Event()

    def held(connection: socket.socket, _: Received) -> str:
        assert let_go.wait(PATIENCE)
        connection.sendall(OK)
        return "open"

    text = config(
        issuer="http://127.0.0.1:1",
        api=upstream.url,
        route=f'auth = "none"\nconnections = 1\nconnect_timeout = "{connect_timeout}"',
    )
    upstream.script(held)
    with serving(text) as site, raw(site.port, timeout=PATIENCE) as first:
        first.send(ask(site, "/api/first"))
        assert upstream.arrived.acquire(timeout=PATIENCE)
        try:
            yield Busy(site, first, let_go)
        finally:
            let_go.set()


def paths(upstream: Villain) -> list[bytes]:
    """What has come up."""
    return [received.line.split(b" ")[1] for received in upstream.received]


def counted() -> float:
    """How often there was no place, as the metrics tell it."""
    return sum(
        value
        for labels, value in snapshot([]).get(REFUSALS.name, [])
        if labels == ("overloaded",) and isinstance(value, float | int)
    )


def no_place(answer: RawAnswer) -> bool:
    """Whether that is what it says: to the page, to its library, and to whoever reads logs."""
    assert (answer.get("retry-after") or "").isdigit()
    assert answer.get("proxy-status") == "bff; error=connection_limit_reached"
    return (answer.status, json.loads(answer.body)["reason"]) == (503, "overloaded")


@pytest.mark.rule("Q-24", "E-04", "A-13")
def test_beyond_the_queue_a_request_is_refused_at_once_and_the_queue_is_served(
    upstream: Villain,
) -> None:
    with (
        busy(upstream, "1m") as found,
        raw(found.site.port, timeout=PATIENCE) as second,
        raw(found.site.port, timeout=PATIENCE) as further,
    ):
        before = counted()
        second.send(ask(found.site, "/api/second"))
        until(lambda: found.waiting() == 1)
        for _ in range(3):
            further.send(ask(found.site, "/api/further"))
            assert no_place(further.answer())
        assert counted() == before + 3
        assert paths(upstream) == [b"/first"]
        found.let_go.set()
        assert [wire.answer().body for wire in (found.first, second)] == [b"ok", b"ok"]
        further.send(ask(found.site, "/api/again"))
        assert further.answer().body == b"ok"
    assert paths(upstream) == [b"/first", b"/second", b"/again"]
    assert upstream.connections == 1


@pytest.mark.rule("Q-24", "E-04", "A-13")
def test_whoever_waits_in_the_queue_for_too_long_is_refused_and_the_upstream_never_hears_of_it(
    upstream: Villain,
) -> None:
    with busy(upstream, "500ms") as found, raw(found.site.port, timeout=PATIENCE) as second:
        before = counted()
        second.send(ask(found.site, "/api/second"))
        assert no_place(second.answer())  # the first is held all the while
        assert counted() == before + 1
        found.let_go.set()
        assert found.first.answer().body == b"ok"
        second.send(ask(found.site, "/api/again"))
        assert second.answer().body == b"ok"
    assert paths(upstream) == [b"/first", b"/again"]
    assert upstream.connections == 1
