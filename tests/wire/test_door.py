"""The door, over raw sockets: what is a request at all, and what is refused in which way."""

import json
from collections.abc import Iterator

import pytest

from bff.door.head import sections
from tests.parts.config import config
from tests.parts.raw import Raw, RawAnswer, Villain, raw
from tests.parts.site import Site, serving

HOST = b"Host: app.example.com\r\n"
OURS = HOST + b"X-CSRF: 1\r\nSec-Fetch-Site: same-origin\r\n"
CHUNKED = OURS + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = b"GET /api/good HTTP/1.1\r\n" + OURS + b"\r\n"


def get(*lines: bytes, target: bytes = b"/api/x", version: bytes = b"1.1") -> bytes:
    return b"GET " + target + b" HTTP/" + version + b"\r\n" + OURS + b"".join(lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"0\r\n\r\n", version: bytes = b"1.1") -> bytes:
    head = b"POST /api/x HTTP/" + version + b"\r\n" + OURS
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


@pytest.fixture(scope="module")
def site(upstream: Villain) -> Iterator[Site]:
    more = '[server]\nhead_timeout = "1s"\nprogress_timeout = "1s"\n'
    route = 'auth = "none"\nmax_body = "1KiB"'
    text = config(issuer="http://127.0.0.1:1", api=upstream.url, route=route, more=more)
    with serving(text) as found:
        yield found


@pytest.fixture
def wire(site: Site, upstream: Villain) -> Iterator[Raw]:
    upstream.script()
    with raw(site.port) as connection:
        yield connection


def reason(answer: RawAnswer) -> str:
    assert answer.get("content-type") == "application/problem+json"
    document = json.loads(answer.body)
    assert document["status"] == answer.status
    return str(document["reason"])


def refused(wire: Raw, site: Site, upstream: Villain, sent: bytes) -> tuple[int, str]:
    """What a request is refused with; the connection closes, and a good one passes after it."""
    wire.send(sent)
    answer = wire.answer()
    assert answer.get("connection") == "close"
    assert wire.closed
    with raw(site.port) as another:
        another.send(GOOD)
        assert another.answer().status == 200
    assert [each.line for each in upstream.received if b"/good" not in each.line] == []
    return answer.status, reason(answer)


