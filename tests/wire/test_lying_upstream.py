"""An upstream that lies about its answers: each lie alone, and thousands of them mixed.

Nobody is ever told what was meant for another, and nothing that was cut short looks complete.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from bff.relay.upstream import Upstream
from tests.parts.browser import browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.liar import MARKS, Asker, lying
from tests.parts.lies import CUT, FAULT, FAULTS, UNREACHABLE, Lie
from tests.parts.odd_answers import ODD
from tests.parts.raw import OK, Raw, Received, Villain, raw
from tests.parts.site import Site, serving
from tests.parts.tricks.trick import OURS, request
from tests.wire.test_upstream_pool import Asking

EXCHANGES: Final = 1500  # of each person; `make soak` has many more

REASONS = {
    "bff; error=http_protocol_error": FAULT,
    "bff; error=connection_terminated": UNREACHABLE,
}


@pytest.fixture(scope="module")
def site(upstream: Villain) -> Iterator[Site]:
    route = 'auth = "none"\nconnections = 1'
    with serving(config(issuer="http://127.0.0.1:1", api=upstream.url, route=route)) as found:
        yield found


def told(wire: Raw, method: str) -> str | tuple[int, bytes]:
    """What a browser is told of an answer."""
    try:
        found = wire.answer(method)
    except ConnectionError:
        return CUT
    if found.status == 502:
        return REASONS[found.get("proxy-status") or ""]
    assert found.status != 204 or found.get("content-length") is None  # RFC 9110 §8.6
    return found.status, found.body


@pytest.mark.rule("A-08", "A-09", "A-10")
@pytest.mark.parametrize("lie", [pytest.param(each, id=each.sentence) for each in FAULTS + ODD])
def test_a_lie_is_told_as_what_it_is_and_the_next_answer_is_its_own(
    site: Site, upstream: Villain, lie: Lie
) -> None:
    def say(connection: socket.socket, _: Received) -> str:
        connection.sendall(lie.octets)
        return "close" if lie.closes else ""

    upstream.script(say, OK, OK)
    with raw(site.port) as liar, raw(site.port) as another:
        liar.send(request(method=lie.method.encode()))
        assert told(liar, lie.method) == lie.told
        another.send(request(method=b"GET", target=b"/api/next"))
        assert another.answer().body == b"ok"
    first, second = upstream.received
    assert (first.connection == second.connection) == lie.kept


def mixed(provider: Control, count: int, *, seed: int) -> None:
    """Two people ask at once, so many times each, over one upstream connection."""
    with lying(seed) as liar:
        text = config(issuer=provider.simulator.issuer, api=liar.url, route="connections = 1")
        with serving(text) as site:
            askers = []
            for mark in MARKS.values():
                with browsing(site) as browser:
                    browser.sign_in(mark.name)
                    name = next(each for each in browser.cookies if each.endswith("bff"))
                    cookie = f"Cookie: {name}={browser.cookies[name].value}\r\n".encode()
                    askers.append(Asker(site.port, mark, OURS + cookie, seed))
            threads = [threading.Thread(target=each.ask, args=(count,)) for each in askers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert [each.surprises for each in askers] == [[], []]
    assert all(each.whole > count // 3 for each in askers)
    assert liar.asked >= 2 * count * 0.99


@pytest.mark.rule("A-08", "A-09", "A-10", "Q-21")
def test_two_people_on_one_upstream_connection_never_read_each_others(provider: Control) -> None:
    mixed(provider, EXCHANGES, seed=1)


@pytest.mark.rule("A-08")
@pytest.mark.parametrize(
    "more", [b"x-t: 1\r\n", b"x-t: " + b"a" * 1000], ids=["many fields", "one field"]
)
def test_trailers_without_end_are_not_taken(site: Site, upstream: Villain, more: bytes) -> None:
    def say(connection: socket.socket, _: Received) -> str:
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")
        while True:  # until the other side hangs up
            connection.sendall(more * 10)

    upstream.script(say, OK)
    with raw(site.port) as wire:
        wire.send(request(method=b"GET"))
        assert told(wire, "GET") == CUT


@pytest.mark.rule("A-08")
def test_a_connection_with_octets_of_the_request_left_is_not_kept() -> None:
    """An upstream that has answered already may read the rest as another's request."""

    async def main(port: int, listening: socket.socket) -> bool:
        pool = Upstream(f"http://127.0.0.1:{port}", connections=1, connect_timeout=20)
        connection = await pool.acquire(careful=False)
        peer, _ = listening.accept()
        with peer:
            asking = Asking()
            over = asyncio.ensure_future(asking.ask(connection))
            await asyncio.sleep(0)
            connection.write(bytes(64 << 20))  # more than any buffer between the two
            peer.sendall(OK)
            assert await over is None
            pool.give_back(connection)
            kept = connection.open
            pool.close()
            await asyncio.sleep(0)  # closing takes a turn of the loop
            return kept

    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert asyncio.run(main(listening.getsockname()[1], listening)) is False


@pytest.mark.rule("Q-21")
@pytest.mark.parametrize(
    ("method", "octets", "times"),
    [
        pytest.param("GET", b"", 2, id="GET, once more on a new connection"),
        pytest.param("HEAD", b"", 2, id="HEAD, once more on a new connection"),
        pytest.param("POST", b"", 1, id="POST, never"),
        pytest.param("PUT", b"", 1, id="PUT with a body, never"),
        pytest.param("DELETE", b"", 1, id="DELETE, never"),
        pytest.param("GET", b"H", 1, id="GET after an octet of an answer, never"),
        pytest.param(
            "GET", b"HTTP/1.1 103 Hints\r\n\r\n", 1, id="GET after an interim answer, never"
        ),
    ],
)
def test_what_a_closed_connection_swallowed_is_said_again_at_most_once(
    site: Site, upstream: Villain, method: str, octets: bytes, times: int
) -> None:
    def hang_up(connection: socket.socket, _: Received) -> str:
        connection.sendall(octets)
        return "close"

    upstream.script(OK, *[hang_up] * 9)
    with raw(site.port) as first, raw(site.port) as second:
        first.send(request(method=b"GET", target=b"/api/first"))
        assert first.answer().status == 200  # from now on there is a connection that is kept
        body = (b"Content-Length: 2",) if method in ("POST", "PUT") else ()
        second.send(request(*body, method=method.encode(), body=b"ok" if body else b""))
        assert told(second, "GET" if method != "HEAD" else method) == UNREACHABLE
    assert len(upstream.received) == 1 + times


@pytest.mark.rule("Q-21")
def test_a_new_connection_that_closes_is_not_tried_again(upstream: Villain) -> None:
    upstream.script(*[lambda *_: "close"] * 9)
    with (
        serving(
            config(issuer="http://127.0.0.1:1", api=upstream.url, route='auth = "none"')
        ) as site,
        raw(site.port) as wire,
    ):
        wire.send(request(method=b"GET"))
        assert told(wire, "GET") == UNREACHABLE
    assert len(upstream.received) == 1
