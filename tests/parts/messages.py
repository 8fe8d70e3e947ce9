"""Messages of HTTP/1.1 as Hypothesis makes them: well-formed, and after a blow or two."""

from dataclasses import dataclass

from hypothesis import strategies as st

CRLF = b"\r\n"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

# Names of every kind that the rules know, and some that they do not.
NAMES = [
    b"X-A", b"x-b", b"X-CAPITALS", b"Accept", b"Accept-Language", b"Content-Type", b"Range",
    b"If-None-Match", b"Priority", b"x!#$%&'*+.^`|~", b"Keep-Alive", b"TE", b"Trailer", b"Upgrade",
    b"Proxy-Connection", b"Proxy-Authorization", b"HTTP2-Settings", b"Authorization", b"Cookie",
    b"X-Forwarded-For", b"X-Original-URL", b"X-User", b"x_user", b"X-Bff-User", b"DPoP", b"Server",
    b"Set-Cookie", b"ETag", b"Access-Control-Allow-Origin", b"Via", b"Strict-Transport-Security",
]  # fmt: skip

names = st.one_of(st.sampled_from(NAMES), st.text(_LETTERS, min_size=1, max_size=8).map(
    lambda text: b"x-" + text.encode()
))  # fmt: skip
values = st.one_of(
    st.text("abc 0;=,\"'()/\t", max_size=12).map(str.encode),
    st.binary(max_size=6).map(lambda octets: bytes(each | 0x80 for each in octets)),
    st.sampled_from([b"", b"chunked", b"5", b"close", b"a, b"]),
)
spaces = st.sampled_from([b"", b" ", b"\t", b"  \t"])
lines = st.builds(
    lambda name, before, value, after: name + b":" + before + value + after + CRLF,
    names, spaces, values, spaces,
)  # fmt: skip
connection = st.lists(st.sampled_from(NAMES[:9]), min_size=1, max_size=3).map(
    lambda named: b"Connection: " + b", ".join(named) + CRLF
)
section = st.lists(st.one_of(lines, lines, lines, connection), max_size=6).map(b"".join)

bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"GET /api/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n", b"0\r\n\r\n"]),
)
extensions = st.sampled_from([b"", b"", b"", b";a", b";a=b", b';a="b;c"', b";a=b;c=d"])


@st.composite
def chunks(draw: st.DrawFn, body: bytes, coding: bytes = b"Transfer-Encoding: chunked") -> bytes:
    """The coding's line, an empty one, and that body in chunks."""
    parts = [coding + CRLF + CRLF]
    while body:
        count = draw(st.integers(1, len(body)))
        size = (b"0" * draw(st.integers(0, 2))) + b"%x" % count
        parts += [size, draw(extensions), CRLF, body[:count], CRLF]
        body = body[count:]
    trailers = draw(st.lists(st.sampled_from([b"X-T: 1\r\n", b"Cookie: a=b\r\n"]), max_size=2))
    return b"".join([*parts, b"0", draw(extensions), CRLF, *trailers, CRLF])


@st.composite
def framed(draw: st.DrawFn) -> bytes:
    """A body by its length or in chunks, after the line that says so."""
    body = draw(bodies)
    if draw(st.booleans()):
        return draw(chunks(body))
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@dataclass(frozen=True)
class Message:
    """Octets; `sound`: as they were made, nothing was done to them."""

    octets: bytes
    sound: bool


BLOWS = [
    b"\r", b"\n", b"\r\n", b"\r\n ", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"1", b"f", b"x",
    b"\x0b", b"\x7f", b"\xff", b'"', b"chunked", b"Content-Length: 3\r\n", b"\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Host: evil.example\r\n", b"X: y\n",
]  # fmt: skip


@st.composite
def struck(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> Message:
    """A message, as often as not after a blow or two: octets put in, taken out, or exchanged."""
    octets = draw(messages)
    count = draw(st.sampled_from([0, 0, 1, 1, 1, 2]))
    for _ in range(count):
        at = draw(st.integers(0, len(octets)))
        taken = draw(st.integers(0, 2))
        octets = octets[:at] + draw(st.sampled_from([b"", *BLOWS])) + octets[at + taken :]
    return Message(octets, count == 0)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request to one of our paths."""
    method = draw(st.sampled_from([b"GET", b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD"]))
    path = draw(st.text(_LETTERS + "0123456789-.~_", min_size=1, max_size=6)).encode()
    query = draw(st.sampled_from([b"", b"", b"?", b"?a=b", b"?a=/../%2f&b=?"]))
    first = method + b" /api/x" + path + query + b" HTTP/1.1\r\n"
    host = draw(st.sampled_from([b"Host: app.example.com\r\n", b"hOST:APP.example.com:443 \r\n"]))
    fields = draw(section)
    proof = b"X-CSRF: 1\r\nSec-Fetch-Site: same-origin\r\n"
    if method in (b"GET", b"HEAD"):
        return first + host + fields + proof + CRLF
    return first + host + fields + proof + draw(framed())


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer, perhaps after interim ones, and perhaps without a length of its own."""
    interim = draw(
        st.lists(
            st.sampled_from(
                [b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
            ),
            max_size=2,
        )
    )
    status = draw(st.sampled_from([b"200 OK", b"200", b"201 Created", b"404 Not Found", b"500 \xe4",
                                   b"204 No Content", b"304 Not Modified"]))  # fmt: skip
    version = draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.1 ", b"HTTP/1.0 "]))
    fields = draw(section)
    body = draw(bodies)
    how = draw(st.sampled_from(["length", "chunks", "close"]))
    if (version == b"HTTP/1.0 " and how == "chunks") or (
        status[:1] == b"2" and status[2:3] == b"4"
    ):
        how = "close"
    framing = {"length": b"Content-Length: %d\r\n\r\n%s" % (len(body), body), "close": CRLF + body}
    rest = draw(chunks(body)) if how == "chunks" else framing[how]
    if status[:3] in (b"204", b"304"):
        rest = CRLF
    return b"".join(interim) + version + status + CRLF + fields + rest


cuts = st.lists(st.integers(1, 12), min_size=1, max_size=5)