FRAMING = [
    pytest.param(post(b"Content-Length: 4", b"Transfer-Encoding: chunked"), id="both framings"),
    pytest.param(post(b"Transfer-Encoding: chunked", b"Content-Length: 4"), id="both, turned"),
    pytest.param(post(b"Transfer-Encoding: chunked", version=b"1.0"), id="chunked in HTTP/1.0"),
    pytest.param(post(b"Transfer-Encoding: xchunked"), id="an unknown coding"),
    pytest.param(post(b"Transfer-Encoding: chunked, gzip"), id="chunked is not the last"),
    pytest.param(post(b"Transfer-Encoding: chunked, chunked"), id="chunked twice in a line"),
    pytest.param(post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), id="twice"),
    pytest.param(post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"), id="and another"),
    pytest.param(post(b"Transfer-Encoding: identity"), id="identity"),
    pytest.param(post(b'Transfer-Encoding: "chunked"'), id="quoted"),
    pytest.param(post(b"Transfer-Encoding:\x0bchunked"), id="a vertical tab before chunked"),
    pytest.param(post(b"Transfer-Encoding:"), id="an empty coding"),
    pytest.param(post(b"Transfer-Encoding : chunked"), id="space before the colon of a coding"),
    pytest.param(post(b"Content-Length: 0", b"Content-Length: 0"), id="the same length twice"),
    pytest.param(post(b"Content-Length: 5", b"Content-Length: 6"), id="two lengths"),
    pytest.param(post(b"Content-Length: +5"), id="a signed length"),
    pytest.param(post(b"Content-Length: -5"), id="a negative length"),
    pytest.param(post(b"Content-Length: 5, 5"), id="a list of lengths"),
    pytest.param(post(b"Content-Length: 0x5"), id="a hexadecimal length"),
    pytest.param(post(b"Content-Length: 5 5"), id="a length with a space"),
    pytest.param(post(b"Content-Length: 5.0"), id="a fraction"),
    pytest.param(post(b"Content-Length: 99999999999999999999"), id="a length beyond 64 bits"),
    pytest.param(post(b"Content-Length:"), id="an empty length"),
    pytest.param(post(b"Content-Length : 5"), id="space before the colon of a length"),
    pytest.param(post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5"), id="h2c"),
]


@pytest.mark.rule("Q-10")
@pytest.mark.parametrize("sent", FRAMING)
def test_a_body_with_two_readings_is_refused_and_nothing_after_it_is_read(
    wire: Raw, site: Site, upstream: Villain, sent: bytes
) -> None:
    smuggled = sent + b"GET /api/smuggled HTTP/1.1\r\n" + OURS + b"\r\n"
    assert refused(wire, site, upstream, smuggled) == (400, "bad_request")


@pytest.mark.rule("Q-10")
def test_a_coding_that_we_do_not_take_off_is_501(wire: Raw, site: Site, upstream: Villain) -> None:
    sent = post(b"Transfer-Encoding: gzip, chunked")
    assert refused(wire, site, upstream, sent) == (501, "not_implemented")


LINES = [
    pytest.param(get(b"X-A: a\r\n b\r\n"), id="a folded line"),
    pytest.param(get(b"X-A: a\r\n\tb\r\n"), id="a folded line, by a tab"),
    pytest.param(get(b"X-A : a\r\n"), id="space before the colon"),
    pytest.param(get(b"X-A\t: a\r\n"), id="a tab before the colon"),
    pytest.param(b"GET /api/x HTTP/1.1\r\n X-A: 1\r\n" + OURS + b"\r\n", id="space before all"),
    pytest.param(get(b"X-A: a\rb\r\n"), id="a bare CR in a value"),
    pytest.param(get(b"X-A: a\nX-B: b\r\n"), id="a bare LF ends a line"),
    pytest.param(get(b"X-A: a\0b\r\n"), id="NUL in a value"),
    pytest.param(get(b"X-A: a\x01b\r\n"), id="a control in a value"),
    pytest.param(get(b"X\0A: a\r\n"), id="NUL in a name"),
    pytest.param(get(b"X A: a\r\n"), id="a space in a name"),
    pytest.param(get(b"X(A: a\r\n"), id="a delimiter in a name"),
    pytest.param(get(b": a\r\n"), id="no name"),
    pytest.param(get(b"X-A\r\n"), id="no colon"),
    pytest.param(b"GET /api/x HTTP/1.1\n" + OURS + b"\r\n", id="a bare LF after the first line"),
    pytest.param(get(version=b"2.0"), id="HTTP/2.0"),
    pytest.param(get(version=b"1.2"), id="HTTP/1.2"),
    pytest.param(get(version=b"1.1x"), id="a version with a tail"),
    pytest.param(b"GET /api/x\r\n\r\n", id="HTTP/0.9"),
    pytest.param(get(target=b"/api/x y"), id="a space in the target"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="the preface of HTTP/2"),
    pytest.param(get(target=b"api/x"), id="a target without a slash"),
    pytest.param(get(target=b"*"), id="an asterisk for GET"),
]


@pytest.mark.rule("Q-11")
@pytest.mark.parametrize("sent", LINES)
def test_a_malformed_head_is_refused(wire: Raw, site: Site, upstream: Villain, sent: bytes) -> None:
    assert refused(wire, site, upstream, sent) == (400, "bad_request")


@pytest.mark.rule("Q-11")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"1\na\n0\n\n", id="bare LF"),
        pytest.param(b"zz\r\na\r\n0\r\n\r\n", id="no number"),
        pytest.param(b"0x1\r\na\r\n0\r\n\r\n", id="a prefix"),
        pytest.param(b"-1\r\na\r\n0\r\n\r\n", id="a sign"),
        pytest.param(b"fffffffffffffffff\r\na\r\n0\r\n\r\n", id="beyond 64 bits"),
        pytest.param(b"1\r\nab0\r\n\r\n", id="more octets than said"),
        pytest.param(b"1 \r\na\r\n0\r\n\r\n", id="a space after the size"),
        pytest.param(b"\r\na\r\n0\r\n\r\n", id="no size"),
    ],
)
def test_a_malformed_chunk_is_refused_and_the_upstream_gets_no_end(
    wire: Raw, site: Site, sent: bytes
) -> None:
    wire.send(b"POST /api/good-chunk HTTP/1.1\r\n" + CHUNKED + sent + GOOD)
    answer = wire.answer()
    assert (answer.status, reason(answer), answer.get("connection")) == (
        400,
        "bad_request",
        "close",
    )
    assert wire.closed


