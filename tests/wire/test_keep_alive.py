"""An idle connection of a browser is closed after `server.keep_alive`, and no other is."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from bff.simulator import Simulator
from tests.parts.raw import OK, Raw, Received, Villain, raw
from tests.parts.redis_process import RedisProcess
from tests.wire.serve_process import Served, served

PATIENCE = 20.0  # seconds until a test gives up
GET = b"GET /open/x HTTP/1.1\r\nHost: app.example.com\r\nX-CSRF: 1\r\n\r\n"


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    simulator: Simulator,
    redis_server: RedisProcess,
    upstream: Villain,
) -> Iterator[Served]:
    with served(
        tmp_path_factory.mktemp("keep-alive"),
        issuer=simulator.issuer,
        store=redis_server.url,
        routes=f'[[routes]]\npath = "/open"\nupstream = "{upstream.url}"\nauth = "none"',
        more='[server]\nkeep_alive = "500ms"',
    ) as found:
        found.ready()
        yield found


def connected(site: Served) -> contextlib.AbstractContextManager[Raw]:
    return raw(int(site.public.rpartition(":")[2]), timeout=PATIENCE)


def test_a_connection_serves_what_comes_soon_and_is_closed_when_nothing_more_does(
    site: Served,
) -> None:
    with connected(site) as wire:
        for _ in range(2):
            wire.send(GET)
            answer = wire.answer()
            assert (answer.status, answer.get("connection")) == (200, None)
        assert wire.closed


def test_a_connection_is_not_idle_while_its_answer_is_waited_for(
    site: Served, upstream: Villain
) -> None:
    let_go = threading.Event()

    def held(connection: socket.socket, _: Received) -> str:
        let_go.wait(PATIENCE)
        connection.sendall(OK)
        return "open"

    upstream.script(held)
    upstream.arrived = threading.Semaphore(0)
    with connected(site) as wire:
        wire.send(GET)
        assert upstream.arrived.acquire(timeout=PATIENCE)
        with connected(site) as idle:  # for which nothing is asked
            assert idle.closed  # so the time is over for whatever is idle since before
        let_go.set()
        assert wire.answer().status == 200
        wire.send(GET)
        assert wire.answer().status == 200
        assert wire.closed
