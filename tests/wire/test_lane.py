"""The lane between two connections: order, back-pressure, and a side that goes away."""

import asyncio
import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Sites, Told
from tests.parts.browser import browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.race import patiently
from tests.parts.raw import Raw, Received, Villain, raw
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving
from tests.parts.steps import holding

MEBI = 1024 * 1024
PATIENCE = 20.0  # seconds until a test gives up; nothing is expected to take as long
ROUTES = """
[[routes]]
path = "/open"
upstream = "{url}"
auth = "none"
"""


@pytest.fixture(scope="module")
def site(upstream: Villain) -> Iterator[Site]:
    text = config(
        issuer="http://127.0.0.1:1", api=upstream.url, routes=ROUTES.format(url=upstream.url)
    )
    with serving(text) as found:
        yield found


@pytest.fixture
def wire(site: Site, upstream: Villain) -> Iterator[Raw]:
    upstream.script()
    with raw(site.port, timeout=PATIENCE) as found:
        yield found


def ask(site: Site, path: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {site.host}", "Sec-Fetch-Site: same-origin"]
    return "\r\n".join([*lines, "X-CSRF: 1", *fields, "\r\n"]).encode() + body


class Gone:
    """An answer that waits until the other side closes, and tells it."""

    def __init__(self, first: bytes = b"") -> None:
        self._first = first
        self.seen = threading.Event()

    def __call__(self, connection: socket.socket, _request: Received) -> str:
        connection.settimeout(PATIENCE)
        if self._first:
            connection.sendall(self._first)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
        self.seen.set()
        return "close"


def nobody_is_here(site: Site) -> None:
    """Return when whoever has gone is known to have gone."""
    patience = patiently()
    while site.application.site.crowd.requests.taken and patience.left():
        threading.Event().wait(0.02)


def test_whoever_has_gone_asks_nothing_though_the_word_was_lost(
    sites: Sites, upstream: Villain, provider: Control, redis: RedisProcess, told: Told
) -> None:
    site = sites(api=upstream.url, store="redis")
    with browsing(site) as browser:
        browser.sign_in()
        opened = site.application.site.fronts["default"].front.sessions._opened
        cookie = f"Cookie: __Host-Http-bff={browser.session_cookie}"
        upstream.script()
        for _ in range(3):
            opened._kept.clear()  # so that the record is loaded
            with raw(site.port, timeout=PATIENCE) as wire:
                with holding(site, "load", 1, "before", deaf=True) as held:
                    wire.send(ask(site, "/api/x", cookie))
                    held.wait()
                    wire.close()
                    nobody_is_here(site)
                patience = patiently()
                while not opened._kept and patience.left():  # what was held goes on to its end
                    threading.Event().wait(0.02)
        site.settle()
        assert upstream.received == []
        upstream.script(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        assert browser.fetch("GET", "/api/y").status_code == 200
        assert upstream.arrived.acquire(timeout=PATIENCE)
    (upstreams,) = site.application.site.upstreams
    assert len(upstreams._open) == len(upstreams._idle) == 1  # none was taken and not given back
    assert [line for line in told() if line["event"] == "crashed"] == []


@pytest.mark.rule("A-12")
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"", id="before the answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", id="within a body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", id="in a stream"
        ),
    ],
)
def test_a_browser_that_goes_away_ends_the_exchange_with_the_upstream(
    site: Site, wire: Raw, upstream: Villain, first: bytes
) -> None:
    gone = Gone(first)
    upstream.script(gone)
    wire.send(ask(site, "/open/x"))
    assert upstream.arrived.acquire(timeout=PATIENCE)
    if first:
        assert wire.head()[0] == 200
    wire.close()
    assert gone.seen.wait(PATIENCE)