@pytest.mark.rule("Q-12")
@pytest.mark.parametrize(
    "host",
    [
        pytest.param(b"", id="none"),
        pytest.param(HOST + HOST, id="two alike"),
        pytest.param(HOST + b"Host: evil.example\r\n", id="two"),
        pytest.param(b"Host:\r\n", id="empty"),
        pytest.param(b"Host: app.example.com, evil.example\r\n", id="a list"),
        pytest.param(b"Host: u@app.example.com\r\n", id="with a user"),
        pytest.param(b"Host: app.example.com/x\r\n", id="with a path"),
        pytest.param(b"Host: app.example.com:x\r\n", id="with a port that is none"),
        pytest.param(b"Host: app example\r\n", id="with a space"),
        pytest.param(b"Host : app.example.com\r\n", id="with a space before the colon"),
    ],
)
def test_a_missing_repeated_or_malformed_host_is_400(
    wire: Raw, site: Site, upstream: Villain, host: bytes
) -> None:
    sent = b"GET /api/x HTTP/1.1\r\n" + host + b"X-CSRF: 1\r\n\r\n"
    assert refused(wire, site, upstream, sent) == (400, "bad_request")


@pytest.mark.rule("Q-12", "Q-13")
@pytest.mark.parametrize(
    ("target", "host"),
    [
        pytest.param(b"/api/x", b"evil.example", id="a foreign host"),
        pytest.param(b"/api/x", b"app.example.com:444", id="another port"),
        pytest.param(b"/api/x", b"app.example.com.evil.example", id="a longer name"),
        pytest.param(b"/api/x", b"app.example.com.", id="a final dot"),
        pytest.param(b"http://evil.example/api/x", b"app.example.com", id="a foreign authority"),
    ],
)
def test_a_host_of_no_front_end_is_421(
    wire: Raw, site: Site, upstream: Villain, target: bytes, host: bytes
) -> None:
    sent = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nX-CSRF: 1\r\n\r\n"
    assert refused(wire, site, upstream, sent) == (421, "unknown_origin")


@pytest.mark.rule("Q-13", "Q-01")
@pytest.mark.parametrize(
    ("target", "host", "seen"),
    [
        (b"/api/a", b"APP.example.com", b"GET /a HTTP/1.1"),
        (b"/api/a", b"app.example.com:443", b"GET /a HTTP/1.1"),
        (b"http://app.example.com/api/a?b", b"evil.example", b"GET /a?b HTTP/1.1"),
        (b"https://app.example.com:443/api/a", b"app.example.com", b"GET /a HTTP/1.1"),
        (b"HTTP://APP.example.com/api/a", b"app.example.com", b"GET /a HTTP/1.1"),
    ],
)
def test_the_upstream_gets_origin_form_with_its_own_authority_in_one_host(
    wire: Raw, upstream: Villain, target: bytes, host: bytes, seen: bytes
) -> None:
    wire.send(b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nX-CSRF: 1\r\n\r\n")
    assert wire.answer().status == 200
    (received,) = upstream.received
    assert received.line == seen
    assert received.all(b"host") == [f"127.0.0.1:{upstream.port}".encode()]


@pytest.mark.rule("Q-13")
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"http://u@app.example.com/api/x", id="a user"),
        pytest.param(b"http://u:p@app.example.com/api/x", id="user and password"),
        pytest.param(b"ftp://app.example.com/api/x", id="another scheme"),
        pytest.param(b"http:///api/x", id="no authority"),
    ],
)
def test_an_absolute_form_that_is_none_is_400(
    wire: Raw, site: Site, upstream: Villain, target: bytes
) -> None:
    assert refused(wire, site, upstream, get(target=target)) == (400, "bad_request")


