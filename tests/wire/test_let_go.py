"""What is over is let go: nothing of a connection stays in the memory of the process."""

import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from bff.browser.events import EventStream
from bff.door.cycle import Cycle, Prepared
from bff.door.protocol import Door
from bff.relay.lane import Passage
from bff.relay.websocket import Socket
from tests.conftest import Sites
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.race import patiently
from tests.parts.raw import raw
from tests.parts.site import Site

TIMES = 20
KINDS = (Door, Passage, EventStream, Cycle, Prepared, Socket)
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: c2l4dGVlbiBvY3RldHMuLg==",
)


@pytest.fixture
def site(sites: Sites, provider: Control) -> Site:
    return sites(route="websocket = true")


@pytest.fixture
def ada(site: Site) -> Iterator[Browser]:
    with browsing(site) as browser:
        browser.sign_in()
        yield browser


def held() -> Counter[str]:
    """How many of them there are, once the collector has been."""
    gc.collect()
    return Counter(
        kind.__name__ for each in gc.get_objects() for kind in KINDS if isinstance(each, kind)
    )


def head(browser: Browser, path: str, *more: str) -> bytes:
    cookie = f"Cookie: __Host-Http-bff={browser.session_cookie}"
    lines = [f"GET {path} HTTP/1.1", f"Host: {browser.site.host}", cookie]
    lines += ["Sec-Fetch-Site: same-origin", f"Origin: {browser.site.origin}", *more]
    return "\r\n".join([*lines, "\r\n"]).encode()


def answered(browser: Browser, data: bytes, status: int) -> None:
    """Ask, read the head of the answer, and go."""
    with raw(browser.site.port) as wire:
        wire.send(data)
        assert wire.head()[0] == status


def relayed(browser: Browser) -> None:
    answered(browser, head(browser, "/api/tasks"), 200)


def relayed_and_closed(browser: Browser) -> None:
    answered(browser, head(browser, "/api/tasks", "Connection: close"), 200)


def pipelined(browser: Browser) -> None:
    answered(browser, head(browser, "/api/tasks") * 3, 200)


def endpoint(browser: Browser) -> None:
    answered(browser, head(browser, "/bff/session"), 200)


def refused(browser: Browser) -> None:
    answered(browser, b"GET /api HTTP/1.1\r\nHost : x\r\n\r\n", 400)


def events(browser: Browser) -> None:
    answered(browser, head(browser, "/bff/events"), 200)


def stream(browser: Browser) -> None:
    answered(browser, head(browser, "/api/live"), 200)


def socket(browser: Browser) -> None:
    answered(browser, head(browser, "/api/chat", *HANDSHAKE), 101)


def gone(browser: Browser) -> None:
    """Before the answer."""
    with raw(browser.site.port) as wire:
        wire.send(head(browser, "/api/tasks"))


def half(browser: Browser) -> None:
    """A head that never ends."""
    with raw(browser.site.port) as wire:
        wire.send(head(browser, "/api/tasks")[:-9])


@pytest.mark.parametrize(
    "do",
    [
        *(relayed, relayed_and_closed, pipelined, endpoint, refused, events, stream, socket),
        *(gone, half),
    ],
    ids=lambda do: do.__name__,
)
def test_nothing_of_a_connection_stays(ada: Browser, do: Callable[[Browser], None]) -> None:
    do(ada)  # what is made once is made now
    before = held()
    for _ in range(TIMES):
        do(ada)
    patience = patiently()
    while patience.left():
        more = held() - before
        if max(more.values(), default=0) <= 2:
            return
        threading.Event().wait(0.1)