@pytest.mark.rule("A-12")
def test_a_browser_that_goes_away_within_its_upload_ends_it_upstream(
    site: Site, upstream: Villain
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        text = config(
            issuer="http://127.0.0.1:1",
            api=f"http://127.0.0.1:{listening.getsockname()[1]}",
            route='auth = "none"',
        )
        with serving(text) as here, raw(here.port) as wire:
            wire.send(ask(here, "/api/x", "Content-Length: 100", method="POST", body=b"abc"))
            connection, _ = listening.accept()
            connection.settimeout(PATIENCE)
            with connection:
                seen = b""
                while not seen.endswith(b"abc"):
                    seen += connection.recv(65536)
                wire.close()
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(65536) == b""


def test_answers_of_the_lane_and_of_the_application_keep_the_order_of_the_requests(
    site: Site, wire: Raw, upstream: Villain
) -> None:
    number = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d"
    upstream.script(*(number % place for place in range(3)))
    wire.send(
        ask(site, "/open/0")
        + ask(site, "/bff/session")
        + ask(site, "/open/1", "Content-Length: 3", method="POST", body=b"abc")
        + ask(site, "/api/x")
        + ask(site, "/nowhere/at/all")
        + ask(site, "/open/2", "Transfer-Encoding: chunked", method="PUT", body=b"0\r\n\r\n")
    )
    answers = [wire.answer() for _ in range(6)]
    assert [answer.status for answer in answers] == [200, 200, 200, 401, 404, 200]
    assert [answers[place].body for place in (0, 2, 5)] == [b"0", b"1", b"2"]
    assert [received.body for received in upstream.received] == [b"", b"abc", b""]


FORM = "Content-Type: application/x-www-form-urlencoded"
# Each comes in one read with its head, and so before its turn.
UNWANTED = [
    pytest.param((FORM, "Content-Length: 12"), b"access_token", 400, id="known at its end"),
    pytest.param((FORM, "Content-Length: 14"), b"access_token=x", 400, id="known within it"),
    pytest.param(
        ("Transfer-Encoding: chunked",), b"11\r\n%b\r\n0\r\n\r\n" % (b"x" * 17), 413, id="too large"
    ),
]


@pytest.fixture(scope="module")
def narrow(upstream: Villain) -> Iterator[Site]:
    """A site on which two requests may be under way, with bodies of sixteen octets at most."""
    text = config(
        issuer="http://127.0.0.1:1", api=upstream.url, route='auth = "optional"\nmax_body = "16B"',
        routes=ROUTES.format(url=upstream.url), more="[limits]\nrequests = 2",
    )  # fmt: skip
    with serving(text) as found:
        yield found


@pytest.mark.rule("Q-05", "Q-19", "Q-24")
@pytest.mark.parametrize(("fields", "body", "status"), UNWANTED)
def test_a_body_refused_before_its_turn_takes_no_place(
    narrow: Site, upstream: Villain, fields: tuple[str, ...], body: bytes, status: int
) -> None:
    upstream.script()
    unwanted = ask(narrow, "/api/x", *fields, method="POST", body=body)
    for _ in range(3):
        with raw(narrow.port, timeout=PATIENCE) as wire:
            wire.send(unwanted)
            assert wire.answer().status == status
    with raw(narrow.port, timeout=PATIENCE) as wire:
        wire.send(ask(narrow, "/open/x"))
        assert wire.answer().status == 200
    assert len(upstream.received) == 1
    assert narrow.application.site.crowd.requests.taken == 0


@pytest.mark.rule("Q-05", "Q-24")
def test_many_refused_forms_in_one_read_take_no_place(narrow: Site, upstream: Villain) -> None:
    upstream.script()
    fields, body = (FORM, "Content-Length: 12"), b"access_token"
    with raw(narrow.port, timeout=PATIENCE) as wire:
        wire.send(ask(narrow, "/api/x", *fields, method="POST", body=body) * 20)
        assert {wire.answer().status for _ in range(20)} == {400}
        wire.send(ask(narrow, "/open/x"))
        assert wire.answer().status == 200


@pytest.mark.rule("Q-05", "Q-10")
@pytest.mark.parametrize(("fields", "body", "status"), UNWANTED)
def test_a_body_refused_before_its_turn_is_answered_in_its_turn(
    narrow: Site, upstream: Villain, fields: tuple[str, ...], body: bytes, status: int
) -> None:
    arrived, release = threading.Event(), threading.Event()

    def held(connection: socket.socket, _request: Received) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        arrived.set()
        release.wait(PATIENCE)
        connection.sendall(b"k")

    upstream.script(held)
    with raw(narrow.port, timeout=PATIENCE) as wire:
        wire.send(ask(narrow, "/open/x") + ask(narrow, "/api/x", *fields, method="POST", body=body))
        assert arrived.wait(PATIENCE)
        release.set()
        assert wire.answer().body == b"ok"
        assert wire.answer().status == status


@pytest.mark.rule("A-12", "Q-05")
def test_a_refusal_whose_turn_never_comes_leaves_nothing(narrow: Site, upstream: Villain) -> None:
    def broken(connection: socket.socket, _request: Received) -> str:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        return "close"

    upstream.script(broken)
    refused = ask(narrow, "/api/x", FORM, "Content-Length: 12", method="POST", body=b"access_token")
    with raw(narrow.port, timeout=PATIENCE) as wire:
        wire.send(ask(narrow, "/open/x") + refused)
        assert wire.head()[0] == 200
        assert wire.rest() == b"abc"
    narrow.run(asyncio.wait_for(narrow.application.site.users.gone(), PATIENCE))


def test_many_pipelined_requests_do_not_pile_up_on_the_stack(site: Site, wire: Raw) -> None:
    count = 1500
    threading.Thread(target=wire.send, args=(ask(site, "/api/x") * count,), daemon=True).start()
    assert {wire.answer().status for _ in range(count)} == {401}


def _pour(size: int, sent: list[int], full: threading.Event) -> Callable[..., str]:
    """An upstream's answer of `size` octets; `full` is set when nobody takes them for a while."""

    def answer(connection: socket.socket, _request: Received) -> str:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        connection.settimeout(1)
        data = memoryview(b"\xa5" * MEBI)
        while sum(sent) < size:
            try:
                sent.append(connection.send(data[: size - sum(sent)]))
            except TimeoutError:
                full.set()
        full.set()
        return "open"

    return answer


@pytest.mark.rule("Q-19")
def test_a_browser_that_reads_slowly_makes_the_upstream_wait(site: Site, upstream: Villain) -> None:
    size, sent, full = 64 * MEBI, list[int](), threading.Event()
    upstream.script(_pour(size, sent, full))
    with raw(site.port, timeout=PATIENCE) as wire:
        wire.send(ask(site, "/open/large"))
        assert full.wait(PATIENCE)
        assert sum(sent) < size / 2  # what lies between them is what two sockets hold
        status, _ = wire.head()
        digest, left = hashlib.sha256(wire.buffer), size - len(wire.buffer)
        while left and (data := wire.socket.recv(MEBI)):
            digest.update(data)
            left -= len(data)
    assert status == 200
    assert digest.digest() == hashlib.sha256(b"\xa5" * size).digest()


@pytest.mark.rule("Q-19")
@pytest.mark.rule("Q-24")
def test_a_browser_that_takes_nothing_for_too_long_is_given_up(upstream: Villain) -> None:
    text = config(
        issuer="http://127.0.0.1:1",
        api=upstream.url,
        route='auth = "none"',
        more='[server]\nwrite_timeout = "300ms"',
    )
    cut = threading.Event()

    def pour(connection: socket.socket, _: Received) -> str:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(bytes(MEBI))
        cut.set()
        return "close"

    with serving(text) as here, raw(here.port, timeout=PATIENCE) as wire:
        upstream.script(pour)
        wire.send(ask(here, "/api/x"))
        assert cut.wait(PATIENCE)


def test_an_upstream_that_reads_slowly_makes_the_browser_wait(site: Site) -> None:
    size = 64 * MEBI
    with socket.create_server(("127.0.0.1", 0)) as listening:
        text = config(
            issuer="http://127.0.0.1:1",
            api=f"http://127.0.0.1:{listening.getsockname()[1]}",
            route='auth = "none"',
        )
        with serving(text) as here, raw(here.port) as wire:
            wire.send(ask(here, "/api/x", f"Content-Length: {size}", method="POST"))
            connection, _ = listening.accept()
            with connection:
                wire.socket.settimeout(1)
                data, sent = memoryview(b"\x5a" * MEBI), 0
                with contextlib.suppress(TimeoutError):
                    while sent < size:
                        sent += wire.socket.send(data[: size - sent])
                assert sent < size / 2  # what lies between them is what two sockets hold
                reader = threading.Thread(target=_drain, args=(connection, size))
                reader.start()
                wire.socket.settimeout(PATIENCE)
                while sent < size:
                    sent += wire.socket.send(data[: size - sent])
                reader.join(PATIENCE)
                assert wire.answer().status == 204


def _drain(connection: socket.socket, size: int) -> None:
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += connection.recv(65536)
    left = size - len(seen.partition(b"\r\n\r\n")[2])
    while left:
        left -= len(connection.recv(MEBI))
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.rule("W-07")
def test_each_part_of_a_stream_arrives_before_the_next_is_sent(
    site: Site, wire: Raw, upstream: Villain
) -> None:
    taken = threading.Semaphore(0)

    def stream(connection: socket.socket, request: Received) -> str:
        assert request.all(b"last-event-id") == [b"41"]
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        for number in range(5):
            assert taken.acquire(timeout=PATIENCE)
            connection.sendall(b"9\r\ndata: %d\n\n\r\n" % number)
        connection.sendall(b"0\r\n\r\n")
        return "open"

    upstream.script(stream)
    wire.send(ask(site, "/open/events", "Last-Event-ID: 41"))
    assert wire.head()[0] == 200
    for number in range(5):
        taken.release()
        assert wire.line() == b"9"
        assert wire.take(11) == b"data: %d\n\n\r\n" % number
    assert wire.line() == b"0"