@pytest.mark.rule("Q-14")
@pytest.mark.parametrize(
    "sent",
    [
        b"TRACE /api/x HTTP/1.1\r\n" + OURS + b"Cookie: secret=reflected\r\n\r\n",
        b"CONNECT app.example.com:443 HTTP/1.1\r\n" + OURS + b"\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    ],
)
def test_connect_and_trace_are_405_and_reflect_nothing(wire: Raw, sent: bytes) -> None:
    wire.send(sent)
    answer = wire.answer()
    assert (answer.status, reason(answer)) == (405, "method_not_allowed")
    assert "TRACE" not in (answer.get("allow") or "TRACE")
    assert b"reflected" not in answer.body


@pytest.mark.rule("Q-14")
def test_options_asterisk_and_max_forwards_zero_are_answered_here(
    wire: Raw, upstream: Villain
) -> None:
    wire.send(b"OPTIONS * HTTP/1.1\r\n" + OURS + b"\r\n")
    assert wire.answer().status == 200
    wire.send(b"OPTIONS /api/x HTTP/1.1\r\n" + OURS + b"Max-Forwards: 0\r\n\r\n")
    assert wire.answer().status == 200
    assert upstream.received == []
    wire.send(b"OPTIONS /api/x HTTP/1.1\r\n" + OURS + b"Max-Forwards: 5\r\n\r\n")
    assert wire.answer().status == 200
    assert upstream.received[0].all(b"max-forwards") == [b"4"]


@pytest.mark.rule("Q-14")
@pytest.mark.parametrize(
    ("number", "seen"),
    [
        pytest.param(b"00", None, id="zero, written longer"),
        pytest.param(b"007", [b"6"], id="with zeros before it"),
        pytest.param(b"9" * 5000, [], id="a number that nobody counts down"),
        pytest.param(b"-1", [], id="no number"),
    ],
)
def test_max_forwards_is_counted_down_or_not_said(
    wire: Raw, upstream: Villain, number: bytes, seen: list[bytes] | None
) -> None:
    wire.send(b"OPTIONS /api/x HTTP/1.1\r\n" + OURS + b"Max-Forwards: " + number + b"\r\n\r\n")
    assert wire.answer().status == 200
    found = [received.all(b"max-forwards") for received in upstream.received]
    assert found == ([] if seen is None else [seen])


@pytest.mark.rule("Q-10")
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 2\r\n\r\nok", id="by a length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="in chunks"),
    ],
)
def test_a_body_that_no_server_expects_is_refused(
    wire: Raw, site: Site, upstream: Villain, method: bytes, body: bytes
) -> None:
    sent = method + b" /api/x HTTP/1.1\r\n" + OURS + body
    wire.send(sent + GOOD)
    answer = wire.answer(method.decode())
    assert (answer.status, answer.get("connection")) == (400, "close")
    assert upstream.received == []


def test_an_unknown_method_is_501(wire: Raw, site: Site, upstream: Villain) -> None:
    sent = b"FROB /api/x HTTP/1.1\r\n" + OURS + b"\r\n"
    assert refused(wire, site, upstream, sent) == (501, "not_implemented")


@pytest.mark.rule("Q-18")
def test_another_expectation_than_continue_is_417(wire: Raw, site: Site, upstream: Villain) -> None:
    sent = post(b"Expect: 200-ok", b"Content-Length: 1", body=b"")
    assert refused(wire, site, upstream, sent) == (417, "expectation_failed")


@pytest.mark.rule("Q-18")
def test_continue_is_said_when_the_body_is_wanted_and_not_before_a_refusal(
    wire: Raw, site: Site, upstream: Villain
) -> None:
    wire.send(post(b"Expect: 100-continue", b"Content-Length: 2", body=b""))
    assert wire.answer().status == 100
    wire.send(b"ok")
    assert wire.answer().status == 200
    assert upstream.received[0].body == b"ok"
    assert upstream.received[0].all(b"expect") == []
    with raw(site.port) as another:
        another.send(post(b"Expect: 100-continue", b"Content-Length: 99999", body=b""))
        assert another.answer().status == 413


