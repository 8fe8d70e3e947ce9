"""WebSockets through the relay: the handshakes, the frames, and the session they live with."""

import base64
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from typing_extensions import override
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection
from websockets.sync.server import ServerConnection

from bff.door.idle import Idle
from bff.relay.websocket import UpstreamEnd
from tests.conftest import Sites
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.raw import Raw, Received, raw, villain
from tests.parts.site import Site
from tests.parts.socket_server import PATIENCE, Socketeer, open_socket, socketeer

KEY = base64.b64encode(b"sixteen octets..").decode()
ON = "websocket = true\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Socketeer]:
    with socketeer(subprotocols=["chat.v2", "chat.v1"]) as found:
        yield found


@pytest.fixture
def site(sites: Sites, provider: Control, upstream: Socketeer) -> Site:
    return sites(api=upstream.url, route=ON + 'websocket_message = "64KiB"')


@pytest.fixture
def signed_in(browser: Browser) -> Browser:
    browser.sign_in()
    return browser


def closed(connection: ClientConnection | ServerConnection) -> tuple[int, str]:
    """The code and the reason with which the other side closes."""
    with pytest.raises(ConnectionClosed) as caught:
        _all_messages(connection)
    received = caught.value.rcvd
    return (1006, "") if received is None else (received.code, received.reason)


def _all_messages(connection: ClientConnection | ServerConnection) -> None:
    while True:
        connection.recv(timeout=PATIENCE)


def handshake(site: Site, *without: str, path: str = "/api/ws", **fields: str) -> bytes:
    """A handshake's octets, with some fields changed or left out."""
    sent = {
        "Host": site.host,
        "Origin": site.origin,
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{name}: {value}" for name, value in sent.items() if name not in without]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "\r\n"]).encode()


# --- the handshake


@pytest.mark.rule("W-02", "W-04", "Q-04")
def test_messages_cross_both_ways_with_the_token_upstream_and_no_cookie(
    signed_in: Browser, upstream: Socketeer
) -> None:
    with open_socket(signed_in, "/api/ws?room=1") as page:
        server = upstream.take()
        page.send("grüße")
        assert server.recv(timeout=PATIENCE) == "grüße"
        server.send(b"\x00\xff" * 10)
        assert page.recv(timeout=PATIENCE) == b"\x00\xff" * 10
        head = server.request
        assert head is not None
        assert head.path == "/ws?room=1"
        assert head.headers["Authorization"].startswith("Bearer ey")
        assert head.headers.get_all("Cookie") == []
        assert head.headers["Sec-WebSocket-Key"] != page.request.headers["Sec-WebSocket-Key"]  # type: ignore[union-attr]
        assert head.headers.get_all("Sec-WebSocket-Extensions") == []


@pytest.mark.rule("W-01")
@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("https://evil.example", id="another site"),
        pytest.param("https://app.example.com.evil.example", id="a longer name"),
        pytest.param("http://app.example.com", id="another scheme"),
        pytest.param("https://app.example.com:8443", id="another port"),
        pytest.param("null", id="an opaque origin"),
    ],
)
def test_a_foreign_page_opens_no_socket(
    signed_in: Browser, upstream: Socketeer, origin: str
) -> None:
    with (
        pytest.raises(InvalidStatus) as caught,
        open_socket(signed_in, "/api/ws", origin=origin),
    ):
        pass
    assert caught.value.response.status_code == 403
    assert b"cross_site" in (caught.value.response.body or b"")
    assert upstream.untouched


@pytest.mark.rule("W-01")
def test_a_handshake_without_an_origin_opens_no_socket(site: Site, upstream: Socketeer) -> None:
    with raw(site.port) as wire:
        wire.send(handshake(site, "Origin"))
        assert wire.answer().status == 403
    assert upstream.untouched


@pytest.mark.rule("W-02", "E-01", "E-03")
def test_without_a_session_the_handshake_is_a_401_with_a_reason(
    browser: Browser, upstream: Socketeer
) -> None:
    with pytest.raises(InvalidStatus) as caught, open_socket(browser, "/api/ws"):
        pass
    answer = caught.value.response
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert b'"login_url"' in (answer.body or b"")
    assert upstream.untouched


@pytest.mark.rule("W-02")
def test_an_expired_token_is_refreshed_before_the_handshake(
    site: Site, upstream: Socketeer, provider: Control
) -> None:
    provider.switch(access_token_seconds=0)  # over as soon as it is there
    with browsing(site) as page:
        page.sign_in()
        provider.switch(access_token_seconds=300)
        first = provider.count("token:refresh_token")
        with open_socket(page, "/api/ws"):
            upstream.take()
        assert provider.count("token:refresh_token") == first + 1


