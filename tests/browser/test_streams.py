"""WebSocket, EventSource and uploads of a real page through the relay."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from bff.simulator import Client, Plan, running
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config
from tests.parts.raw import OK, Received, Villain, villain
from tests.parts.site import bind, serving
from tests.parts.socket_server import PATIENCE, Socketeer, socketeer

ROUTES = """
[[routes]]
path = "/events"
upstream = "{events}"

[[routes]]
path = "/"
static = "{folder}"
"""
OPEN = """path => new Promise((done, failed) => {
  window.socket = new WebSocket(path);
  window.ended = new Promise(seen => {
    window.socket.onclose = ({code, reason, wasClean}) => seen([code, reason, wasClean]);
  });
  window.socket.onopen = () => done(true);
  window.socket.onerror = () => done(false);
})"""
SAY = """text => new Promise(heard => {
  window.socket.onmessage = ({data}) => heard(data);
  window.socket.send(text);
})"""
LISTEN = """path => new Promise(heard => {
  window.source = new EventSource(path);
  window.over = new Promise(seen => {
    window.source.onerror = () => {
      if (window.source.readyState === EventSource.CLOSED) seen(true);
    };
  });
  window.source.onmessage = ({data}) => heard(data);
})"""
SIGN_OUT = """async () => (await fetch("/bff/logout", {
  method: "POST", headers: {"X-CSRF": "1"},
})).status"""
UPLOAD = """([size, abortAt]) => new Promise(done => {
  const upload = new XMLHttpRequest();
  upload.upload.onprogress = ({loaded}) => {
    window.loaded = loaded;
    if (abortAt && loaded >= abortAt) upload.abort();
  };
  upload.onload = () => done(upload.status);
  upload.onabort = () => done("aborted");
  upload.open("POST", "/events/upload");
  upload.setRequestHeader("X-CSRF", "1");
  upload.send(new Uint8Array(size));
})"""


@pytest.fixture(scope="module")
def sockets() -> Iterator[Socketeer]:
    with socketeer() as found:
        yield found


@pytest.fixture(scope="module")
def events() -> Iterator[Villain]:
    with villain() as found:
        yield found


@pytest.fixture(scope="module")
def person(
    tmp_path_factory: pytest.TempPathFactory, sockets: Socketeer, events: Villain
) -> Iterator[Browser]:
    """A site of its own on http loopback, and somebody signed in to it."""
    folder = tmp_path_factory.mktemp("spa")
    (folder / "index.html").write_text("<!doctype html><title>streams</title>")
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    with running(_plan(origin)) as provider:
        text = config(
            issuer=provider.issuer,
            api=sockets.url,
            origin=origin,
            route="websocket = true",
            routes=ROUTES.format(events=events.url, folder=folder),
        )
        with serving(text, listening) as site, browsing(site) as found:
            yield found


def _plan(origin: str) -> Plan:
    client = Client(
        client_id="spa", client_secret=SECRET, redirect_uris=(f"{origin}/bff/callback",)
    )
    return Plan(clients=(client,))


@pytest.fixture
def page(person: Browser, chromium: Chromium) -> Iterator[Page]:
    """A tab of the site, signed in."""
    person.cookies.clear()
    person.sign_in()
    assert person.session_cookie is not None
    with chromium.new_context() as context:
        context.add_cookies(
            [
                {
                    "name": "bff",
                    "value": person.session_cookie,
                    "url": person.site.origin,
                    "httpOnly": True,
                    "sameSite": "Strict",
                }
            ]
        )
        tab = context.new_page()
        tab.goto(person.site.origin)
        yield tab


@pytest.mark.rule("W-01", "W-05")
def test_a_page_talks_over_a_websocket_until_it_signs_out(page: Page, sockets: Socketeer) -> None:
    assert page.evaluate(OPEN, "/api/ws")
    server = sockets.take()
    threading.Thread(target=lambda: server.send(server.recv(timeout=PATIENCE))).start()
    assert page.evaluate(SAY, "grüße") == "grüße"
    assert page.evaluate(SIGN_OUT) == 200
    assert page.evaluate("window.ended") == [1008, "session_ended", True]


@pytest.mark.rule("W-01")
def test_a_page_of_another_site_opens_no_socket(
    page: Page, person: Browser, sockets: Socketeer
) -> None:
    other = page.context.new_page()
    other.goto(f"http://127.0.0.1:{sockets.url.rpartition(':')[2]}/")
    assert not other.evaluate(OPEN, f"ws://{person.site.host}/api/ws")
    assert sockets.untouched


@pytest.mark.rule("W-07")
def test_an_event_source_hears_each_event_and_is_over_when_the_person_signs_out(
    page: Page, events: Villain
) -> None:
    cut = threading.Event()

    def stream(connection: socket.socket, _: Received) -> str:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        connection.sendall(b"1b\r\nretry: 50\ndata: first one\n\n\r\n")
        connection.settimeout(PATIENCE)
        with contextlib.suppress(OSError):
            connection.recv(1)
        cut.set()
        return "close"

    events.script(stream)
    assert page.evaluate(LISTEN, "/events/news") == "first one"
    assert page.evaluate(SIGN_OUT) == 200
    # It comes again by itself, is told 401, and stays away.
    assert page.evaluate("window.over")
    assert cut.wait(PATIENCE)
    assert len(events.received) == 1


def test_an_upload_tells_its_progress_as_far_as_the_upstream_takes_it(
    page: Page, events: Villain
) -> None:
    size = 48 * 1024 * 1024
    events.script(OK)
    events.reading.clear()
    page.evaluate(f"window.uploaded = ({UPLOAD})([{size}, 0]), 0")
    page.wait_for_function("window.loaded > 0")
    assert page.evaluate("window.loaded") < size
    events.reading.set()
    assert page.evaluate("window.uploaded") == 200
    assert page.evaluate("window.loaded") == size
    assert len(events.received[0].body) == size


@pytest.mark.rule("A-12")
def test_an_upload_that_is_aborted_is_aborted_upstream(page: Page, events: Villain) -> None:
    events.script(OK)
    before = events.connections
    events.reading.clear()
    assert page.evaluate(UPLOAD, [48 * 1024 * 1024, 1]) == "aborted"
    events.reading.set()
    assert page.evaluate(UPLOAD, [1, 0]) == 200
    # What was cut short is none that was received, and its connection is used no more.
    assert [len(each.body) for each in events.received] == [1]
    assert events.connections > before