@pytest.mark.rule("Q-20")
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(get(target=b"/api/" + b"a" * 8200), (414, "target_too_long"), id="target"),
        pytest.param(
            b"GET /api/" + b"a" * 80_000, (414, "target_too_long"), id="a target without end"
        ),
        pytest.param(
            get(b"X-A: " + b"a" * 66_000 + b"\r\n"), (431, "headers_too_large"), id="one field"
        ),
        pytest.param(
            get(b"X-A: aaaaaaaaaaaaaaaaaaaa\r\n" * 3000), (431, "headers_too_large"), id="many"
        ),
        pytest.param(
            b"GET /api/x HTTP/1.1\r\n" + OURS + b"X-A: " + b"a" * 200_000,
            (431, "headers_too_large"),
            id="a field without end",
        ),
    ],
)
def test_a_head_over_the_limit_is_refused(
    wire: Raw, site: Site, upstream: Villain, sent: bytes, expected: tuple[int, str]
) -> None:
    assert refused(wire, site, upstream, sent) == expected


@pytest.mark.rule("Q-20")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(get(target=b"/api/" + b"a" * 8_000), id="a long target"),
        pytest.param(get(b"Cookie: " + b"a" * 16_384 + b"\r\n"), id="five full login cookies"),
        pytest.param(get(b"X-A: " + b"a" * 60_000 + b"\r\n"), id="a header section of 60 KiB"),
    ],
)
def test_a_head_within_the_limit_passes(wire: Raw, sent: bytes) -> None:
    wire.send(sent)
    assert wire.answer().status == 200


@pytest.mark.rule("Q-20")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /api/x HTT", id="within the first line"),
        pytest.param(b"GET /api/x HTTP/1.1\r\n" + HOST, id="within the head"),
        pytest.param(post(b"Content-Length: 10", body=b"abc"), id="within a body"),
        pytest.param(b"POST /api/x HTTP/1.1\r\n" + CHUNKED + b"5\r\nab", id="within a chunk"),
        pytest.param(b"POST /bff/session HTTP/1.1\r\n" + CHUNKED, id="before a chunk"),
        pytest.param(GOOD + b"GET /api/x HTTP/1.1\r\n", id="within a second head"),
    ],
)
def test_who_is_too_slow_gets_408(wire: Raw, sent: bytes) -> None:
    wire.send(sent)
    answer = wire.answer()
    if sent.startswith(GOOD):
        assert answer.status == 200
        answer = wire.answer()
    if answer.status != 200:  # /bff/session answers without its body, and closes
        assert (answer.status, reason(answer)) == (408, "request_timeout")
    assert wire.closed


@pytest.mark.rule("Q-20")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(b"Content-Length: 1025", body=b"") + GOOD, id="by its length, at once"),
        pytest.param(
            b"POST /api/x HTTP/1.1\r\n" + CHUNKED + b"401\r\n" + b"a" * 1025 + b"\r\n",
            id="in mid-stream",
        ),
    ],
)
def test_a_body_over_the_limit_is_413_and_the_rest_is_not_read_as_a_request(
    wire: Raw, site: Site, upstream: Villain, sent: bytes
) -> None:
    wire.send(sent)
    answer = wire.answer("POST")
    assert (answer.status, reason(answer)) == (413, "body_too_large")
    assert answer.get("connection") == "close"
    assert wire.closed


@pytest.mark.rule("Q-22", "X-02")
@pytest.mark.parametrize(
    ("head", "trailer"),
    [
        pytest.param(HOST + b"Sec-Fetch-Site: same-origin\r\n", b"X-CSRF: 1", id="X-CSRF"),
        pytest.param(HOST + b"X-CSRF: 1\r\n", b"Sec-Fetch-Site: same-origin", id="Fetch Metadata"),
        pytest.param(HOST + b"X-CSRF: 1\r\n", b"Origin: https://app.example.com", id="Origin"),
    ],
)
def test_a_trailer_proves_nothing(wire: Raw, head: bytes, trailer: bytes) -> None:
    sent = b"POST /api/x HTTP/1.1\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    wire.send(sent + trailer + b"\r\n\r\n")
    assert (wire.answer()).status == 403


@pytest.mark.rule("Q-22")
def test_a_trailer_goes_no_further(wire: Raw, upstream: Villain) -> None:
    wire.send(
        b"POST /api/x HTTP/1.1\r\n" + CHUNKED + b"1\r\na\r\n0\r\nCookie: a=b\r\nX-T: 1\r\n\r\n"
    )
    assert wire.answer().status == 200
    assert {name for name, _ in upstream.received[0].headers} & {b"cookie", b"x-t"} == set()