@pytest.mark.rule("W-03")
@pytest.mark.parametrize(
    ("without", "fields", "status"),
    [
        pytest.param("Upgrade", {}, 400, id="no Upgrade"),
        pytest.param("Connection", {}, 400, id="no Connection"),
        pytest.param("", {"Connection": "keep-alive"}, 400, id="Connection names another token"),
        pytest.param("", {"Upgrade": "h2c"}, 400, id="Upgrade names another protocol"),
        pytest.param("Sec-WebSocket-Key", {}, 400, id="no key"),
        pytest.param("", {"Sec_WebSocket_Key": "c2hvcnQ="}, 400, id="a short key"),
        pytest.param("", {"Sec_WebSocket_Key": "not base64 at all!!!!!!!"}, 400, id="no base64"),
        pytest.param("Sec-WebSocket-Version", {}, 400, id="no version"),
        pytest.param("", {"Sec_WebSocket_Version": "8"}, 426, id="an old version"),
        pytest.param("", {"Sec_WebSocket_Version": "13, 8"}, 426, id="two versions"),
        pytest.param("", {"Sec_WebSocket_Protocol": "a, a"}, 400, id="a subprotocol twice"),
        pytest.param("", {"Sec_WebSocket_Protocol": "a b"}, 400, id="a subprotocol of two words"),
        pytest.param("", {"Content_Length": "5"}, 400, id="a body"),
    ],
)
def test_half_a_handshake_is_refused(
    site: Site, upstream: Socketeer, without: str, fields: dict[str, str], status: int
) -> None:
    with raw(site.port) as wire:
        wire.send(handshake(site, without, **fields))
        answer = wire.answer()
        assert answer.status == status, answer
        if status == 426:
            assert answer.get("sec-websocket-version") == "13"
        assert wire.closed
    assert upstream.untouched


@pytest.mark.rule("W-03")
def test_a_handshake_by_another_method_is_refused(site: Site, upstream: Socketeer) -> None:
    with raw(site.port) as wire:
        wire.send(handshake(site).replace(b"GET ", b"POST ", 1))
        assert wire.answer().status == 400
    assert upstream.untouched


@pytest.mark.rule("W-03", "Q-10")
def test_a_handshake_behind_an_unfinished_answer_is_refused_in_its_turn(
    sites: Sites, provider: Control
) -> None:
    with villain() as held:
        site = sites(api=held.url, route=ON + 'auth = "none"')
        with raw(site.port) as wire:
            first = f"GET /api/x HTTP/1.1\r\nHost: {site.host}\r\nX-CSRF: 1\r\n\r\n".encode()
            wire.send(first + handshake(site))
            assert wire.answer().status == 200
            assert wire.answer().status == 400
            assert wire.closed
        assert len(held.received) == 1


def test_a_route_without_sockets_opens_none(sites: Sites, upstream: Socketeer) -> None:
    site = sites(api=upstream.url)
    with raw(site.port) as wire:
        wire.send(handshake(site))
        assert wire.answer().status == 501
    with raw(site.port) as wire:
        wire.send(handshake(site, path="/bff/session"))
        assert wire.answer().status == 501
    assert upstream.untouched


def test_a_subprotocol_is_the_upstreams_choice(signed_in: Browser, upstream: Socketeer) -> None:
    with open_socket(signed_in, "/api/ws", subprotocols=["other", "chat.v1"]) as page:
        server = upstream.take()
        assert (page.subprotocol, server.subprotocol) == ("chat.v1", "chat.v1")


def shaken(request: Received, *fields: bytes, accept: bytes | None = None) -> bytes:
    """A 101 to a handshake, right or wrong."""
    from bff.relay.handshake import accept as accepting

    key = accepting(request.all(b"sec-websocket-key")[0]) if accept is None else accept
    lines = [b"HTTP/1.1 101 Switching Protocols", b"upgrade: websocket", b"connection: upgrade"]
    return b"\r\n".join([*lines, b"sec-websocket-accept: " + key, *fields, b"\r\n"])


