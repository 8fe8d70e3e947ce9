"""A head that comes again is not parsed again: nobody on either side may see a difference."""

import threading
from collections.abc import Callable, Iterator

import pytest

from bff.door.known import known
from bff.door.protocol import Door
from tests.parts.config import config
from tests.parts.cuts import Cuts, cutting
from tests.parts.raw import OK, Raw, Received, Villain, raw
from tests.parts.site import Site, serving
from tests.parts.waiting import PATIENCE

FIELDS = b"Host: app.example.com\r\nSec-Fetch-Site: same-origin\r\nAccept: a, b\r\n"


def head(
    target: bytes = b"/api/a", *lines: bytes, method: bytes = b"GET", version: bytes = b"1.1"
) -> bytes:
    return b"%s %s HTTP/%s\r\n%s%s\r\n" % (method, target, version, FIELDS, b"".join(lines))


@pytest.fixture(scope="module")
def site(upstream: Villain) -> Iterator[Site]:
    text = config(issuer="http://127.0.0.1:1", api=upstream.url, route='auth = "none"')
    with serving(text) as found:
        yield found


@pytest.fixture
def wire(site: Site, upstream: Villain) -> Iterator[Raw]:
    upstream.script()
    known.forget()
    with raw(site.port) as connection:
        yield connection


def teach(wire: Raw, sent: bytes) -> None:
    """Send it twice: then it is known."""
    for _ in range(2):
        wire.send(sent)
        assert wire.answer().status == 200
    assert len(known) == 1


def told(received: Received) -> tuple[object, ...]:
    """What an upstream was told, but for the one field that differs with every request."""
    fields = [(name, value) for name, value in received.headers if name != b"x-request-id"]
    return received.line, fields, received.body


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"DELETE"])
def test_the_upstream_is_told_the_same_and_the_browser_hears_the_same(
    wire: Raw, site: Site, upstream: Villain, method: bytes
) -> None:
    again = head(b"/api/a?b=%2f", b"X-CSRF: 1\r\n", method=method)
    upstream.script(*[b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"] * 4)
    answers = []
    for _ in range(3):
        wire.send(again)
        answers.append(wire.answer(method.decode()))
    assert len(known) == 1
    with raw(site.port) as another:
        another.send(again)
        answers.append(another.answer(method.decode()))
    assert len({(each.status, tuple(each.headers), each.body) for each in answers}) == 1
    first, *others = map(told, upstream.received)
    assert others == [first] * 3
    ids = [dict(each.headers)[b"x-request-id"] for each in upstream.received]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (head(), 1),
        (head(b"/api/a", b"X-Request-Id: 1\r\n"), 0),
        (head(b"/api/a", b"Connection: close\r\n"), 0),
        (head(version=b"1.0"), 0),
        (head(b"/api/a", b"X-CSRF: 1\r\nContent-Length: 1\r\n", method=b"POST") + b"a", 0),
        (head(b"/api/a", *[b"a: b\r\n"] * 70), 0),
        (head(b"/api/a", b"a: " + b"b" * 5000 + b"\r\n"), 0),
        (head() + head(), 0),
        (head(b"http://app.example.com/api/a"), 0),
        (b"\r\n" + head(), 0),
    ],
)
def test_what_is_kept_to_be_known(wire: Raw, site: Site, sent: bytes, kept: int) -> None:
    for _ in range(2):
        with raw(site.port) as another:
            another.send(sent)
            assert another.answer().status == 200
    assert len(known) == kept


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/api/\x01", 400),
        (b"/api/a\r\nX:", 400),
        (b"/api/#", 400),
        (b"/api/\xff", 400),
        (b"/api/..%2f", 400),
        (b"/api/" + b"x" * 9000, 414),
        (b"/elsewhere", 404),
        (b"api", 400),
        (b"*", 400),
    ],
)
def test_a_target_is_judged_each_time(wire: Raw, target: bytes, status: int) -> None:
    teach(wire, head())
    wire.send(head(target))
    with_known = wire.answer()
    known.forget()
    with raw(wire.socket.getpeername()[1]) as another:
        another.send(head(target))
        without = another.answer()
    assert with_known.status == without.status == status
    assert with_known.get("connection") == without.get("connection")


def test_nothing_of_the_request_before_goes_along(wire: Raw, upstream: Villain) -> None:
    teach(wire, head())
    wire.send(head(b"/api/a", b"traceparent: 00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01\r\n"))
    assert wire.answer().status == 200
    wire.send(head())
    assert wire.answer().status == 200
    first, _, second, third = upstream.received
    assert second.all(b"traceparent")
    assert told(third) == told(first)


@pytest.fixture
def door_cuts() -> Iterator[Cuts]:
    with cutting(Door, lambda door: not door.transport.is_closing()) as found:
        yield found


def test_known_heads_are_found_however_they_are_cut(
    wire: Raw, upstream: Villain, door_cuts: Cuts
) -> None:
    teach(wire, head())
    three = [head(b"/api/1"), head(b"/api/2"), head(b"/api/3")]
    first, second = len(three[0]), len(three[0] + three[1])
    for cut in sorted({*range(1, second, 7), first, second}):
        upstream.script()
        door_cuts.sizes = [cut]
        wire.send(b"".join(three))
        assert [wire.answer().status for _ in range(3)] == [200] * 3
        assert [each.line.split()[1] for each in upstream.received] == [b"/1", b"/2", b"/3"]


def holding(released: threading.Event) -> Callable[[object, Received], None]:
    def answer(connection: object, _: Received) -> None:
        assert released.wait(PATIENCE)
        connection.sendall(OK)  # type: ignore[attr-defined]

    return answer


def test_a_known_head_waits_for_its_turn(wire: Raw, upstream: Villain) -> None:
    teach(wire, head())
    released = threading.Event()
    late = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate"
    upstream.script(holding(released), late)
    wire.send(head())
    while not upstream.received:
        assert upstream.arrived.acquire(timeout=PATIENCE)
    wire.send(head(b"/api/b"))
    released.set()
    assert [wire.answer().body, wire.answer().body] == [b"ok", b"late"]


def test_behind_the_last_request_of_a_connection_a_known_head_is_none(
    wire: Raw, upstream: Villain
) -> None:
    teach(wire, head())
    released = threading.Event()
    upstream.script(holding(released))
    wire.send(head(b"/api/a", b"Connection: close\r\n"))
    while not upstream.received:
        assert upstream.arrived.acquire(timeout=PATIENCE)
    wire.send(head(b"/api/b"))
    released.set()
    answer = wire.answer()
    assert (answer.status, answer.get("connection")) == (200, "close")
    assert wire.rest() == b""
    assert len(upstream.received) == 1
