"""The relay, back to the browser: what of an upstream's answer arrives, and what never does."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from bff.simulator import Simulator
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.raw import OK, Raw, Received, Villain, raw
from tests.parts.site import Site, serving

PATIENCE = 10.0  # seconds
ROUTES = """
[[routes]]
path = "/kept"
upstream = "{url}/kept"
auth = "optional"
response_cookies = ["theme", "bff", "__Host-Http-bff", "bff-login-x"]
documents = true

[[routes]]
path = "/own"
upstream = "{url}"

[[routes]]
path = "/open"
upstream = "{url}/v1"
strip = true
auth = "none"
answer_timeout = "300ms"
idle_timeout = "300ms"
"""


@pytest.fixture(scope="module")
def site(upstream: Villain, simulator: Simulator) -> Iterator[Site]:
    routes = ROUTES.format(url=upstream.url)
    route = 'auth = "optional"'
    text = config(issuer=simulator.issuer, api=upstream.url, route=route, routes=routes)
    with serving(text) as found:
        yield found


@pytest.fixture(scope="module")
def signed_in(site: Site) -> Iterator[Browser]:
    with browsing(site) as found:
        found.sign_in()
        yield found


@pytest.fixture
def ada(signed_in: Browser, upstream: Villain) -> Browser:
    upstream.script()
    return signed_in


@pytest.fixture
def browser(site: Site, upstream: Villain) -> Iterator[Browser]:
    upstream.script()
    with browsing(site) as found:
        yield found


@pytest.fixture
def wire(site: Site, upstream: Villain) -> Iterator[Raw]:
    upstream.script()
    with raw(site.port) as found:
        yield found


def ask(site: Site, path: str = "/api/x", method: str = "GET") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {site.host}\r\nX-CSRF: 1\r\n"
    return f"{head}Sec-Fetch-Site: same-origin\r\n\r\n".encode()


def answer(*lines: str, status: str = "200 OK", body: str = "ok") -> bytes:
    head = [f"HTTP/1.1 {status}", *lines, f"content-length: {len(body)}", "", body]
    return "\r\n".join(head).encode("latin-1")


@pytest.mark.rule("A-01")
@pytest.mark.parametrize("status", [200, 201, 206, 207, 400, 403, 404, 409, 422, 500, 503, 599])
def test_status_content_and_end_to_end_fields_pass_unchanged(
    browser: Browser, upstream: Villain, status: int
) -> None:
    fields = {
        "etag": '"a,b"',
        "content-encoding": "x-none",
        "content-range": "bytes 0-1/2",
        "content-type": "application/json",
        "x-custom": "\xe4",
        "location": "relative/path",
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    upstream.script(answer(*lines, status=f"{status} Whatever"))
    found = browser.fetch("GET", "/api/x")
    assert (found.status_code, found.content) == (status, b"ok")
    assert {name: found.headers[name] for name in fields} == fields


@pytest.mark.rule("A-01")
def test_hop_by_hop_fields_and_those_named_in_connection_do_not_pass(
    browser: Browser, upstream: Villain
) -> None:
    hop = ["connection: keep-alive, x-hop", "x-hop: 1", "keep-alive: timeout=5", "trailer: x"]
    more = ["proxy-authenticate: Basic", "upgrade: h2c", "te: trailers"]
    upstream.script(answer(*hop, *more, "x-kept: 1"))
    found = browser.fetch("GET", "/api/x").headers
    assert found["x-kept"] == "1"
    names = ("connection", "x-hop", "keep-alive", "trailer", "proxy-authenticate", "upgrade", "te")
    assert [name for name in names if name in found] == []


@pytest.mark.rule("A-02")
def test_no_cookie_of_the_upstream_arrives_unless_the_route_names_it_and_never_ours(
    browser: Browser, upstream: Villain
) -> None:
    lines = [
        "set-cookie: theme=dark; Path=/",
        "set-cookie: other=1",
        "set-cookie: bff=stolen",
        "set-cookie: __Host-Http-bff=stolen; Secure; Path=/",
        "set-cookie: bff-login-x=stolen",
        "set-cookie: theme=2; HttpOnly",
    ]
    upstream.script(answer(*lines), answer(*lines))
    assert browser.fetch("GET", "/api/x").headers.get_list("set-cookie") == []
    kept = browser.fetch("GET", "/kept/x").headers.get_list("set-cookie")
    assert kept == ["theme=dark; Path=/", "theme=2; HttpOnly"]


@pytest.mark.rule("A-03")
@pytest.mark.parametrize(
    "line",
    [
        "access-control-allow-origin: *", "access-control-allow-credentials: true",
        "access-control-expose-headers: x", "clear-site-data: *", "refresh: 0;url=//evil.example",
        'alt-svc: h3=":443"', "service-worker-allowed: /", "server: nginx/1.2.3",
        "x-powered-by: PHP", "via: 1.1 inside.internal", 'nel: {"report_to":"x"}',
        'report-to: {"group":"x"}', "accept-ch: sec-ch-ua", "critical-ch: sec-ch-ua",
        "set-login: logged-in", "origin-agent-cluster: ?1", 'use-as-dictionary: match="/*"',
        "x-accel-redirect: /etc/passwd", "x-sendfile: /etc/passwd",
    ],
)  # fmt: skip
def test_what_speaks_for_our_origin_or_tells_of_the_inside_is_dropped(
    browser: Browser, upstream: Villain, line: str
) -> None:
    upstream.script(answer(line))
    assert line.partition(":")[0] not in browser.fetch("GET", "/api/x").headers


@pytest.mark.rule("A-03")
def test_the_upstreams_hsts_does_not_replace_ours(browser: Browser, upstream: Villain) -> None:
    upstream.script(answer("strict-transport-security: max-age=0"))
    found = browser.fetch("GET", "/api/x").headers.get_list("strict-transport-security")
    assert found == ["max-age=31536000"]


@pytest.mark.rule("A-04")
def test_a_bearer_challenge_is_consumed_and_the_401_says_whose_it_is(
    browser: Browser, upstream: Villain
) -> None:
    lines = ['www-authenticate: Bearer realm="inside", error="invalid_token"']
    upstream.script(answer(*lines, 'www-authenticate: Basic realm="x"', status="401 No"))
    found = browser.fetch("GET", "/api/x")
    assert (found.status_code, found.content) == (401, b"ok")
    assert found.headers.get_list("www-authenticate") == ['Upstream realm="/api"']


@pytest.mark.rule("A-06")
@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("{url}/v1/orders/5?x=1#y", "/open/orders/5?x=1#y"),
        ("{url}/v1", "/open"),
        ("/v1/orders/5", "/open/orders/5"),
        ("{url}/elsewhere?x", "/elsewhere?x"),
        ("https://other.example/v1/x", "https://other.example/v1/x"),
        ("//other.example/x", "//other.example/x"),
        ("orders/5", "orders/5"),
        ("?page=2", "?page=2"),
        ("{url}//evil.example", "/evil.example"),
        ("/v1//evil.example", "/open//evil.example"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_a_redirect_is_passed_on_and_the_upstreams_own_origin_is_not_shown(
    browser: Browser, upstream: Villain, location: str, seen: str
) -> None:
    line = "location: " + location.format(url=upstream.url)
    upstream.script(answer(line, status="302 Found"))
    found = browser.fetch("GET", "/open/x")
    assert (found.status_code, found.headers["location"]) == (302, seen)
    assert len(upstream.received) == 1


@pytest.mark.rule("A-07")
@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (["cache-control: public, max-age=60"], "private, max-age=60"),
        (["cache-control: max-age=60, s-maxage=600"], "private, max-age=60"),
        (["cache-control: no-store"], "no-store"),
        (["cache-control: PUBLIC", "cache-control: max-age=1"], "private, max-age=1"),
        (["cache-control: private, max-age=1"], "private, max-age=1"),
        (["cache-control: public=x, s-maxage=1, immutable"], "private, immutable"),
        (['cache-control: private="set-cookie", max-age=1'], "private, max-age=1"),
        (["cache-control: s-maxage=600"], "private"),
        (["cache-control:"], "private"),
        (["cache-control: no-cache", 'etag: "1"'], "private, no-cache"),
        (['etag: "1"'], "private, no-cache"),
        (["cache-control: must-understand, no-store"], "private, must-understand, no-store"),
        (['cache-control: x="a, no-store"'], 'private, x="a, no-store"'),
        (["expires: Fri, 31 Dec 2099 23:59:59 GMT"], "no-store"),
        ([], "no-store"),
    ],
)
@pytest.mark.parametrize("path", ["/api/x", "/own/x"], ids=["optional", "user"])
def test_no_shared_cache_may_keep_what_depends_on_a_session(
    ada: Browser, upstream: Villain, path: str, lines: list[str], seen: str
) -> None:
    upstream.script(answer(*lines))
    assert ada.fetch("GET", path).headers.get_list("cache-control") == [seen]


@pytest.mark.rule("A-07")
@pytest.mark.parametrize(
    ("stated", "added"),
    [
        pytest.param("Authorization", True, id="by its token"),
        pytest.param("Accept, AUTHORIZATION , X", True, id="among others"),
        pytest.param("DPoP", True, id="by its proof"),
        pytest.param("Accept-Encoding", False, id="by something else"),
        pytest.param("X-Authorization", False, id="by another name"),
    ],
)
def test_what_is_another_answer_for_another_token_is_one_for_another_cookie(
    ada: Browser, upstream: Villain, stated: str, added: bool
) -> None:
    """Else the browser's own cache gives the last person's answer to the next one."""
    lines = [f"vary: {stated}", "cache-control: private, max-age=300"]
    upstream.script(answer(*lines), answer(*lines))
    names = ada.fetch("GET", "/own/x").headers.get_list("vary")
    assert names == [stated, *["Cookie"] * added, "Sec-Fetch-Site, Origin"]
    assert "Cookie" not in ada.fetch("GET", "/open/x").headers.get_list("vary")


@pytest.mark.rule("A-07")
@pytest.mark.parametrize("status", ["304 Not Modified", "404 Not Found", "500 No", "301 Moved"])
def test_no_shared_cache_may_keep_it_whatever_its_status(
    ada: Browser, upstream: Villain, status: str
) -> None:
    upstream.script(answer("cache-control: public, max-age=60", status=status, body=""))
    found = ada.fetch("GET", "/own/x").headers
    assert found.get_list("cache-control") == ["private, max-age=60"]


@pytest.mark.rule("A-07")
@pytest.mark.parametrize(
    "line",
    [
        "cdn-cache-control: max-age=600", "example-cdn-cache-control: public",
        "surrogate-control: max-age=600", "x-accel-expires: 600",
    ],
)  # fmt: skip
def test_what_speaks_to_some_shared_caches_alone_does_not_pass(
    ada: Browser, upstream: Villain, line: str
) -> None:
    upstream.script(answer(line), answer(line))
    name = line.partition(":")[0]
    assert name not in ada.fetch("GET", "/own/x").headers
    assert name in ada.fetch("GET", "/open/x").headers


@pytest.mark.rule("A-07")
@pytest.mark.parametrize(
    ("lines", "seen"),
    [(["cache-control: public, s-maxage=60"], ["public, s-maxage=60"]), ([], [])],
)
def test_what_depends_on_no_session_is_the_upstreams_to_say(
    browser: Browser, upstream: Villain, lines: list[str], seen: list[str]
) -> None:
    upstream.script(answer(*lines))
    assert browser.fetch("GET", "/open/x").headers.get_list("cache-control") == seen


@pytest.mark.rule("A-14")
@pytest.mark.parametrize(
    ("lines", "sandboxed"),
    [
        (["content-type: text/html"], True),
        (["content-type: TEXT/HTML; charset=utf-8"], True),
        (["content-type: application/xhtml+xml"], True),
        (["content-type: image/svg+xml"], True),
        (["content-type: text/xml"], True),
        (["content-type: application/atom+xml"], True),
        (["content-type: nonsense"], True),
        (["content-type: application/json", "content-type: text/html"], True),
        ([], True),
        (["content-type: image/png,text/html"], True),
        (["content-type: text/plain, text/html"], True),
        (["content-type: application/json;charset=utf-8,text/html"], True),
        (["content-type: text/,text/html"], True),
        (["content-type: text/html x"], True),
        (["content-type: text/html\tx"], True),
        (["content-type: text/html(x)"], True),
        (["content-type: text/xsl"], True),
        (["content-type: multipart/x-mixed-replace; boundary=b"], True),
        (["content-type: */*"], True),
        (["content-type: application/json", "connection: content-type"], True),
        (["content-type: Application/JSON ; charset=utf-8"], False),
        (['content-type: text/plain; charset="utf-8"; format=flowed'], False),
        (["content-type: application/json"], False),
        (["content-type: image/png"], False),
    ],
)
def test_a_document_of_the_upstream_never_runs_as_our_own_page(
    browser: Browser, upstream: Villain, lines: list[str], sandboxed: bool
) -> None:
    own = "content-security-policy: default-src 'self'"
    upstream.script(answer(own, *lines), answer(own, *lines))
    policies = browser.fetch("GET", "/api/x").headers.get_list("content-security-policy")
    assert policies == ["default-src 'self'"] + ["sandbox"] * sandboxed
    kept = browser.fetch("GET", "/kept/x").headers.get_list("content-security-policy")
    assert kept == ["default-src 'self'"]


LIES = [
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
                 id="both framings"),
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
                 id="two lengths"),
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
                 id="one length twice"),
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", id="a negative length"),
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", id="a length that is none"),
    pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", id="a coding"),
    pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                 id="a coding before chunked"),
    pytest.param(b"HTTP/1.1 200 OK\r\nx-a: 1\r\n folded\r\ncontent-length: 0\r\n\r\n",
                 id="a folded line"),
    pytest.param(b"HTTP/1.1 200 OK\r\nx-a : 1\r\ncontent-length: 0\r\n\r\n", id="a space"),
    pytest.param(b"HTTP/1.1 200 OK\r\nx-a: a\rb\r\ncontent-length: 0\r\n\r\n", id="a bare CR"),
    pytest.param(b"HTTP/1.1 200 OK\r\nx-a: a\0b\r\ncontent-length: 0\r\n\r\n", id="NUL"),
    pytest.param(b"hello\r\n\r\n", id="no status line"),
    pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="a status of two digits"),
    pytest.param(b"HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n", id="a status beyond 599"),
    pytest.param(b"HTTP/3.7 200 OK\r\ncontent-length: 0\r\n\r\n", id="a version"),
    pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
                 id="101 that nobody asked for"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 20, id="interim answers without end"),
    pytest.param(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 70_000 + b"\r\n\r\n", id="a large head"),
    pytest.param(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 70_000, id="a head without end"),
    pytest.param(b"SSH-2.0-OpenSSH\r\n", id="another protocol"),
]  # fmt: skip


@pytest.mark.rule("A-08")
@pytest.mark.parametrize("lie", LIES)
def test_a_framing_fault_is_502_and_its_connection_closes(
    browser: Browser, upstream: Villain, lie: bytes
) -> None:
    upstream.script(lie, OK)
    found = browser.fetch("GET", "/api/x")
    assert (found.status_code, found.json()["reason"]) == (502, "upstream_protocol")
    assert browser.fetch("GET", "/api/x").content == b"ok"
    first, second = upstream.received
    assert first.connection != second.connection


@pytest.mark.rule("A-08")
@pytest.mark.parametrize(
    "more",
    [
        pytest.param(answer(body="evil"), id="a second answer at once"),
        pytest.param(b"evil", id="octets"),
        pytest.param(b"H", id="one octet"),
    ],
)
def test_octets_after_a_complete_answer_never_become_the_next_one(
    browser: Browser, upstream: Villain, more: bytes
) -> None:
    upstream.script(OK + more, answer(body="mine"))
    assert browser.fetch("GET", "/api/x").content == b"ok"
    assert browser.fetch("GET", "/api/x").content == b"mine"
    first, second = upstream.received
    assert first.connection != second.connection


@pytest.mark.rule("A-08")
def test_octets_on_an_idle_connection_close_it(browser: Browser, upstream: Villain) -> None:
    sent = threading.Event()

    def late(connection: socket.socket, _: object) -> None:
        connection.sendall(OK)

        def evil() -> None:
            connection.sendall(answer(body="evil"))
            sent.set()

        threading.Timer(0.05, evil).start()

    upstream.script(late, answer(body="mine"))
    assert browser.fetch("GET", "/api/x").content == b"ok"
    assert sent.wait(5)
    assert browser.fetch("GET", "/open/x").content == b"mine"


@pytest.mark.rule("A-08")
def test_an_answer_before_the_request_was_sent_whole_closes_the_connection(
    site: Site, wire: Raw, upstream: Villain
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        text = config(issuer="http://127.0.0.1:1", api=url, route='auth = "none"')
        with serving(text) as here, raw(here.port) as client:
            head = f"POST /api/x HTTP/1.1\r\nHost: {here.host}\r\nX-CSRF: 1\r\n"
            fields = "Sec-Fetch-Site: same-origin\r\nContent-Length: 100\r\n\r\n"
            client.send((head + fields + "part").encode())
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n")
                found = client.answer()
                assert (found.status, found.get("connection")) == (413, "close")
                connection.settimeout(5)
                while connection.recv(65536):
                    pass  # closed towards the upstream as well


@pytest.mark.rule("A-09")
@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(b"content-length: 100\r\n\r\nhalf", id="of a known length"),
        pytest.param(b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", id="in chunks"),
        pytest.param(b"transfer-encoding: chunked\r\n\r\n9\r\nhalf", id="within a chunk"),
    ],
)
def test_an_answer_cut_short_upstream_is_cut_short_here(
    site: Site, wire: Raw, upstream: Villain, cut: bytes
) -> None:
    def send_and_close(connection: socket.socket, _: object) -> str:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + cut)
        return "close"

    upstream.script(send_and_close)
    wire.send(ask(site))
    with pytest.raises(ConnectionError):
        wire.answer()


def test_an_answer_without_length_ends_with_its_connection(
    browser: Browser, upstream: Villain
) -> None:
    def send_and_close(connection: socket.socket, _: object) -> str:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nwhole")
        return "close"

    upstream.script(send_and_close, OK)
    assert browser.fetch("GET", "/api/x").content == b"whole"
    assert browser.fetch("GET", "/api/x").content == b"ok"


@pytest.mark.rule("A-10")
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No"), ("GET", "304 Not")]
)
def test_what_has_no_body_has_none_whatever_the_upstream_sends(
    site: Site, upstream: Villain, method: str, status: str
) -> None:
    lie = answer("content-type: text/plain", status=status, body="foreign octets")
    upstream.script(lie, answer(body="mine"))
    with raw(site.port) as first, raw(site.port) as second:
        first.send(ask(site, method=method))
        found = first.answer(method)
        assert (found.status, found.body) == (int(status[:3]), b"")
        second.send(ask(site))
        assert second.answer().body == b"mine"
        first.send(ask(site))
        assert first.answer().status == 200


@pytest.mark.rule("A-10")
@pytest.mark.parametrize(("length", "kept"), [("0", True), ("14", False)])
def test_after_head_the_next_answer_is_read_as_itself(
    site: Site, wire: Raw, upstream: Villain, length: str, kept: bool
) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"
    upstream.script(head.encode(), answer(body="mine"))
    wire.send(ask(site, method="HEAD"))
    found = wire.answer("HEAD")
    assert found.get("content-length") == length
    wire.send(ask(site))
    assert wire.answer().body == b"mine"
    first, second = upstream.received
    assert (first.connection == second.connection) == kept


@pytest.mark.rule("A-10")
def test_a_body_that_comes_late_after_head_is_nobody_s_answer(
    site: Site, upstream: Villain
) -> None:
    """Some servers forget about HEAD, and send the body with another write."""
    here = threading.Event()

    def late(connection: socket.socket, _: Received) -> str:
        foreign = answer(body="foreign")
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(foreign))
        here.wait(PATIENCE)
        with contextlib.suppress(OSError):  # nobody listens any more
            connection.sendall(foreign)
        return "close"

    upstream.script(late, answer(body="mine"))
    with raw(site.port) as first, raw(site.port) as second:
        first.send(ask(site, method="HEAD"))
        assert first.answer("HEAD").status == 200
        second.send(ask(site))
        here.set()
        assert second.answer().body == b"mine"


@pytest.mark.rule("A-10")
def test_interim_answers_are_not_passed_on(browser: Browser, upstream: Villain) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    upstream.script(hints + OK)
    found = browser.fetch("GET", "/api/x")
    assert (found.status_code, found.content, "link" in found.headers) == (200, b"ok", False)


@pytest.mark.rule("A-11")
def test_no_head_in_time_is_504_and_names_the_phase(browser: Browser, upstream: Villain) -> None:
    upstream.script(lambda *_: None)
    found = browser.fetch("GET", "/open/x")
    document = found.json()
    assert (found.status_code, document["reason"], document["phase"]) == (
        504,
        "upstream_timeout",
        "answer",
    )


def test_a_body_that_stops_breaks_the_answer(site: Site, wire: Raw, upstream: Villain) -> None:
    upstream.script(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    wire.send(ask(site, "/open/x"))
    with pytest.raises(ConnectionError):
        wire.answer()


def test_a_kept_connection_that_has_closed_is_replaced_unseen(
    browser: Browser, upstream: Villain
) -> None:
    def send_and_close(connection: socket.socket, _: object) -> str:
        connection.sendall(OK)
        return "close"

    upstream.script(*[send_and_close] * 20)
    for _ in range(20):
        assert browser.fetch("GET", "/api/x").content == b"ok"


@pytest.mark.rule("A-01")
@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_any_size_arrives_whole(
    browser: Browser, upstream: Villain, size: int, chunked: bool
) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    parts = [body[at : at + 50_000] for at in range(0, size, 50_000)]
    if chunked:
        framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    else:
        framed, head = body, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size
    upstream.script(head + framed)
    assert browser.fetch("GET", "/api/x").content == body