@pytest.mark.rule("W-04", "A-10")
@pytest.mark.parametrize(
    ("fields", "accept"),
    [
        pytest.param([], b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=", id="a wrong accept"),
        pytest.param([b"sec-websocket-protocol: nobody.asked"], None, id="another subprotocol"),
        pytest.param(
            [b"sec-websocket-extensions: permessage-deflate"], None, id="an extension not offered"
        ),
    ],
)
def test_an_upstream_that_shakes_hands_wrongly_is_a_502(
    sites: Sites, provider: Control, fields: list[bytes], accept: bytes | None
) -> None:
    with villain() as wrong:
        site = sites(api=wrong.url, route=ON + 'auth = "none"')
        wrong.script(
            lambda connection, request: connection.sendall(shaken(request, *fields, accept=accept))
        )
        with raw(site.port) as wire:
            wire.send(handshake(site, Sec_WebSocket_Protocol="chat"))
            answer = wire.answer()
            assert (answer.status, b"upstream_protocol" in answer.body) == (502, True)


def test_an_upstream_that_refuses_is_relayed_as_any_answer(sites: Sites, provider: Control) -> None:
    with villain() as refusing:
        site = sites(api=refusing.url, route=ON + 'auth = "none"')
        refusing.script(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        with raw(site.port) as wire:
            wire.send(handshake(site))
            answer = wire.answer()
            assert (answer.status, answer.body) == (403, b"no")
            assert wire.closed


# --- frames


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    """One frame of a browser; the mask is all zeros."""
    head = bytes([opcode | (0x80 if fin else 0)])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(payload))
    return head + (bytes(4) if masked else b"") + payload


def frames(wire: Raw) -> Iterator[tuple[int, bytes]]:
    """What the BFF sends, frame by frame."""
    while True:
        first, length = wire.take(2)
        if length == 126:
            (length,) = struct.unpack("!H", wire.take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", wire.take(8))
        yield first & 0x0F, wire.take(length)


@pytest.fixture
def shaken_wire(signed_in: Browser, upstream: Socketeer) -> Iterator[tuple[Raw, ServerConnection]]:
    """A socket of which a test writes the octets itself, and the server's end of it."""
    site = signed_in.site
    cookies = "; ".join(f"{name}={each.value}" for name, each in signed_in.cookies.items())
    with raw(site.port, timeout=PATIENCE) as wire:
        wire.send(handshake(site, Cookie=cookies))
        assert wire.head()[0] == 101
        server = upstream.take()
        yield wire, server
        server.close()


@pytest.mark.rule("W-06")
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(frame(1, b"\xff\xfe"), 1007, id="text that is not UTF-8"),
        pytest.param(frame(1, b"\xe2\x82", fin=True), 1007, id="text that ends within a letter"),
        pytest.param(frame(1, b"x", masked=False), 1002, id="a frame without a mask"),
        pytest.param(frame(3, b"x"), 1002, id="an opcode nobody knows"),
        pytest.param(frame(0, b"x"), 1002, id="a continuation of nothing"),
        pytest.param(frame(1, b"a", fin=False) + frame(1, b"b"), 1002, id="a message within one"),
        pytest.param(frame(9, b"x", fin=False), 1002, id="a ping in parts"),
        pytest.param(frame(9, b"x" * 126), 1002, id="a ping that is too long"),
        pytest.param(b"\xc1" + frame(1, b"x")[1:], 1002, id="a reserved bit"),
        pytest.param(frame(8, b"\x03"), 1002, id="a close of one octet"),
        pytest.param(frame(8, struct.pack("!H", 1005)), 1002, id="a close with 1005"),
        pytest.param(frame(8, struct.pack("!H", 1006)), 1002, id="a close with 1006"),
        pytest.param(frame(8, struct.pack("!H", 1015)), 1002, id="a close with 1015"),
        pytest.param(frame(8, struct.pack("!H", 999)), 1002, id="a close with 999"),
        pytest.param(frame(8, struct.pack("!H", 1000) + b"\xff"), 1007, id="a reason not UTF-8"),
        pytest.param(frame(2, b"x" * 65537), 1009, id="a frame over the limit"),
        pytest.param(
            frame(2, b"x" * 40000, fin=False) + frame(0, b"x" * 40000), 1009, id="in two frames"
        ),
        pytest.param(b"\x82\xff" + b"\x7f" + b"\xff" * 7 + bytes(4) + b"x" * 70000, 1009,
                     id="a length of 2^63"),
    ],
)  # fmt: skip
def test_what_is_no_websocket_is_closed_with_its_code_and_the_upstream_is_told(
    shaken_wire: tuple[Raw, ServerConnection], sent: bytes, code: int
) -> None:
    wire, server = shaken_wire
    wire.send(sent)
    opcode, payload = next(each for each in frames(wire) if each[0] == 8)
    assert (opcode, struct.unpack("!H", payload[:2])[0]) == (8, code)
    assert closed(server)[0] == CloseCode.GOING_AWAY


def test_a_message_in_many_parts_and_one_octet_at_a_time_arrives_whole(
    shaken_wire: tuple[Raw, ServerConnection],
) -> None:
    wire, server = shaken_wire
    text = "zwölf €uro " * 20
    octets = text.encode()
    sent = frame(1, octets[:7], fin=False) + frame(9, b"are you there")
    sent += frame(0, octets[7:50], fin=False) + frame(0, octets[50:])
    for place in range(len(sent)):
        wire.send(sent[place : place + 1])
    assert server.recv(timeout=PATIENCE) == text
    assert next(frames(wire)) == (10, b"are you there")


