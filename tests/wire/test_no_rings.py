"""What is over is let go of at once: nothing of it waits for the collector of rings.

That comes the more seldom the more a process holds, and until then each connection that has been
closed would be kept, with all that hung on it.
"""

import asyncio
import contextlib
import gc
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from bff.config.provider_section import Provider
from bff.provider.call import Fault, ProviderHttp, Reply
from bff.simulator import Simulator
from tests.conftest import Sites
from tests.parts.browser import Browser, Cookie, browsing
from tests.parts.race import patiently
from tests.parts.raw import Received, raw, villain
from tests.parts.redis_process import free_port
from tests.parts.site import Site
from tests.parts.socket_server import open_socket, socketeer

TIMES = 8


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder's tap holds on to who is answered, and that to the connection."""
    monkeypatch.setattr("tests.parts.site.tapped", lambda protocol: protocol)


def left_over(site: Site, happens: Callable[[], object]) -> Counter[str]:
    """What the collector finds of ours when something has happened so many times.

    It must come to the same each time."""
    first = happens()  # what is made once for all is made by now
    _settle(site)
    with collected() as found:
        for _ in range(TIMES):
            assert happens() == first
        _settle(site)
    return found


@contextlib.contextmanager
def collected(modules: str = "bff") -> Iterator[Counter[str]]:
    """The types of those modules, and our frames, of which the collector finds something."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    found: Counter[str] = Counter()
    try:
        yield found
        gc.collect()
        found.update(name for name in map(_name, gc.garbage) if re.match(rf"({modules})\.", name))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _name(each: object) -> str:
    """Where something is from; nothing where that is none of our concern."""
    kind = type(each)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(each, FrameType):
        _, _, file = each.f_code.co_filename.rpartition("/bff/")
        name = f"bff.{file}" if file != each.f_code.co_filename else name
    return "" if name.startswith("bff.simulator") else name


def _settle(site: Site) -> None:
    """Until the last connection has been let go of, or waits for the collector."""
    site.settle()
    patience = patiently()
    while site.application.site.users._count:
        assert patience.left()
        time.sleep(0.02)
    time.sleep(0.1)  # and the connections, of which nobody keeps count


def head(browser: Browser, method: str, path: str, more: str = "") -> bytes:
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in browser.cookies.items())
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {browser.site.host}",
        f"Origin: {browser.site.origin}",
        "X-CSRF: 1",
        *([] if "Sec-Fetch" in more else ["Sec-Fetch-Site: same-origin"]),
        *([f"Cookie: {cookies}"] if cookies else []),
    ]
    return ("\r\n".join(lines) + f"\r\n{more}\r\n").encode()


def asked(browser: Browser, method: str, path: str, more: str = "", body: bytes = b"") -> int:
    """Three calls on one connection, unless each is to be the last; the last one's status."""
    status = 0
    with raw(browser.site.port) as wire:
        for _ in range(1 if "close" in more else 3):
            wire.send(head(browser, method, path, more) + body)
            status = wire.answer(method).status
    return status


def looked(browser: Browser, path: str) -> int:
    """At a stream, and away again."""
    with raw(browser.site.port) as wire:
        wire.send(head(browser, "GET", path, "Accept: text/event-stream\r\n"))
        status = wire.head()[0]
        if status == 200:
            wire.line()
    return status


def gone(browser: Browser, path: str) -> None:
    """Asked, and away before there is an answer."""
    with raw(browser.site.port) as wire:
        wire.send(head(browser, "GET", path))


def said(browser: Browser, octets: bytes, timeout: float = 20) -> int:
    """Whatever it is, and how it was refused; 0: not in so short a time."""
    with raw(browser.site.port, timeout=timeout) as wire:
        wire.send(octets)
        with contextlib.suppress(TimeoutError):
            return wire.answer().status
    return 0


def early(browser: Browser) -> int:
    """A body that is refused before its turn has come."""
    form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n"
    second = head(browser, "POST", "/api/echo", form) + b"access_token=a"
    with raw(browser.site.port) as wire:
        wire.send(head(browser, "GET", "/api/tasks") + second)
        assert wire.answer().status == 200
        return wire.answer().status