@pytest.mark.rule("Q-22")
@pytest.mark.parametrize("name", [b"Connection", b"Proxy-Connection", b"PROXY-CONNECTION"])
def test_a_trailer_cannot_make_the_connection_deaf(
    wire: Raw, site: Site, upstream: Villain, name: bytes
) -> None:
    trailer = name + b": close\r\n\r\n"
    sent = b"POST /api/x HTTP/1.1\r\n" + CHUNKED + b"0\r\n" + trailer + GOOD
    assert refused(wire, site, upstream, sent) == (400, "bad_request")


@pytest.mark.rule("Q-20")
@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"0\r\n" + b"X-T: 1\r\n" * 100_000, id="trailers"),
        pytest.param(b"0\r\nX-T: " + b"a" * 800_000, id="one trailer"),
        pytest.param(b"1;" + b"a" * 800_000, id="an extension"),
        pytest.param((b"1;" + b"a" * 1000 + b"\r\na\r\n") * 800, id="extensions of many chunks"),
    ],
)
def test_what_comes_beside_a_body_has_an_end(wire: Raw, more: bytes) -> None:
    wire.send(b"POST /api/x HTTP/1.1\r\n" + CHUNKED)
    wire.send(more)
    answer = wire.answer()
    assert (answer.status, reason(answer)) == (431, "headers_too_large")
    assert wire.closed


@pytest.mark.rule("Q-20")
def test_a_body_in_the_smallest_chunks_is_no_trouble(wire: Raw, upstream: Villain) -> None:
    wire.send(b"POST /api/x HTTP/1.1\r\n" + CHUNKED)
    wire.send(b"1\r\na\r\n" * 1000 + b"0\r\n\r\n")
    assert wire.answer().status == 200
    assert upstream.received[0].body == b"a" * 1000


@pytest.mark.rule("Q-22")
def test_repeated_fields_keep_their_order(wire: Raw, upstream: Villain) -> None:
    wire.send(get(b"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n"))
    assert wire.answer().status == 200
    assert upstream.received[0].all(b"x-a") == [b"1", b"3"]


@pytest.mark.rule("Q-09")
def test_an_upgrade_is_not_taken_and_nothing_after_it_is_read(wire: Raw, upstream: Villain) -> None:
    lines = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    wire.send(get(lines) + GOOD)
    answer = wire.answer()
    assert (answer.status, answer.get("connection"), answer.get("upgrade")) == (200, "close", None)
    assert wire.closed
    (received,) = upstream.received
    names = {name for name, _ in received.headers}
    assert names & {b"upgrade", b"http2-settings", b"connection"} == set()


@pytest.mark.rule("Q-10")
def test_pipelined_requests_are_answered_in_order_and_a_refusal_waits_its_turn(
    wire: Raw, upstream: Villain
) -> None:
    sent = [get(target=b"/api/%d" % number) for number in range(5)]
    wire.send(b"".join(sent) + get(b"X-A : 1\r\n") + GOOD)
    assert [wire.answer().status for _ in range(6)] == [200] * 5 + [400]
    assert wire.closed
    assert [each.line for each in upstream.received] == [
        b"GET /%d HTTP/1.1" % number for number in range(5)
    ]


def test_a_pipelined_body_that_is_none_is_refused_in_its_turn(wire: Raw) -> None:
    wire.send(GOOD + b"POST /api/x HTTP/1.1\r\n" + CHUNKED + b"zz\r\n")
    assert [wire.answer().status for _ in range(2)] == [200, 400]
    assert wire.closed


@pytest.mark.parametrize(
    ("framing", "rest"),
    [
        pytest.param(b"Content-Length: 2", b"ok", id="by its length"),
        pytest.param(b"Transfer-Encoding: chunked", b"2\r\nok\r\n0\r\n\r\n", id="in chunks"),
    ],
)
def test_a_body_that_ends_where_a_request_begins_that_is_none_goes_on(
    wire: Raw, upstream: Villain, framing: bytes, rest: bytes
) -> None:
    wire.send(post(b"Expect: 100-continue", framing, body=b""))
    assert wire.answer().status == 100  # its head has gone on
    wire.send(rest + b"\x0b" + GOOD)
    assert [wire.answer().status for _ in range(2)] == [200, 501]
    assert wire.closed
    assert [each.body for each in upstream.received] == [b"ok"]


