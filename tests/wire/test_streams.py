"""What lives as long as its session: WebSockets and server-sent events, and how many may be."""

import asyncio
import contextlib
import signal
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bff.app.gauges import gauges
from bff.relay.authorize import Relay
from bff.relay.frames import Side
from bff.simulator import Simulator
from tests.conftest import Sites
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.raw import Raw, Received, Villain, raw, villain
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import replicas
from tests.parts.site import Site
from tests.parts.socket_server import PATIENCE, Socketeer, open_socket, socketeer
from tests.wire.test_websocket import ON, closed, frame, frames, handshake, shaken

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FIRST = EVENTS + b"9\r\ndata: 1\n\n\r\n"


class Streaming:
    """An answer that goes on until the test, or the BFF, ends it."""

    def __init__(self, first: bytes = FIRST) -> None:
        self._first = first
        self.cut = threading.Event()

    def __call__(self, connection: socket.socket, _: Received) -> str:
        connection.settimeout(PATIENCE)
        connection.sendall(self._first)
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass
        self.cut.set()
        return "close"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Socketeer]:
    with socketeer() as found:
        yield found


@pytest.fixture(scope="module")
def events() -> Iterator[Villain]:
    with villain() as found:
        yield found


def routes(upstream: Socketeer, events: Villain, more: str = "") -> dict[str, str]:
    """A site's parts with both kinds of stream, of which /api has sockets."""
    return {
        "api": upstream.url,
        "route": ON + more,
        "routes": f'[[routes]]\npath = "/events"\nupstream = "{events.url}"',
    }


def asking(browser: Browser, path: str) -> bytes:
    """What a page sends for that."""
    cookies = "; ".join(f"{name}={each.value}" for name, each in browser.cookies.items())
    lines = [f"GET {path} HTTP/1.1", f"Host: {browser.site.host}", "Sec-Fetch-Site: same-origin"]
    return "\r\n".join([*lines, f"Cookie: {cookies}", "\r\n"]).encode()


@contextlib.contextmanager
def listening(browser: Browser, path: str = "/events/x") -> Iterator[Raw]:
    """An event stream of a page, after its first event."""
    with raw(browser.site.port, timeout=PATIENCE) as wire:
        wire.send(asking(browser, path))
        status, _ = wire.head()
        assert status == 200
        assert wire.take(14) == b"9\r\ndata: 1\n\n\r\n"
        yield wire


# --- the end of the session


@pytest.mark.rule("W-05", "W-07")
def test_signing_out_ends_every_stream_of_the_session_and_no_other(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain, store: str
) -> None:
    site = sites(store=store, **routes(upstream, events))
    streaming, others = Streaming(), Streaming()
    events.script(streaming, others)
    with browsing(site) as ada, browsing(site) as grace:
        ada.sign_in("ada")
        grace.sign_in("grace")
        with (
            open_socket(ada, "/api/ws") as socket_of_ada,
            listening(ada) as events_of_ada,
            open_socket(grace, "/api/ws") as socket_of_grace,
            listening(grace) as events_of_grace,
        ):
            server, server_of_grace = upstream.take(), upstream.take()
            assert ada.fetch("POST", "/bff/logout").status_code == 200
            assert closed(socket_of_ada) == (1008, "session_ended")
            assert closed(server) == (1008, "session_ended")
            assert events_of_ada.closed  # cut, without the last chunk
            assert streaming.cut.wait(PATIENCE)
            socket_of_grace.send("still here")
            assert server_of_grace.recv(timeout=PATIENCE) == "still here"
            assert not others.cut.is_set()
            events_of_grace.close()


@pytest.mark.rule("W-05")
def test_a_session_that_ends_on_another_replica_ends_the_streams_of_this_one(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess,
    upstream: Socketeer, events: Villain,
) -> None:  # fmt: skip
    parts: dict[str, Any] = routes(upstream, events)
    streaming = Streaming()
    events.script(streaming)
    with (
        replicas(tmp_path, 2, issuer=simulator.issuer, store=redis.url, **parts) as (here, there),
        here.browsing() as page,
    ):
        page.sign_in()
        with open_socket(page, "/api/ws") as connection, listening(page) as stream:
            upstream.take()
            with there.browsing(page) as elsewhere:
                assert elsewhere.fetch("POST", "/bff/logout").status_code == 200
            assert closed(connection) == (1008, "session_ended")
            assert stream.closed


