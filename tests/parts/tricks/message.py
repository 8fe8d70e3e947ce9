"""Whole messages: bodies where none is expected, upgrades, requests in a row."""

from typing import Final

from tests.parts.tricks.trick import (
    ENDS,
    OURS,
    SMUGGLED,
    Trick,
    length,
    refused,
    relayed,
    request,
    then_refused,
    unfinished,
)

_GET: Final = b"GET /api/x HTTP/1.1\r\n"


def _bodies() -> list[Trick]:
    over = length(len(SMUGGLED))
    chunked = b"Transfer-Encoding: chunked"
    rows = []
    for method in (b"GET", b"HEAD"):
        name = method.decode()
        rows += [
            refused(f"{name} with a request for its body",
                    request(over, body=SMUGGLED, method=method)),
            refused(f"{name} with chunks",
                    request(chunked, body=ENDS + SMUGGLED, method=method)),
        ]  # fmt: skip
    rows.append(
        relayed("GET with a length of zero", request(length(0), method=b"GET"), method="GET")
    )
    for method in (b"DELETE", b"OPTIONS", b"PUT", b"PATCH", b"POST"):
        name = method.decode()
        inner = b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED) + ENDS
        rows += [
            relayed(f"{name} with a request for its body",
                    request(over, body=SMUGGLED, method=method), SMUGGLED, name),
            relayed(f"{name} with a request in chunks",
                    request(chunked, body=inner, method=method), SMUGGLED, name),
        ]  # fmt: skip
    rows += [
        then_refused("a length under another name", request(b"Content_Length: 5", body=b"hello")),
        then_refused("a coding under another name",
                     request(b"Transfer_Encoding: chunked", body=ENDS)),
        then_refused("a length of zero and a body", request(length(0), body=b"hello")),
        relayed("a content coding that is called chunked",
                request(length(5), b"Content-Encoding: chunked", body=b"hello"), b"hello"),
        refused("chunked in HTTP/1.0",
                request(chunked, body=ENDS + SMUGGLED).replace(b"/1.1", b"/1.0", 1)),
        refused("an expectation of something else",
                request(over, b"Expect: 200-ok", body=SMUGGLED), 417),
        refused("an expectation and something else",
                request(over, b"Expect: 100-continue, x", body=SMUGGLED), 417),
        refused("two expectations",
                request(over, b"Expect: x", b"Expect: 100-continue", body=SMUGGLED), 417),
        refused("an expectation with a space before the colon",
                request(over, b"Expect : 100-continue", body=SMUGGLED)),
        relayed("an expectation without a body",
                request(b"Expect: 100-continue", method=b"GET"), method="GET"),
        Trick("an expectation and a body that does not wait",
              request(over, b"Expect: 100-continue", body=SMUGGLED),
              (200,), (("POST", "/x", SMUGGLED),)),
    ]  # fmt: skip
    return rows


def _upgrades() -> list[Trick]:
    over, chunked = length(len(SMUGGLED)), b"Transfer-Encoding: chunked"
    rows = []
    for protocol in (b"h2c", b"websocket", b"TLS/1.0", b"chunked", b"HTTP/2.0"):
        lines = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol,
                 b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"]  # fmt: skip
        name = protocol.decode()
        rows += [
            refused(f"an upgrade to {name} with a body", request(*lines, over, body=SMUGGLED)),
            refused(f"an upgrade to {name} with chunks",
                    request(*lines, b"Transfer-Encoding: chunked", body=ENDS + SMUGGLED)),
        ]  # fmt: skip
    for named in (
        b"content-length", b"transfer-encoding", b"host", b"authorization", b"cookie", b"via",
        b"x-forwarded-for, forwarded", b"close, content-length", b"Content-Length, Host, Via",
        b"x-request-id", b", ,content-length, ,", b"keep-alive, transfer-encoding",
    ):  # fmt: skip
        line = b"Connection: " + named
        name = named.decode()
        rows += [
            relayed(f"{name!r} named in Connection, and a length",
                    request(line, over, body=SMUGGLED), SMUGGLED),
            relayed(f"{name!r} named in Connection, and chunks",
                    request(line, chunked, body=b"3\r\nabc\r\n" + ENDS), b"abc"),
        ]  # fmt: skip
    for line in (
        b"X-HTTP-Method-Override: DELETE", b"X-HTTP-Method: DELETE", b"X-Method-Override: DELETE",
        b"X_HTTP_METHOD_OVERRIDE: DELETE", b"X-Original-URL: /smuggled",
        b"X-Rewrite-URL: /smuggled", b"X-Forwarded-Host: evil.example", b"Max-Forwards: 0",
        b"TE: trailers, chunked", b"Trailer: content-length", b"Keep-Alive: timeout=0",
        b"Proxy-Connection: close", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        b":method: GET", b":authority: evil.example",
    ):  # fmt: skip
        name = line.decode()
        octets = request(line, over, body=SMUGGLED)
        rows.append(
            refused(f"the field {name}", octets)
            if line.startswith(b":")
            else relayed(f"the field {name}", octets, SMUGGLED)
        )
    return rows


def _rows() -> list[Trick]:
    good = request(length(2), body=b"ok")
    heard = ("POST", "/x", b"ok")
    chunked = request(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n" + ENDS)
    bad = request(b"Transfer-Encoding : chunked", length(5), body=ENDS + SMUGGLED)
    last = request(b"Connection: close", length(2), body=b"ok")
    return [
        Trick("three requests in a row", good + chunked + good, (200,) * 3, (heard,) * 3),
        Trick("empty lines between requests", good + b"\r\n" + good, (200,) * 2, (heard,) * 2),
        Trick("a trick after two requests", good + chunked + bad, (200, 200, 400), (heard,) * 2),
        Trick("a trick before a request", bad + good, (400,)),
        Trick("octets that are none after a request", good + b"ok" + SMUGGLED,
              (200, 501), (heard,)),
        Trick("a bare LF and a space between requests", good + b"\n \n" + SMUGGLED,
              (200, 501), (heard,)),
        Trick("chunks and a length, then chunks", chunked + request(
            b"Transfer-Encoding: chunked", length(3), body=ENDS) + SMUGGLED, (200, 400), (heard,)),
        Trick("one octet too much of a length", request(length(2), body=b"ok!") + SMUGGLED,
              (200, 501), (heard,)),
        Trick("a request after one that closes", last + SMUGGLED, (200,), (heard,)),
        Trick("a request after one in HTTP/1.0", good.replace(b"/1.1", b"/1.0", 1) + SMUGGLED,
              (200,), (heard,)),
        unfinished("a request cut within its head", (_GET + OURS)[:-4]),
        unfinished("a request cut within its body", request(length(200), body=SMUGGLED)),
    ]  # fmt: skip


MESSAGES: Final = _bodies() + _upgrades() + _rows()