def test_keep_alive_serves_many_requests_and_http_1_0_one(wire: Raw, site: Site) -> None:
    for _ in range(20):
        wire.send(GOOD)
        assert wire.answer().status == 200
    with raw(site.port) as old:
        old.send(get(version=b"1.0"))
        assert old.answer().get("connection") == "close"
        assert old.closed


@pytest.mark.rule("Q-10")
def test_an_old_proxys_word_for_close_is_heeded_and_nothing_after_it_is_answered(
    wire: Raw, upstream: Villain
) -> None:
    closing = GOOD.replace(b"\r\n\r\n", b"\r\nProxy-Connection: close\r\n\r\n")
    wire.send(closing + GOOD)
    answer = wire.answer()
    assert (answer.status, answer.get("connection")) == (200, "close")
    assert wire.closed
    assert len(upstream.received) == 1


@pytest.mark.rule("E-02")
def test_a_refusal_of_the_door_looks_like_every_other(wire: Raw) -> None:
    wire.send(get(b"X-A : 1\r\n"))
    answer = wire.answer()
    document = json.loads(answer.body)
    assert document.keys() == {"type", "title", "status", "reason", "request_id"}
    assert answer.get("x-content-type-options") == "nosniff"
    assert answer.get("server") is None


@pytest.mark.rule("Q-20", "Q-24")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\r\n", id="a line end"),
        pytest.param(b"\r\n" * 40, id="line ends"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\n" + OURS + b"Content-Length: 1\r\n\r\nx", id="a body"),
    ],
)
def test_who_asks_nothing_is_not_kept(upstream: Villain, sent: bytes) -> None:
    more = '[server]\nkeep_alive = "300ms"\nhead_timeout = "1h"\nprogress_timeout = "1h"\n'
    text = config(issuer="http://127.0.0.1:1", api=upstream.url, more=more)
    with serving(text) as site, raw(site.port) as wire:
        wire.send(sent)
        if sent.startswith(b"OPTIONS"):
            assert wire.answer().status == 200
        assert wire.closed


@pytest.mark.rule("Q-22")
def test_http_1_0_hears_of_no_interim_answer(wire: Raw, upstream: Villain) -> None:
    wire.send(post(b"Expect: 100-continue", b"Content-Length: 2", body=b"", version=b"1.0"))
    wire.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        wire.head()
    wire.socket.settimeout(20)
    wire.send(b"ab")
    assert wire.answer().status == 200
    assert upstream.received[0].body == b"ab"


def test_what_http_1_0_expects_counts_for_nothing(wire: Raw, upstream: Villain) -> None:
    wire.send(post(b"Expect: 200-ok", b"Content-Length: 2", body=b"ab", version=b"1.0"))
    assert wire.answer().status == 200
    assert upstream.received[0].all(b"expect") == []


@pytest.mark.rule("Q-20")
def test_a_body_that_is_not_read_is_the_last_of_its_connection(wire: Raw) -> None:
    wire.send(
        b"OPTIONS * HTTP/1.1\r\n" + OURS + b"Expect: 100-continue\r\nContent-Length: 30\r\n\r\n"
    )
    answer = wire.answer()
    assert (answer.status, answer.get("connection")) == (200, "close")
    assert wire.closed


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: other.example\r\n\r\n", 421),
        (b"HEAD / HTTP/1.1\r\n" + OURS + b"Content-Length: 3\r\n\r\nabc", 400),
        (b"HEAD /" + b"x" * 9000 + b" HTTP/1.1\r\n" + OURS + b"\r\n", 414),
    ],
)
def test_a_refused_head_has_no_content(wire: Raw, head: bytes, status: int) -> None:
    wire.send(head)
    answer = wire.answer("HEAD")
    assert (answer.status, answer.get("connection")) == (status, "close")
    assert wire.rest() == b""


@pytest.mark.rule("Q-20")
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        pytest.param(b"abc: 1\r\n", 1, id="small"),
        pytest.param(b"abc:\r\n" * 100, 0, id="many fields"),
        pytest.param(b"abc: " + b"x" * 60_000 + b"\r\n", 0, id="large"),
    ],
)
def test_only_a_small_section_is_remembered(wire: Raw, fields: bytes, kept: int) -> None:
    sections.forget()
    wire.send(get(fields))
    assert wire.answer().status == 200
    assert len(sections) == kept
