"""A browser that came to the proxy in front without TLS: led on or refused (row D-03)."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.conftest import LOOPBACK, SECURE, Sites
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.raw import Villain, raw, villain
from tests.parts.site import Site

BELIEVED = '[operate]\ntrusted_proxies = ["127.0.0.0/8"]\n'
PLAIN = {"x-forwarded-proto": "http"}

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture(scope="module")
def _upstream() -> Iterator[Villain]:
    with villain() as found:
        yield found


@pytest.fixture
def upstream(_upstream: Villain) -> Villain:
    _upstream.script()
    return _upstream


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("spa")
    (root / "index.html").write_text("<!doctype html><title>Shell</title>")
    return f'[[routes]]\npath = "/"\nstatic = "{root}"\n'


@pytest.fixture
def site(sites: Sites, provider: Control, upstream: Villain, files: str) -> Site:
    route = "websocket = true\nnavigation = true"
    return sites(api=upstream.url, routes=files, more=BELIEVED, route=route)


@pytest.mark.rule("D-03", "C-01")
@pytest.mark.parametrize(
    "target", ["/", "/orders/7?tab=two", "/bff/login?return_to=%2Forders%2F7", "/@evil.example"]
)
def test_a_person_is_led_to_the_secure_origin(browser: Browser, target: str) -> None:
    answer = browser.navigate(target, headers=PLAIN)
    assert (answer.status_code, answer.headers.get("location")) == (308, SECURE + target)
    assert urlsplit(answer.headers["location"]).hostname == "app.example.com"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert "strict-transport-security" not in answer.headers  # RFC 6797 §7.2


@pytest.mark.rule("D-03")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/tasks"), ("POST", "/api/tasks"), ("GET", "/"), ("GET", "/bff/session"),
        ("GET", "/bff/events"), ("POST", "/bff/logout"), ("GET", "/bff/login"),
    ],
)  # fmt: skip
def test_a_fetch_is_refused_and_nothing_is_disturbed(
    browser: Browser, upstream: Villain, method: str, path: str
) -> None:
    browser.sign_in()
    answer = browser.fetch(method, path, headers=PLAIN)
    assert (answer.status_code, reason(answer)) == (400, "bad_request")
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert upstream.received == []
    assert browser.fetch("GET", "/api/x", headers={"x-forwarded-proto": "https"}).is_success


@pytest.mark.rule("D-03")
@pytest.mark.parametrize(
    "path", ["/api/report.pdf", "/bff/callback?code=abc&state=def", "/bff/logout/provider?t=x"]
)
def test_what_may_hold_a_secret_or_is_relayed_goes_nowhere(browser: Browser, path: str) -> None:
    answer = browser.navigate(path, headers=PLAIN)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "abc" not in answer.text


@pytest.mark.rule("D-03", "E-01")
def test_a_person_who_opens_a_download_reads_a_page(browser: Browser) -> None:
    answer = browser.navigate("/api/report.pdf", headers=PLAIN)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.rule("D-03")
def test_a_page_of_an_upstream_is_a_page(sites: Sites, upstream: Villain) -> None:
    pages = f'[[routes]]\npath = "/docs"\nupstream = "{upstream.url}"\nauth = "none"\n'
    pages += "navigation = true\ndocuments = true\n"
    with browsing(sites(api=upstream.url, routes=pages, more=BELIEVED)) as browser:
        answer = browser.navigate("/docs/a", headers=PLAIN)
        assert (answer.status_code, answer.headers["location"]) == (308, f"{SECURE}/docs/a")
        assert browser.fetch("GET", "/docs/a", headers=PLAIN).status_code == 400
    assert upstream.received == []


@pytest.mark.rule("D-03", "W-01")
def test_no_socket_is_opened(site: Site, upstream: Villain) -> None:
    with raw(site.port) as wire:
        wire.send(
            b"GET /api/chat HTTP/1.1\r\nHost: app.example.com\r\nOrigin: https://app.example.com"
            b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: c2l4dGVlbiBvY3RldHMuLg==\r\nX-Forwarded-Proto: ws\r\n\r\n"
        )
        assert wire.answer().status == 400
    assert upstream.received == []


@pytest.mark.rule("D-03")
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("http", 400), ("HTTP", 400), ("http , https", 400), ("ws", 400),
        ("https", 200), ("https, http", 200), ("wss", 200), ("", 200), ("httpx", 200),
    ],
)  # fmt: skip
def test_the_first_value_speaks_of_the_browser(browser: Browser, said: str, status: int) -> None:
    browser.sign_in()
    answer = browser.fetch("GET", "/api/x", headers={"x-forwarded-proto": said})
    assert answer.status_code == status


@pytest.mark.rule("D-03", "Q-16")
def test_who_is_not_trusted_says_nothing(sites: Sites, upstream: Villain, files: str) -> None:
    with browsing(sites(api=upstream.url, routes=files)) as browser:
        browser.sign_in()
        assert browser.fetch("GET", "/api/x", headers=PLAIN).status_code == 200
        assert browser.navigate("/", headers=PLAIN).status_code == 200


@pytest.mark.rule("D-03")
def test_on_loopback_plain_http_is_what_was_asked_for(sites: Sites, upstream: Villain) -> None:
    with browsing(sites(api=upstream.url, origin=LOOPBACK, more=BELIEVED)) as browser:
        browser.sign_in()
        assert browser.fetch("GET", "/api/x", headers=PLAIN).status_code == 200