CLOSE = "Connection: close\r\n"
CROSS = "Sec-Fetch-Site: cross-site\r\n"
TEXT = "Content-Type: text/plain\r\nContent-Length: 3\r\n"
KINDS: dict[str, tuple[int | None, Callable[[Browser], int | None]]] = {
    "a relayed call": (200, lambda b: asked(b, "GET", "/api/tasks")),
    "one with a body": (200, lambda b: asked(b, "POST", "/api/echo", TEXT, b"abc")),
    "the last of a connection": (200, lambda b: asked(b, "GET", "/api/tasks", CLOSE)),
    "one of another site": (403, lambda b: asked(b, "GET", "/api/tasks", CROSS)),
    "an endpoint of ours": (200, lambda b: asked(b, "GET", "/bff/session")),
    "a page that is not there": (404, lambda b: asked(b, "GET", "/bff/nothing")),
    "a host that is not ours": (421, lambda b: said(b, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    "no HTTP": (501, lambda b: said(b, b"\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n")),
    "half a head": (0, lambda b: said(b, b"POST /api/tasks HTTP/1.1\r\nHo", 0.05)),
    "a browser that is gone": (None, lambda b: gone(b, "/api/tasks")),
    "a body that is refused early": (400, early),
    "a stream": (200, lambda b: looked(b, "/api/live")),
    "a stream of ours": (200, lambda b: looked(b, "/bff/events")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of(sites: Sites, kind: str) -> None:
    site = sites(store="redis")
    expected, what = KINDS[kind]
    with browsing(site) as ada:
        ada.sign_in("ada")
        assert what(ada) == expected
        assert left_over(site, lambda: what(ada)) == Counter()


@pytest.mark.parametrize("kind", ["a relayed call", "a stream", "a stream of ours"])
def test_nothing_is_left_of_what_is_refused_for_want_of_a_session(sites: Sites, kind: str) -> None:
    site = sites(store="redis")
    _, what = KINDS[kind]
    with browsing(site) as nobody:
        assert what(nobody) == 401
        assert left_over(site, lambda: what(nobody)) == Counter()
        nobody.cookies["__Host-Http-bff"] = Cookie("1.2.3", "Strict", "")
        assert what(nobody) == 401
        assert left_over(site, lambda: what(nobody)) == Counter()


def test_nothing_is_left_of_a_websocket(sites: Sites) -> None:
    with socketeer() as server:
        site = sites(api=server.url, store="redis", route="websocket = true")
        with browsing(site) as ada:
            ada.sign_in("ada")

            def talk() -> None:
                with open_socket(ada, "/api/chat") as page:
                    theirs = server.take()
                    page.send("a")
                    assert theirs.recv() == "a"

            assert left_over(site, talk) == Counter()


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, id="and closed"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nok", 200, id="until it is closed"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", 200, id="not whole"),
        pytest.param(b"nonsense\r\n\r\n", 502, id="no HTTP"),
        pytest.param(b"", 502, id="nothing"),
    ],
)
def test_nothing_is_left_of_an_upstream_s_connection(
    sites: Sites, octets: bytes, status: int
) -> None:
    with villain() as upstream:
        site = sites(api=upstream.url, store="redis", route='auth = "none"')

        def close(wire: socket.socket, _: Received) -> str:
            wire.sendall(octets)
            return "close"

        upstream.script(*[close] * (TIMES + 1))
        with browsing(site) as nobody:

            def call() -> None:
                with raw(site.port) as wire:
                    wire.send(head(nobody, "GET", "/api/x", CLOSE))
                    assert wire.head()[0] == status
                    wire.rest()

            assert left_over(site, call) == Counter()


REFUSALS = [
    pytest.param("403 Forbidden", 'Bearer error="insufficient_scope"', 403, id="a scope"),
    pytest.param("401 Unauthorized", 'Bearer error="invalid_token"', 401, id="another token"),
    pytest.param(
        "401 Unauthorized", 'Bearer error="insufficient_user_authentication"', 403, id="a step up"
    ),
]


@pytest.mark.parametrize(("line", "challenge", "status"), REFUSALS)
def test_nothing_is_left_of_what_an_upstream_refuses(
    sites: Sites, line: str, challenge: str, status: int
) -> None:
    octets = f"HTTP/1.1 {line}\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
    with villain() as upstream:
        site = sites(api=upstream.url, store="redis")
        with browsing(site) as ada:
            ada.sign_in("ada")
            upstream.script(*[octets.encode()] * 100 * TIMES)
            assert asked(ada, "GET", "/api/x") == status
            assert left_over(site, lambda: asked(ada, "GET", "/api/x")) == Counter()


def test_nothing_is_left_of_files_that_are_not_there(sites: Sites, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>x</title>")
    site = sites(routes=f'[[routes]]\npath = "/"\nstatic = "{tmp_path}"')
    with browsing(site) as nobody:
        for path, status in (("/nothing.js", 404), ("/index.html", 200)):
            assert asked(nobody, "GET", path) == status
            assert left_over(site, partial(asked, nobody, "GET", path)) == Counter()


def test_nothing_is_left_of_who_may_come_as_nobody(sites: Sites) -> None:
    site = sites(store="redis", route='auth = "optional"')
    with browsing(site) as nobody:
        assert left_over(site, lambda: asked(nobody, "GET", "/api/")) == Counter()


def test_nothing_is_left_of_a_token_that_cannot_be_asked_for(sites: Sites) -> None:
    """A claim that its scope is made of is missing."""
    wants = 'resource = "https://api.example.com/"\nscopes = ["org:{org_id}"]'
    site = sites(store="redis", route=wants)
    with browsing(site) as ada:
        ada.sign_in("ada")
        assert asked(ada, "GET", "/api/x") == 403
        assert left_over(site, lambda: asked(ada, "GET", "/api/x")) == Counter()


def test_nothing_is_left_of_an_upstream_that_is_not_there(sites: Sites) -> None:
    site = sites(api=f"http://127.0.0.1:{free_port()}", store="redis", route='auth = "none"')
    with browsing(site) as nobody:
        assert asked(nobody, "GET", "/api/x") == 502
        assert left_over(site, lambda: asked(nobody, "GET", "/api/x")) == Counter()


def test_nothing_is_left_of_a_session(sites: Sites) -> None:
    """Signed in, a call, signed out."""
    site = sites(store="redis")

    def comes_and_goes() -> None:
        with browsing(site) as ada:
            ada.sign_in("ada")
            assert ada.fetch("GET", "/api/tasks").status_code == 200
            assert ada.fetch("POST", "/bff/logout").status_code == 200

    assert left_over(site, comes_and_goes) == Counter()


def test_nothing_is_left_of_a_provider_s_answer(simulator: Simulator) -> None:
    """Tokens may be in it."""
    url = f"{simulator.issuer}/.well-known/openid-configuration"
    assert asyncio.run(left_of_calls(url, Reply)) == Counter()
    assert asyncio.run(left_of_calls(f"{simulator.issuer}/nothing", Reply)) == Counter()


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["encoded", "too large", "not whole", "half a head", "no HTTP", "nothing"],
)
def test_nothing_is_left_of_a_provider_s_answer_that_is_none(octets: bytes) -> None:
    """In what was asked there may be a refresh token."""
    with villain() as provider:

        def close(wire: socket.socket, _: Received) -> str:
            wire.sendall(octets)
            return "close"

        provider.script(*[close] * (TIMES + 1))
        assert asyncio.run(left_of_calls(provider.url, Fault)) == Counter()


async def left_of_calls(url: str, kind: type) -> Counter[str]:
    """What the collector finds of calls that come to that."""
    http = ProviderHttp(Provider(issuer="https://login.example", client_id="spa"))
    assert isinstance(await http.get(url, kind="discovery"), kind)
    # The connection of a server that speaks no HTTP is in a ring of httpcore's own.
    with collected("httpx|httpcore.Request|httpcore.Response|bff") as found:
        for _ in range(TIMES):
            assert isinstance(await http.get(url, kind="discovery"), kind)
        await asyncio.sleep(0.05)
    await http.close()
    return found