def test_pings_and_pongs_are_the_two_ends_own(signed_in: Browser, upstream: Socketeer) -> None:
    with open_socket(signed_in, "/api/ws") as page:
        server = upstream.take()
        assert server.ping(b"from the server").wait(PATIENCE)
        assert page.ping(b"from the page").wait(PATIENCE)


@pytest.mark.rule("W-06")
@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "done"), (1001, ""), (3000, "library"), (4321, "ours: grüße")]
)
def test_closing_codes_pass_both_ways(
    signed_in: Browser, upstream: Socketeer, code: int, reason: str
) -> None:
    with open_socket(signed_in, "/api/ws") as page:
        server = upstream.take()
        page.close(code, reason)
        assert closed(server) == (code, reason)
    with open_socket(signed_in, "/api/ws") as page:
        server = upstream.take()
        server.close(code, reason)
        assert closed(page) == (code, reason)


@pytest.mark.rule("W-06")
def test_a_close_without_a_code_passes_without_one(
    shaken_wire: tuple[Raw, ServerConnection],
) -> None:
    wire, server = shaken_wire
    wire.send(frame(8, b""))
    assert closed(server) == (1005, "")
    assert next(frames(wire)) == (8, b"")
    assert wire.closed


def test_an_upstream_that_vanishes_closes_the_page_with_1011(
    signed_in: Browser, upstream: Socketeer
) -> None:
    with open_socket(signed_in, "/api/ws") as page:
        server = upstream.take()
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.socket.shutdown(socket.SHUT_RDWR)
        assert closed(page) == (1011, "upstream_unreachable")


def test_a_page_that_vanishes_closes_the_upstream_with_1001(
    signed_in: Browser, upstream: Socketeer
) -> None:
    with open_socket(signed_in, "/api/ws") as page:
        server = upstream.take()
        page.socket.shutdown(socket.SHUT_RDWR)
        assert closed(server) == (1001, "")


def test_a_page_that_vanishes_leaves_no_timer(
    signed_in: Browser, upstream: Socketeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_page: list[Idle] = []

    class Watched(Idle):
        @override
        def stop(self) -> None:
            super().stop()
            of_the_page.append(self)

    monkeypatch.setattr("bff.door.protocol.Idle", Watched)
    with open_socket(signed_in, "/api/ws") as page:
        server = upstream.take()
        page.socket.shutdown(socket.SHUT_RDWR)
        assert closed(server) == (1001, "")
    signed_in.site.settle()
    (idle,) = of_the_page
    assert (idle._stalled, idle._timer is None or idle._timer.cancelled()) == (None, True)


@pytest.mark.parametrize("reader", ["the page", "the upstream"])
def test_a_side_that_does_not_read_makes_the_other_wait(
    signed_in: Browser, upstream: Socketeer, reader: str
) -> None:
    """64 MiB against a side that reads nothing: far more than what the sockets hold."""
    count, part = 1024, b"x" * 65536
    sent: list[int] = []
    with open_socket(signed_in, "/api/ws") as page:
        server = upstream.take()
        source, target = (server, page) if reader == "the page" else (page, server)

        def pour() -> None:
            for number in range(count):
                source.send(part)
                sent.append(number)

        pouring = threading.Thread(target=pour)
        pouring.start()
        assert held_up(sent) < count
        received = sum(len(target.recv(timeout=PATIENCE)) for _ in range(count))
        pouring.join(PATIENCE)
    assert received == count * len(part)


def test_an_upstream_that_reads_nothing_does_not_keep_its_connection(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()

    class Watched(UpstreamEnd):
        @override
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    monkeypatch.setattr("bff.relay.websocket.CLOSING", 0.1)
    monkeypatch.setattr("bff.relay.opening.UpstreamEnd", Watched)
    over = threading.Event()

    def deaf(connection: socket.socket, request: Received) -> str:
        connection.sendall(shaken(request))
        over.wait(2 * PATIENCE)
        return "close"

    with villain() as upstream:
        upstream.script(deaf)
        site = sites(api=upstream.url, route=ON)
        with browsing(site) as page, raw(site.port, timeout=1) as wire:
            page.sign_in()
            cookies = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
            wire.send(handshake(site, Cookie=cookies))
            assert wire.head()[0] == 101
            with contextlib.suppress(TimeoutError):  # until nobody takes any more of it
                while True:
                    wire.send(frame(2, b"x" * 65536))
            assert page.fetch("POST", "/bff/logout").status_code == 200
            left = lost.wait(PATIENCE)
            over.set()
        assert left
        assert site.application.site.crowd.streams.taken == 0


def held_up(sent: list[int]) -> int:
    """How many have been sent, once no more are."""
    before = -1
    while len(sent) > before:
        before = len(sent)
        time.sleep(0.3)
    return before