@pytest.mark.rule("W-05", "W-07")
def test_an_end_that_is_announced_needs_nobody_to_look_for_it(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch,
    upstream: Socketeer, events: Villain,
) -> None:  # fmt: skip
    monkeypatch.setattr("bff.session.following.LOOK_EVERY", 1e6)
    site = sites(store="redis", **routes(upstream, events))
    events.script(Streaming())
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection, listening(page) as stream:
            upstream.take()
            site.settle()  # each was looked at when it began
            assert page.fetch("POST", "/bff/logout").status_code == 200
            assert closed(connection) == (1008, "session_ended")
            assert stream.closed


@pytest.mark.rule("W-05", "W-07")
def test_a_stream_outlives_another_configuration_and_still_ends_with_its_session(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(store="redis", **routes(upstream, events))
    events.script(Streaming())
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection, listening(page) as stream:
            server = upstream.take()
            site.run(_swapped(site))
            connection.send("still here")
            assert server.recv(timeout=PATIENCE) == "still here"
            with open_socket(page, "/api/ws") as another:  # of the new one
                upstream.take()
                assert page.fetch("POST", "/bff/logout").status_code == 200
                for each in (connection, another):
                    assert closed(each) == (1008, "session_ended")
            assert stream.closed


async def _swapped(site: Site) -> None:
    site.application.swap(site.application.config)


@pytest.mark.rule("W-05", "W-07")
def test_a_session_that_ends_before_its_stream_has_opened_ends_that_stream(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch,
    upstream: Socketeer, events: Villain,
) -> None:  # fmt: skip
    monkeypatch.setattr("bff.session.following.LOOK_EVERY", 3600.0)  # no later look helps
    site = sites(session='idle = "29m"', **routes(upstream, events))
    signed_out = threading.Event()

    def late(connection: socket.socket, request: Received) -> str:
        signed_out.wait(PATIENCE)
        return Streaming()(connection, request)

    events.script(late)
    events.arrived = threading.Semaphore(0)
    # The upstream would give up itself after PATIENCE.
    with browsing(site) as page, raw(site.port, timeout=PATIENCE / 2) as wire:
        page.sign_in()
        cookies = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
        lines = [f"Host: {site.host}", "X-CSRF: 1", f"Cookie: {cookies}", "\r\n"]
        wire.send("\r\n".join(["GET /events/x HTTP/1.1", *lines]).encode())
        assert events.arrived.acquire(timeout=PATIENCE)
        assert page.fetch("POST", "/bff/logout").status_code == 200
        signed_out.set()
        assert wire.head()[0] == 200
        assert not wire.rest().endswith(b"0\r\n\r\n")  # cut, not brought to an end


@pytest.mark.rule("W-05")
def test_a_key_deleted_by_hand_ends_the_streams_too(
    sites: Sites, provider: Control, redis: RedisProcess, upstream: Socketeer, events: Villain
) -> None:
    site = sites(store="redis", **routes(upstream, events))
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:
            upstream.take()
            redis.flush()
            assert closed(connection) == (1008, "session_expired")


@pytest.mark.rule("W-05")
def test_an_outage_of_the_store_ends_no_stream(
    sites: Sites, provider: Control, redis: RedisProcess, upstream: Socketeer, events: Villain
) -> None:
    site = sites(store="redis", **routes(upstream, events))
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:
            server = upstream.take()
            redis.stop()
            following = site.application.site.fronts["default"].front.sessions._following
            site.run(following._look_at_all())
            redis.start()
            connection.send("still here")
            assert server.recv(timeout=PATIENCE) == "still here"


@pytest.mark.rule("W-09", "S-11")
def test_messages_of_the_upstream_do_not_keep_an_idle_session_alive(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch,
    upstream: Socketeer, events: Villain,
) -> None:  # fmt: skip
    monkeypatch.setattr("bff.session.following.LOOK_EVERY", 0.1)
    site = sites(session='idle = "2s"', **routes(upstream, events))
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:
            server = upstream.take()
            with contextlib.suppress(ConnectionClosed):
                while True:  # as fast as it can, until the session is over
                    server.send("news")
                    connection.recv(timeout=PATIENCE)
            assert closed(connection) == (1008, "session_expired")


@pytest.mark.rule("W-09", "S-11")
def test_event_streams_that_end_and_are_asked_for_again_do_not_keep_an_idle_session_alive(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(session='idle = "2s"', **routes(upstream, events))
    events.script(*[FIRST + b"0\r\n\r\n"] * 10_000)
    until = time.monotonic() + PATIENCE
    with browsing(site) as page, raw(site.port, timeout=PATIENCE) as wire:
        page.sign_in()
        status = 200
        while status == 200 and time.monotonic() < until:  # as an EventSource does, without a wait
            wire.send(asking(page, "/events/x"))
            status = wire.answer().status
            threading.Event().wait(0.02)
    assert status == 401


# --- the process, and the route's own terms


@pytest.mark.rule("W-05")
def test_a_process_that_stops_sends_the_clients_of_its_streams_away_at_once(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess,
    upstream: Socketeer, events: Villain,
) -> None:  # fmt: skip
    parts: dict[str, Any] = routes(upstream, events)
    streaming = Streaming()
    events.script(streaming)
    with (
        replicas(tmp_path, 1, issuer=simulator.issuer, store=redis.url, **parts) as (here,),
        here.browsing() as page,
    ):
        page.sign_in()
        with open_socket(page, "/api/ws") as connection, listening(page) as stream:
            server = upstream.take()
            here.served.process.signal(signal.SIGTERM)
            assert closed(connection) == (1001, "draining")
            assert closed(server) == (1001, "draining")
            assert stream.closed
            assert here.served.process.ended() == 0


@pytest.mark.rule("W-05")
def test_a_stream_that_begins_while_the_process_stops_ends_where_it_begins(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess,
    upstream: Socketeer, events: Villain,
) -> None:  # fmt: skip
    stopping = threading.Event()

    def late(connection: socket.socket, request: Received) -> str:
        stopping.wait(PATIENCE)
        first = shaken(request) if request.all(b"upgrade") else FIRST
        return Streaming(first)(connection, request)

    events.script(late, late)
    events.arrived = threading.Semaphore(0)
    parts: dict[str, Any] = routes(upstream, events)
    parts["routes"] += "\nwebsocket = true"
    with (
        replicas(tmp_path, 1, issuer=simulator.issuer, store=redis.url, **parts) as (here,),
        here.browsing() as page,
        raw(here.port, timeout=PATIENCE / 2) as stream,
        raw(here.port, timeout=PATIENCE / 2) as socket_of_page,
    ):
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:
            upstream.take()
            stream.send(asking(page, "/events/x"))
            cookies = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
            socket_of_page.send(handshake(page.site, path="/events/ws", Cookie=cookies))
            for _ in range(2):
                assert events.arrived.acquire(timeout=PATIENCE)
            here.served.process.signal(signal.SIGTERM)
            assert closed(connection) == (1001, "draining")  # it stops
        stopping.set()
        assert stream.head()[0] == 200
        assert not stream.rest().endswith(b"0\r\n\r\n")  # cut, not brought to an end
        assert socket_of_page.head()[0] == 101
        assert next(frames(socket_of_page)) == (8, struct.pack("!H", 1001) + b"draining")


def test_a_browser_that_is_not_there_any_more_is_given_up_and_one_that_answers_is_not(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch,
    upstream: Socketeer, events: Villain,
) -> None:  # fmt: skip
    monkeypatch.setattr("bff.relay.websocket.ALIVE_EVERY", 0.2)
    site = sites(**routes(upstream, events, 'websocket_age = "1h"'))
    with browsing(site) as page, raw(site.port, timeout=PATIENCE) as dead:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:  # its library answers pings
            server = upstream.take()
            cookies = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
            dead.send(handshake(site, Cookie=cookies))
            assert dead.head()[0] == 101
            assert closed(upstream.take()) == (1001, "")  # nobody answered for it
            connection.send("still here")
            assert server.recv(timeout=PATIENCE) == "still here"


@pytest.mark.rule("W-09")
def test_a_socket_of_great_age_has_to_be_opened_anew(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(**routes(upstream, events, 'websocket_age = "300ms"'))
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:
            upstream.take()
            assert closed(connection) == (1012, "too_old")


def test_a_route_may_close_a_socket_when_its_token_expires_and_the_next_has_another(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(**routes(upstream, events, 'websocket_expiry = "close"'))
    provider.switch(access_token_seconds=2)
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:
            first = upstream.take().request
            assert closed(connection) == (1012, "token_expired")
        with open_socket(page, "/api/ws"):
            second = upstream.take().request
    assert first is not None
    assert second is not None
    assert first.headers["Authorization"] != second.headers["Authorization"]


def test_a_socket_outlives_its_token_by_default(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(**routes(upstream, events))
    provider.switch(access_token_seconds=1)
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws") as connection:
            server = upstream.take()
            # The session's tokens are renewed beside it, and it is none of the socket's business.
            while provider.count("token:refresh_token") == 0:
                page.fetch("GET", "/api/x")
            connection.send("still here")
            assert server.recv(timeout=PATIENCE) == "still here"


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_compression_is_for_routes_that_ask_for_it(
    sites: Sites, provider: Control, events: Villain, compression: str | None
) -> None:
    """Each side by itself: the browser may have it where the upstream has not, and otherwise."""
    with socketeer(compression=compression) as server_with:
        site = sites(**routes(server_with, events, "websocket_compression = true"))
        with browsing(site) as page:
            page.sign_in()
            for wanted in (None, "deflate"):
                with open_socket(page, "/api/ws", compression=wanted) as connection:
                    server = server_with.take()
                    extensions = [len(each.protocol.extensions) for each in (connection, server)]
                    assert extensions == [int(bool(wanted)), int(bool(compression))]
                    text = "grüße " * 10_000
                    connection.send(text)
                    assert server.recv(timeout=PATIENCE) == text
                    server.send(text[::-1])
                    assert connection.recv(timeout=PATIENCE) == text[::-1]


@pytest.mark.rule("W-06")
def test_a_compressed_message_is_measured_by_what_it_holds(
    sites: Sites, provider: Control, events: Villain
) -> None:
    with socketeer() as server_without:
        site = sites(**routes(server_without, events, "websocket_compression = true"))
        with browsing(site) as page:
            page.sign_in()
            with open_socket(page, "/api/ws", compression="deflate") as connection:
                server_without.take()
                connection.send(b"\0" * (64 * 1024 * 1024))  # some 64 KiB on the wire
                assert closed(connection)[0] == 1009


def compressed(message: bytes, *, masked: bool) -> bytes:
    """One message of permessage-deflate (RFC 7692 §7.2.1)."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    octets = deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(0x42, octets[:-4], masked=masked)


def counting_what_is_buffered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many octets have been ready for one side, each time that some are written."""
    found: list[int] = []
    flush = Side.flush

    def counted(side: Side) -> None:
        found.append(len(side._out) + side.transport.get_write_buffer_size())
        flush(side)

    monkeypatch.setattr(Side, "flush", counted)
    return found


@pytest.mark.rule("W-06")
@pytest.mark.parametrize("reader", ["the page", "the upstream"])
def test_many_compressed_messages_in_one_read_are_never_all_open_at_once(
    sites: Sites, provider: Control, events: Villain, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    """32 MiB in some 40 KiB, towards a side that knows no compression."""
    count, message = 64, bytes(512 * 1024)
    buffered = counting_what_is_buffered(monkeypatch)
    down = reader == "the page"
    with socketeer(compression="deflate" if down else None) as server_of_it:
        more = "websocket_compression = true"
        site = sites(**routes(server_of_it, events, more))
        with browsing(site) as page, raw(site.port, timeout=PATIENCE) as wire:
            page.sign_in()
            cookies = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
            offer = {} if down else {"Sec_WebSocket_Extensions": "permessage-deflate"}
            wire.send(handshake(site, Cookie=cookies, **offer))
            assert wire.head()[0] == 101
            server = server_of_it.take()
            all_of_them = compressed(message, masked=not down) * count
            if down:
                server.socket.sendall(all_of_them)
                parts = (payload for _, payload in frames(wire))
            else:
                wire.send(all_of_them)
                parts = (server.recv(timeout=PATIENCE, decode=False) for _ in range(count))
            left = count * len(message)
            while left > 0:
                left -= len(next(parts))
    assert left == 0
    assert max(buffered) < 8 * len(message)


# --- how many


def refused(answer: httpx.Response) -> bool:
    """Whether there was no place for it."""
    assert answer.headers.get("retry-after")
    return (answer.status_code, answer.json()["reason"]) == (503, "overloaded")


def nobody_is_counted(site: Site) -> bool:
    """Whether every place is given back, once everybody has gone."""
    for each in (site.application.site, *site.application.leaving):
        site.run(asyncio.wait_for(each.users.gone(), PATIENCE))
    way = site.application.site.fronts["default"].ways["/api"]
    assert isinstance(way, Relay)
    counts = (way.crowd.requests, way.crowd.streams)
    return all(not each.taken and not each._each for each in counts)


@pytest.mark.rule("Q-24", "W-09")
def test_the_streams_of_a_session_are_bounded_and_another_session_has_its_own(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(more="[limits]\nstreams_per_session = 2", **routes(upstream, events))
    events.script(Streaming(), Streaming())
    with browsing(site) as page, browsing(site) as other:
        page.sign_in()
        other.sign_in("grace")
        with listening(page), open_socket(page, "/api/ws"):
            upstream.take()
            with pytest.raises(InvalidStatus) as caught, open_socket(page, "/api/ws"):
                pass
            assert caught.value.response.status_code == 503
            assert caught.value.response.headers["Retry-After"].isdigit()
            upstream.take()  # the upstream had agreed; its end is closed
            assert refused(page.fetch("GET", "/events/x"))  # it began a stream as well
            assert page.fetch("GET", "/events/x").text == "ok"  # what is none has its place
            with open_socket(other, "/api/ws"):
                upstream.take()
    assert nobody_is_counted(site)


def is_turned_away(page: Browser, upstream: Socketeer) -> bool:
    """Whether a WebSocket more is one too many; the upstream has agreed by then, and is let go."""
    with pytest.raises(InvalidStatus) as caught, open_socket(page, "/api/ws"):
        pass
    upstream.take()
    return caught.value.response.status_code == 503


def bounded(site: Site, **limits: int) -> None:
    """The same configuration with other limits."""

    async def swap() -> None:
        config = site.application.config
        site.application.swap(replace(config, limits=config.limits.model_copy(update=limits)))

    site.run(swap())


@pytest.mark.rule("W-09", "D-11")
@pytest.mark.parametrize("limit", ["streams_per_session", "streams"])
def test_a_stream_keeps_its_place_when_another_configuration_is_served(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain, limit: str
) -> None:
    site = sites(store="redis", more=f"[limits]\n{limit} = 1", **routes(upstream, events))
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws"):
            upstream.take()
            for _ in range(2):
                site.run(_swapped(site))
                assert is_turned_away(page, upstream)
        assert nobody_is_counted(site)
        with open_socket(page, "/api/ws"):
            upstream.take()
    assert nobody_is_counted(site)


@pytest.mark.rule("D-11")
def test_a_request_keeps_its_place_when_another_configuration_is_served(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(store="redis", more="[limits]\nrequests = 1", **routes(upstream, events))
    held: list[socket.socket] = []
    events.script(lambda connection, _: held.append(connection))
    events.arrived = threading.Semaphore(0)
    with browsing(site) as page, raw(site.port, timeout=PATIENCE) as wire:
        page.sign_in()
        wire.send(asking(page, "/events/held"))
        assert events.arrived.acquire(timeout=PATIENCE)
        site.run(_swapped(site))
        assert refused(page.fetch("GET", "/events/x"))
        held[0].sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        assert wire.answer().body == b"ok"
        assert page.fetch("GET", "/events/x").status_code == 200
    assert nobody_is_counted(site)


@pytest.mark.rule("W-09", "D-11")
def test_other_bounds_hold_from_then_on_and_end_nobody(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    more = "[limits]\nstreams_per_session = 2\nstreams = 3"
    site = sites(store="redis", more=more, **routes(upstream, events))
    with browsing(site) as page, contextlib.ExitStack() as first:
        page.sign_in()
        two = [first.enter_context(open_socket(page, "/api/ws")) for _ in range(2)]
        servers = [upstream.take() for _ in two]
        bounded(site, streams_per_session=1)
        assert is_turned_away(page, upstream)
        for each, server in zip(two, servers, strict=True):
            each.send("still here")
            assert server.recv(timeout=PATIENCE) == "still here"
        bounded(site, streams_per_session=3)
        with open_socket(page, "/api/ws"):
            upstream.take()
            bounded(site, streams_per_session=9)
            assert is_turned_away(page, upstream)  # there are three in all
    assert nobody_is_counted(site)


def test_what_is_open_at_a_former_site_is_measured_as_well(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    # A site of its own: what others have left open would be measured as well.
    site = sites(store="redis", session='idle = "28m"', **routes(upstream, events))

    def measured() -> dict[tuple[str, ...], float]:
        application = site.application
        found = list(gauges(application.site, application.leaving))
        assert len({(metric, labels) for metric, labels, _ in found}) == len(found)
        return {(metric.name, *labels): value for metric, labels, value in found}

    busy = ("bff_upstream_connections", "default", "/api", "busy")
    with browsing(site) as page:
        page.sign_in()
        with open_socket(page, "/api/ws"):
            upstream.take()
            site.run(_swapped(site))
            with open_socket(page, "/api/ws"):
                upstream.take()
                found = measured()
                assert (found["bff_streams",], found[busy]) == (2, 2)
    assert nobody_is_counted(site)
    assert measured()[busy] == 0


@pytest.mark.rule("Q-24")
@pytest.mark.parametrize("limit", ["requests_per_session", "requests"])
def test_requests_are_bounded_and_signing_out_is_always_answered(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain, limit: str
) -> None:
    site = sites(more=f"[limits]\n{limit} = 1", **routes(upstream, events))
    holding = threading.Event()

    def held(connection: socket.socket, _: Received) -> None:
        holding.wait(PATIENCE)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    events.script(held)
    events.arrived = threading.Semaphore(0)
    with browsing(site) as page, browsing(site) as other:
        page.sign_in()
        other.sign_in("grace")
        with raw(site.port, timeout=PATIENCE) as wire:
            cookies = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
            lines = [f"Host: {site.host}", "X-CSRF: 1", f"Cookie: {cookies}", "\r\n"]
            wire.send("\r\n".join(["GET /events/held HTTP/1.1", *lines]).encode())
            assert events.arrived.acquire(timeout=PATIENCE)
            assert refused(page.fetch("GET", "/events/x"))
            everybody = limit == "requests"
            assert everybody == (other.fetch("GET", "/events/x").status_code == 503)
            assert page.fetch("POST", "/bff/logout").status_code == 200
            holding.set()
            assert wire.answer().body == b"ok"
    assert nobody_is_counted(site)


@pytest.mark.rule("Q-24")
def test_streams_hold_no_place_among_the_connections_of_a_route(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    parts = routes(upstream, events)
    parts["routes"] += "\nconnections = 1"
    site = sites(**parts)
    events.script(Streaming(), Streaming())
    with browsing(site) as page:
        page.sign_in()
        with listening(page), listening(page):
            assert page.fetch("GET", "/events/x").status_code == 200


@pytest.mark.rule("Q-24")
def test_with_too_many_connections_idle_ones_are_closed_and_a_new_one_is_served_once(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(more="[server]\nconnections = 16", **routes(upstream, events))
    options = f"OPTIONS * HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(raw(site.port, timeout=PATIENCE)) for _ in range(16)]
        for wire in idle:
            wire.send(options)
            assert wire.answer().get("connection") is None
        late = stack.enter_context(raw(site.port, timeout=PATIENCE))
        late.send(options)
        answer = late.answer()
        assert (answer.status, answer.get("connection")) == (200, "close")
        assert all(wire.closed for wire in idle)


@pytest.mark.rule("Q-24")
def test_signing_out_is_answered_beyond_the_bound_on_connections(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(more="[server]\nconnections = 17", **routes(upstream, events))
    events.script(*[Streaming()] * 17)
    with contextlib.ExitStack() as stack, browsing(site) as page:
        page.sign_in()
        for _ in range(17):
            stack.enter_context(listening(page))
        answer = page.fetch("POST", "/bff/logout")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")


@pytest.mark.rule("Q-24")
def test_far_beyond_the_bound_on_connections_a_new_one_is_closed_at_once(
    sites: Sites, provider: Control, upstream: Socketeer, events: Villain
) -> None:
    site = sites(more="[server]\nconnections = 20", **routes(upstream, events))
    events.script(*[Streaming()] * 22)
    with contextlib.ExitStack() as stack, browsing(site) as page:
        page.sign_in()
        streams = [stack.enter_context(listening(page)) for _ in range(22)]
        late = stack.enter_context(raw(site.port, timeout=PATIENCE))
        late.send(f"OPTIONS * HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode())
        assert late.closed
        streams.pop().close()  # the page has gone, and with it its place
        answer = page.fetch("POST", "/bff/logout")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
