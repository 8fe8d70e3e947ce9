"""The relay, towards the upstream: what a strict reader there says that it received."""

import html
import re
import socket
from collections.abc import Iterator

import pytest

from bff.config.load import ConfigFaults, parse
from bff.simulator import Client, Person, Plan, Simulator, Switches, running
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config, config_text
from tests.parts.raw import Received, Villain, raw
from tests.parts.site import Site, serving

ORIGIN = "https://app.example.com"
ROUTES = """
[[routes]]
path = "/api/admin"
upstream = "{url}/admin"
auth = "none"
methods = ["GET", "POST"]

[[routes]]
path = "/open"
upstream = "{url}"
auth = "none"

[[routes]]
path = "/maybe"
upstream = "{url}"
auth = "optional"
request_cookies = ["theme", "bff", "__Host-Http-bff", "__Host-bff-login-x"]
headers = {{ "X-Tenant" = "blue" }}

[[routes]]
path = "/files"
upstream = "{url}"
navigation = true

[[routes]]
path = "/dead"
upstream = "http://127.0.0.1:1"
auth = "none"
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Simulator]:
    client = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{ORIGIN}/bff/callback",),
        post_logout_redirect_uris=(f"{ORIGIN}/",),
    )
    with running(Plan(clients=(client,), switches=Switches(access_token_seconds=600))) as found:
        yield found


@pytest.fixture(scope="module")
def site(upstream: Villain, provider: Simulator) -> Iterator[Site]:
    routes = ROUTES.format(url=upstream.url)
    with serving(config(issuer=provider.issuer, api=upstream.url, routes=routes)) as found:
        yield found


@pytest.fixture(scope="module")
def ada(site: Site) -> Iterator[Browser]:
    with browsing(site) as browser:
        browser.sign_in()
        yield browser


@pytest.fixture(autouse=True)
def _fresh(upstream: Villain) -> None:
    upstream.script()


def only(upstream: Villain) -> Received:
    (received,) = upstream.received
    return received


PATHS_REFUSED = [
    "/api/../x", "/api/./x", "/api/..", "/api/%2e%2e/x", "/api/%2E./x", "/api/.%2e/x",
    "/api/..;/x", "/api/%2e%2e;a=b/x", "/api/a%2fb", "/api/a%2Fb", "/api/a%5cb", "/api/a\\b",
    "/api/a%23b", "/api/a%00b", "/api/a%0d%0ab", "/api/a%7fb", "/api/a%ffb", "/api/a%c3%28b",
    "/api//a", "//api/a", "/api/a//b", "/api/%252e%252e/x", "/api/a%252fb", "/api/a%255cb",
    "/api/a%25252fb", "/api/a%2500b", "/api/a%2523", "/api/%2", "/api/%zz", "/api/%",
    "/api/a<b", '/api/a"b', "/api/a|b", "/api/a^b", "/api/a`b", "/api/a{b}",
    "/api/%61dmin", "/api/%61dmin/x", "/api/admin;v=1", "/api/admin;/x", "/api/Admin",
    "/api/ADMIN/x", "/api;x/admin", "/%61pi/x", "/Api/x", "/API/x", "/%62ff/session",
    "/BFF/session", "/bff;x/session", "/Bff", "/api/%c0%ae%c0%ae/x", "/api/a/%2e", "/api/a/.",
]  # fmt: skip


@pytest.mark.rule("Q-03")
@pytest.mark.parametrize("path", PATHS_REFUSED)
def test_a_path_with_two_readings_is_refused(site: Site, upstream: Villain, path: str) -> None:
    with raw(site.port) as wire:
        head = f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nX-CSRF: 1\r\n\r\n"
        wire.send(head.encode("latin-1"))
        answer = wire.answer()
    assert (answer.status, upstream.received) == (400, [])
    assert b'"reason":"ambiguous_path"' in answer.body


@pytest.mark.rule("Q-03")
@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/open/a%20b?x=%2F..%2f&y=a//b", "/open/a%20b?x=%2F..%2f&y=a//b"),
        ("/open/%E2%82%AC", "/open/%E2%82%AC"),
        ("/open/a;v=1,2/b:c@d!$&'()*+=~", "/open/a;v=1,2/b:c@d!$&'()*+=~"),
        ("/open/100%25", "/open/100%25"),
        ("/open/a%3Fb", "/open/a%3Fb"),
        ("/open/", "/open/"),
        ("/open", "/open"),
        ("/open?", "/open?"),
        ("/open?a=?b", "/open?a=?b"),
        ("/open/...", "/open/..."),
        ("/api/admin/x", "/admin/api/admin/x"),
    ],
)
def test_every_other_path_and_query_passes_octet_for_octet(
    site: Site, upstream: Villain, path: str, seen: str
) -> None:
    with raw(site.port) as wire:
        wire.send(f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nX-CSRF: 1\r\n\r\n".encode())
        assert wire.answer().status == 200
    assert only(upstream).line == f"GET {seen} HTTP/1.1".encode()


@pytest.mark.rule("Q-01")
@pytest.mark.parametrize("path", ["/apiary", "/nowhere", "/", "/api.evil", "/bff-x", "/bff/none"])
def test_an_unknown_path_is_404(ada: Browser, upstream: Villain, path: str) -> None:
    answer = ada.fetch("GET", path)
    assert (answer.status_code, answer.json()["reason"]) == (404, "no_route")
    assert upstream.received == []


@pytest.mark.rule("Q-01")
@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "evil.example"},
        {"x-forwarded-proto": "http", "x-forwarded-port": "1"},
        {"forwarded": "host=evil.example"},
        {"x-original-url": "/api/admin"},
        {"x-rewrite-url": "http://evil.example/"},
        {"x-http-method-override": "DELETE"},
    ],
)
def test_no_field_of_the_browser_moves_the_request(
    ada: Browser, upstream: Villain, headers: dict[str, str]
) -> None:
    assert ada.fetch("GET", "/api/x", headers=headers).status_code == 200
    received = only(upstream)
    assert received.line == b"GET /x HTTP/1.1"
    assert received.all(b"host") == [upstream.url.removeprefix("http://").encode()]
    assert received.all(b"x-forwarded-host") == [b"app.example.com"]
    for name in headers.keys() - {"x-forwarded-host", "x-forwarded-proto", "forwarded"}:
        assert received.all(name.encode()) == []


@pytest.mark.rule("Q-02")
def test_a_method_that_the_route_does_not_list_is_405_with_allow(
    ada: Browser, upstream: Villain
) -> None:
    answer = ada.fetch("DELETE", "/api/admin/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert upstream.received == []
    assert ada.fetch("POST", "/api/admin/1").status_code == 200


@pytest.mark.rule("Q-04", "T-01")
@pytest.mark.parametrize(
    "own", [{}, {"authorization": "Bearer mine"}, {"authorization": "Basic YTpi"}]
)
def test_the_upstream_sees_exactly_one_authorization_and_it_is_the_sessions(
    ada: Browser, upstream: Villain, provider: Simulator, own: dict[str, str]
) -> None:
    assert ada.fetch("GET", "/api/x", headers=own).status_code == 200
    (value,) = only(upstream).all(b"authorization")
    scheme, _, token = value.decode().partition(" ")
    assert (scheme, token.count(".")) == ("Bearer", 2)


@pytest.mark.rule("Q-07")
@pytest.mark.parametrize("path", ["/open/x", "/api/admin/x"])
def test_no_token_leaves_on_a_route_without_one(ada: Browser, upstream: Villain, path: str) -> None:
    assert ada.fetch("GET", path, headers={"authorization": "Bearer a"}).status_code == 200
    assert only(upstream).all(b"authorization") == []


@pytest.mark.rule("Q-07")
def test_an_optional_route_sends_a_token_only_with_a_session(
    ada: Browser, site: Site, upstream: Villain
) -> None:
    assert ada.fetch("GET", "/maybe/x").status_code == 200
    with browsing(site) as nobody:
        assert nobody.fetch("GET", "/maybe/x").status_code == 200
    assert [len(each.all(b"authorization")) for each in upstream.received] == [1, 0]


@pytest.mark.rule("Q-05")
@pytest.mark.parametrize(
    "query",
    ["access_token=a", "a=b&access_token=c", "access%5Ftoken=a", "%61ccess_token=", "access_token"],
)
def test_a_token_of_the_browsers_in_the_query_is_400(
    ada: Browser, upstream: Villain, query: str
) -> None:
    answer = ada.fetch("GET", f"/api/x?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")
    assert upstream.received == []


@pytest.mark.rule("Q-05")
@pytest.mark.parametrize(
    "body",
    [
        b"access_token=a", b"a=b&access_token=c", b"access%5Ftoken=a&x=y", b"access_token",
        b"a=" + b"x" * 200_000 + b"&access_token=c",
    ],
)  # fmt: skip
def test_a_token_of_the_browsers_in_a_form_is_400(ada: Browser, body: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = ada.fetch("POST", "/api/x", content=body, headers=kind)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")


@pytest.mark.rule("Q-05")
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"a=access_token&b=access_token=1"),
        ("application/x-www-form-urlencoded", b"my_access_token=1&access_tokens=2"),
        ("application/json", b'{"access_token": 1}'),
        ("text/plain", b"access_token=1"),
    ],
)
def test_what_only_looks_like_one_passes(
    ada: Browser, upstream: Villain, kind: str, body: bytes
) -> None:
    answer = ada.fetch("POST", "/api/x", content=body, headers={"content-type": kind})
    assert answer.status_code == 200
    assert only(upstream).body == body


@pytest.mark.rule("Q-06")
def test_no_cookie_goes_upstream_unless_the_route_names_it_and_never_ours(
    ada: Browser, upstream: Villain
) -> None:
    extra = f"theme=dark; bff=x; other=1; __Host-Http-bff={ada.session_cookie}"
    assert ada.fetch("GET", "/api/x", headers={"cookie": extra}).status_code == 200
    assert ada.fetch("GET", "/maybe/x", headers={"cookie": extra}).status_code == 200
    seen = [each.all(b"cookie") for each in upstream.received]
    assert seen == [[], [b"theme=dark"]]


@pytest.mark.rule("Q-08")
@pytest.mark.parametrize(
    "named",
    [
        "authorization, forwarded", "host", "x-forwarded-for, via", "x-request-id, x-tenant",
        "content-length", "close, authorization",
    ],
)  # fmt: skip
def test_connection_cannot_strip_what_the_relay_sets(
    ada: Browser, upstream: Villain, named: str
) -> None:
    answer = ada.fetch("POST", "/maybe/x", content=b"abc", headers={"connection": named})
    assert answer.status_code == 200
    received = only(upstream)
    names = {name for name, _ in received.headers}
    assert {b"host", b"authorization", b"forwarded", b"via", b"x-request-id", b"x-tenant"} <= names
    assert received.body == b"abc"


@pytest.mark.rule("Q-08")
def test_a_field_named_in_connection_goes_no_further(ada: Browser, upstream: Villain) -> None:
    headers = {"connection": "x-hop, X-Other", "x-hop": "1", "x-other": "2", "x-kept": "3"}
    assert ada.fetch("GET", "/api/x", headers=headers).status_code == 200
    names = {name for name, _ in only(upstream).headers}
    assert names & {b"x-hop", b"x-other", b"connection"} == set()
    assert b"x-kept" in names


@pytest.mark.rule("Q-08", "Q-17")
def test_a_field_of_one_request_goes_on_as_it_is_now(ada: Browser, upstream: Villain) -> None:
    """It is kept beside the header section, which is remembered with all that follows from it."""
    for number in ("1", "2"):
        upstream.script()
        said = {"cf-ray": number, "traceparent": number, "x-request-id": f"forged-{number}"}
        answer = ada.fetch("GET", "/maybe/x", headers=said)
        assert answer.status_code == 200
        received = only(upstream)
        assert received.all(b"cf-ray") == [number.encode()]
        assert received.all(b"traceparent") == [number.encode()]
        assert len(received.all(b"x-request-id")) == 1
        assert not received.all(b"x-request-id")[0].startswith(b"forged")
    upstream.script()
    named = {"connection": "CF-Ray", "cf-ray": "3", "x-correlation-id": "a;b"}
    assert ada.fetch("GET", "/maybe/x", headers=named).status_code == 200
    assert only(upstream).all(b"cf-ray") == []
    assert only(upstream).all(b"x-correlation-id") == [b"a;b"]


@pytest.mark.rule("Q-09", "Q-17", "X-10")
@pytest.mark.parametrize(
    "name",
    [
        "keep-alive", "proxy-connection", "te", "trailer", "proxy-authorization",
        "http2-settings", "x-user", "x-remote-user", "remote-user", "x-original-url",
        "x-rewrite-url", "x-forwarded-uri", "x-forwarded-user", "x-auth-request-user", "x_user",
        "x_forwarded_for", "content_length", "x-http-method", "x-http-method-override",
        "x-method-override", "x-real-ip", "dpop", "proxy", "x-bff-user", "x-username", "x-userid",
        "x-host", "x-forwarded", "forwarded-for", "client-ip", "x-client-ip", "true-client-ip",
        "x-cluster-client-ip", "cf-connecting-ip", "cf-connecting-ipv6", "fastly-client-ip",
    ],
)  # fmt: skip
def test_what_a_client_could_forge_goes_no_further(
    ada: Browser, upstream: Villain, name: str
) -> None:
    assert ada.fetch("GET", "/api/x", headers={name: "forged"}).status_code == 200
    assert only(upstream).all(name.encode()) == []


@pytest.mark.rule("Q-17")
def test_a_field_that_the_route_sets_cannot_come_from_the_browser(
    ada: Browser, upstream: Villain
) -> None:
    assert ada.fetch("GET", "/maybe/x", headers={"x-tenant": "red"}).status_code == 200
    assert only(upstream).all(b"x-tenant") == [b"blue"]


@pytest.mark.rule("Q-16")
def test_what_is_said_of_the_peer_is_written_anew(ada: Browser, upstream: Villain) -> None:
    forged = {"x-forwarded-for": "1.2.3.4", "forwarded": "for=1.2.3.4", "x-real-ip": "1.2.3.4"}
    assert ada.fetch("GET", "/api/x", headers=forged).status_code == 200
    received = only(upstream)
    assert received.all(b"x-forwarded-for") == [b"127.0.0.1"]
    assert received.all(b"forwarded") == [b"for=127.0.0.1;proto=https;host=app.example.com"]


@pytest.mark.rule("Q-16", "E-10")
def test_a_trusted_proxy_is_believed_up_to_the_first_that_is_not(
    upstream: Villain, provider: Simulator
) -> None:
    more = '[operate]\ntrusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]\n'
    text = config(issuer=provider.issuer, api=upstream.url, route='auth = "none"', more=more)
    with serving(text) as site, browsing(site) as browser:
        for said, believed in [
            ("203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
            ("10.2.2.2", "10.2.2.2"),
            ("evil", "127.0.0.1"),
            ("203.0.113.7, evil", "127.0.0.1"),
        ]:
            upstream.script()
            headers = {"x-forwarded-for": said, "x-request-id": "from-the-proxy-1"}
            assert browser.fetch("GET", "/api/x", headers=headers).status_code == 200
            assert only(upstream).all(b"x-forwarded-for") == [believed.encode()]
            assert only(upstream).all(b"x-request-id") == [b"from-the-proxy-1"]


@pytest.mark.rule("Q-16")
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no socket here speaks both families")
def test_a_proxy_that_comes_to_a_socket_of_both_families_is_the_same_proxy(
    upstream: Villain, provider: Simulator
) -> None:
    more = '[operate]\ntrusted_proxies = ["127.0.0.0/8"]\n'
    text = config(issuer=provider.issuer, api=upstream.url, route='auth = "none"', more=more)
    both = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with serving(text, both) as site, browsing(site) as browser:
        upstream.script()
        headers = {"x-forwarded-for": "203.0.113.7"}
        assert browser.fetch("GET", "/api/x", headers=headers).status_code == 200
        assert only(upstream).all(b"x-forwarded-for") == [b"203.0.113.7"]


@pytest.mark.rule("E-10")
def test_a_request_id_from_outside_is_not_taken(ada: Browser, upstream: Villain) -> None:
    headers = {"x-request-id": "mine-mine-mine"}
    assert ada.fetch("GET", "/api/x", headers=headers).status_code == 200
    (value,) = only(upstream).all(b"x-request-id")
    assert value != b"mine-mine-mine"


@pytest.mark.rule("Q-15")
def test_via_is_added_and_our_own_mark_ends_a_loop(ada: Browser, upstream: Villain) -> None:
    assert ada.fetch("GET", "/api/x", headers={"via": "1.0 cdn"}).status_code == 200
    assert only(upstream).all(b"via") == [b"1.0 cdn, 1.1 bff"]
    for others in ("1.1 bff.example.com", "1.1 bff-edge (Apache/2.4)", "1.1 cdn (1.1 bff)"):
        upstream.script()
        assert ada.fetch("GET", "/api/x", headers={"via": others}).status_code == 200
        assert only(upstream).all(b"via") == [f"{others}, 1.1 bff".encode()]
    upstream.script()
    assert ada.fetch("GET", "/api/x", headers={"via": "1.1 a,1.0  bff , x y"}).status_code == 502
    answer = ada.fetch("GET", "/api/x", headers={"via": "1.0 cdn, 1.1 bff"})
    assert (answer.status_code, answer.json()["reason"]) == (502, "upstream_loop")


@pytest.mark.rule("Q-19")
@pytest.mark.parametrize("chunked", [False, True])
def test_the_upstream_sees_the_first_octet_before_the_last_has_arrived(
    site: Site, chunked: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        text = config(
            issuer="http://127.0.0.1:1", api=f"http://127.0.0.1:{port}", route='auth = "none"'
        )
        with serving(text) as here, raw(here.port) as wire:
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 6"
            head = f"POST /api/x HTTP/1.1\r\nHost: {here.host}\r\nX-CSRF: 1\r\n".encode()
            first = b"3\r\nabc\r\n" if chunked else b"abc"
            rest = b"3\r\ndef\r\n0\r\n\r\n" if chunked else b"def"
            wire.send(head + b"Sec-Fetch-Site: same-origin\r\n" + framing + b"\r\n\r\n" + first)
            connection, _ = listening.accept()
            with connection:
                seen = b""
                while b"abc" not in seen:
                    seen += connection.recv(4096)
                assert b"def" not in seen
                lower = seen.lower()
                assert (b"content-length" in lower) != (b"transfer-encoding" in lower)
                wire.send(rest)
                while b"def" not in seen:
                    seen += connection.recv(4096)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert wire.answer().status == 204


@pytest.mark.rule("A-14")
def test_a_service_worker_is_never_relayed(ada: Browser, upstream: Villain) -> None:
    answer = ada.fetch("GET", "/api/sw.js", dest="serviceworker")
    assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden")
    assert upstream.received == []


@pytest.mark.rule("X-05")
def test_only_a_route_marked_for_navigation_can_be_opened(ada: Browser, upstream: Villain) -> None:
    assert ada.navigate("/api/x").status_code == 403
    assert ada.navigate("/api/x", headers={"x-csrf": "1"}).status_code == 403
    assert upstream.received == []
    assert ada.navigate("/files/report").status_code == 200
    assert ada.navigate("/files/report", site="cross-site", strict=True).status_code == 403
    assert ada.request("GET", "/files/report", site="none", mode="no-cors").status_code == 403


@pytest.mark.rule("E-01", "E-03")
def test_who_opens_what_a_person_may_open_gets_a_page_and_the_way_back_to_it(
    site: Site, ada: Browser, upstream: Villain
) -> None:
    with browsing(site) as nobody:
        answer = nobody.navigate("/files/a%20b?page=2&x=%2F")
        assert (answer.status_code, answer.headers["content-type"]) == (
            401,
            "text/html; charset=utf-8",
        )
        assert "Reason: no_session" in answer.text
        link = re.search(r'href="(/bff/login\?[^"]+)">Sign in<', answer.text)
        assert link is not None
        login = nobody.navigate(html.unescape(link[1]), site="same-origin")
        assert login.status_code == 303
        with Person("grace") as grace:
            landed = nobody.callback(grace.visit(login.headers["location"]))
        assert 'content="0;url=/files/a%20b?page=2&amp;x=%2F"' in landed.text
        fetched = nobody.fetch("GET", "/files/report", headers={"cookie": ""})
        assert fetched.headers["content-type"] == "application/problem+json"
        far = nobody.request("GET", "/files/" + "x" * 3000, site="none", mode="navigate",
                             dest="document", headers={"cookie": ""})  # fmt: skip
        assert 'href="/bff/login"' in far.text
    foreign = ada.navigate("/files/report", site="cross-site", strict=True)
    assert (foreign.status_code, foreign.headers["content-type"][:9]) == (403, "text/html")
    assert 'href="/"' in foreign.text
    assert ada.navigate("/api/x").headers["content-type"] == "application/problem+json"


@pytest.mark.rule("A-11")
def test_an_upstream_that_is_not_there_is_502_and_the_session_is_untouched(
    ada: Browser,
) -> None:
    answer = ada.fetch("GET", "/dead/x")
    assert (answer.status_code, answer.json()["reason"]) == (502, "upstream_unreachable")
    assert answer.json()["phase"] == "connect"
    assert "set-cookie" not in answer.headers
    assert ada.fetch("GET", "/api/x").status_code == 200


@pytest.mark.rule("Q-23")
@pytest.mark.parametrize(
    ("url", "plaintext", "good"),
    [
        ("http://orders.internal", False, False),
        ("http://10.0.0.1", False, False),
        ("http://127.0.0.1.evil.example", False, False),
        ("http://orders.internal", True, True),
        ("http://127.0.0.1:9", False, True),
        ("http://[::1]:9", False, True),
        ("https://orders.internal", False, True),
    ],
)
def test_plain_http_is_for_loopback_or_for_who_says_so(
    url: str, plaintext: bool, good: bool
) -> None:
    route = f"plaintext = {str(plaintext).lower()}"
    text = config_text(issuer="https://login.example.com", api=url, route=route)
    faults: list[str] = []
    try:
        parse(text, dev=True)
    except ConfigFaults as found:
        faults = [fault.key for fault in found.faults]
    assert faults == ([] if good else ["routes.0.upstream"])
