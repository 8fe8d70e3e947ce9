"""Whose error it is: ours say so on relayed paths, the API's own pass as they came (A-13)."""

import socket
from collections.abc import Iterator

import pytest

from bff.problem import Answer, Reason, Refused
from bff.relay.proxy_status import ERRORS, with_proxy_status
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.raw import OK, Received, Villain, raw
from tests.parts.site import Site, serving

# RFC 9209 §2.3, the whole registry.
REGISTERED = {
    "dns_timeout", "dns_error", "destination_not_found", "destination_unavailable",
    "destination_ip_prohibited", "destination_ip_unroutable", "connection_refused",
    "connection_terminated", "connection_timeout", "connection_read_timeout",
    "connection_write_timeout", "connection_limit_reached", "tls_protocol_error",
    "tls_certificate_error", "tls_alert_received", "http_request_error", "http_request_denied",
    "http_response_incomplete", "http_response_header_section_size",
    "http_response_header_size", "http_response_body_size",
    "http_response_trailer_section_size", "http_response_trailer_size",
    "http_response_transfer_coding", "http_response_content_coding", "http_response_timeout",
    "http_upgrade_failed", "http_protocol_error", "proxy_internal_response",
    "proxy_internal_error", "proxy_configuration_error", "proxy_loop_detected",
}  # fmt: skip

ROUTES = """
[[routes]]
path = "/open"
upstream = "{url}"
auth = "none"
answer_timeout = "300ms"
max_body = "1KiB"
methods = ["GET", "POST"]

[[routes]]
path = "/dead"
upstream = "http://127.0.0.1:1"
auth = "none"
"""


@pytest.fixture(scope="module")
def site(upstream: Villain) -> Iterator[Site]:
    routes = ROUTES.format(url=upstream.url)
    text = config(issuer="http://127.0.0.1:1", api=upstream.url, routes=routes)
    with serving(text) as found:
        yield found


@pytest.fixture
def browser(site: Site, upstream: Villain) -> Iterator[Browser]:
    upstream.script()
    with browsing(site) as found:
        yield found


@pytest.mark.rule("A-13")
def test_every_reason_has_a_registered_type() -> None:
    assert set(ERRORS) == set(Reason)
    assert set(ERRORS.values()) <= REGISTERED


@pytest.mark.rule("A-13")
@pytest.mark.parametrize("reason", Reason)
def test_the_field_has_one_name_and_one_type(reason: Reason) -> None:
    plain = Answer(status=502, headers=[(b"a", b"b")], body=b"x")
    for phase in (None, "connect", "answer"):
        found = with_proxy_status(plain, Refused(reason, phase=phase))
        (name, value) = found.headers[-1]
        assert (name, found.headers[:-1], found.body) == (b"proxy-status", [(b"a", b"b")], b"x")
        proxy, _, error = value.decode().partition("; error=")
        assert proxy == "bff"
        assert error in REGISTERED


def hang_up(connection: socket.socket, _: Received) -> str:
    connection.sendall(b"HTTP/1.1 200")
    return "close"


@pytest.mark.rule("A-13")
@pytest.mark.parametrize(
    ("method", "path", "headers", "answer", "said"),
    [
        pytest.param("GET", "/api/x", {}, OK, (401, "http_request_denied"), id="no session"),
        pytest.param("GET", "/open/x", {"sec-fetch-site": "cross-site"}, OK,
                     (403, "http_request_denied"), id="another site"),
        pytest.param("DELETE", "/open/x", {}, OK, (405, "http_request_error"), id="a method"),
        pytest.param("GET", "/open/%2e%2e/x", {}, OK, (400, "http_request_error"), id="a path"),
        pytest.param("GET", "/open/x", {"expect": "x"}, OK, (417, "http_request_error"),
                     id="what the door refuses"),
        pytest.param("GET", "/open/x", {"via": "1.1 bff"}, OK, (502, "proxy_loop_detected"),
                     id="a circle"),
        pytest.param("GET", "/dead/x", {}, OK, (502, "destination_unavailable"), id="nobody there"),
        pytest.param("GET", "/open/x", {}, hang_up, (502, "connection_terminated"),
                     id="somebody who hangs up"),
        pytest.param("GET", "/open/x", {}, b"hello\r\n\r\n", (502, "http_protocol_error"),
                     id="what is no answer"),
        pytest.param("GET", "/open/x", {}, lambda *_: None, (504, "http_response_timeout"),
                     id="silence"),
    ],
)  # fmt: skip
def test_an_error_of_ours_on_a_relayed_path_says_so(
    browser: Browser,
    upstream: Villain,
    method: str,
    path: str,
    headers: dict[str, str],
    answer: object,
    said: tuple[int, str],
) -> None:
    upstream.script(answer)
    found = browser.fetch(method, path, headers=headers)
    status, error = said
    assert found.status_code == status
    assert found.headers.get_list("proxy-status") == [f"bff; error={error}"]


@pytest.mark.rule("A-13")
def test_a_body_over_the_limit_says_so_too(browser: Browser) -> None:
    found = browser.fetch("POST", "/open/x", content=b"x" * 2000)
    assert found.status_code == 413
    assert found.headers.get_list("proxy-status") == ["bff; error=http_request_error"]


@pytest.mark.rule("A-13")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 502, 503, 504])
def test_a_relayed_error_gains_none(site: Site, upstream: Villain, status: int) -> None:
    upstream.script(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status)
    with raw(site.port) as wire:
        wire.send(b"GET /open/x HTTP/1.1\r\nHost: app.example.com\r\nX-CSRF: 1\r\n\r\n")
        found = wire.answer()
    assert (found.status, found.all("proxy-status")) == (status, [])


@pytest.mark.rule("A-13")
@pytest.mark.parametrize("path", ["/bff/none", "/bff/%2e%2e/x", "/nowhere", "/bff/callback"])
def test_what_is_not_relayed_says_nothing_of_a_proxy(browser: Browser, path: str) -> None:
    found = browser.fetch("GET", path)
    assert found.status_code >= 400
    assert "proxy-status" not in found.headers
