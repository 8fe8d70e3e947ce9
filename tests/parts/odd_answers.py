"""Answers that are cut short, or odd, or more than one: what of them a browser is told."""

from typing import Final

from tests.parts.lies import CHUNKED, CUT, ENDS, FOREIGN, TWO, Lie, answer


def _cuts() -> list[Lie]:
    return [
        Lie(
            "less than its length, and a close",
            answer(b"content-length: 9\r\n", body=b"half"),
            CUT,
            closes=True,
        ),
        Lie("no body at all, and a close", answer(b"content-length: 9\r\n"), CUT, closes=True),
        Lie(
            "chunks without the last, and a close",
            answer(CHUNKED, body=b"2\r\nok\r\n"),
            CUT,
            closes=True,
        ),
        Lie("half a chunk, and a close", answer(CHUNKED, body=b"9\r\nhalf"), CUT, closes=True),
        Lie(
            "a last chunk without its line, and a close",
            answer(CHUNKED, body=b"2\r\nok\r\n0\r\n"),
            CUT,
            closes=True,
        ),
        Lie("half a size, and a close", answer(CHUNKED, body=b"2\r\nok\r\n0"), CUT, closes=True),
        Lie(
            "a trailer without end, and a close",
            answer(CHUNKED, body=b"2\r\nok\r\n0\r\nx-t: 1\r\n"),
            CUT,
            closes=True,
        ),
        Lie(
            "HTTP/1.0 with a length that is not reached",
            answer(b"content-length: 9\r\n", body=b"half", first=b"HTTP/1.0 200 OK\r\n"),
            CUT,
            closes=True,
        ),
    ]


def _goods() -> list[Lie]:
    ten = b"HTTP/1.0 200 OK\r\n"
    alive = b"connection: keep-alive\r\n"
    more = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    return [
        Lie("more than its length", answer(TWO, body=b"okmore"), (200, b"ok")),
        Lie("one octet more", answer(TWO, body=b"ok!"), (200, b"ok")),
        Lie("a line end more", answer(TWO, body=b"ok\r\n"), (200, b"ok"), True),
        Lie("a second answer", answer(TWO, body=b"ok") + FOREIGN, (200, b"ok")),
        Lie(
            "a second answer after chunks",
            answer(CHUNKED, body=b"2\r\nok\r\n" + ENDS) + FOREIGN,
            (200, b"ok"),
        ),
        Lie("an interim answer after it", answer(TWO, body=b"ok") + more, (200, b"ok")),
        Lie("half a head after it", answer(TWO, body=b"ok") + FOREIGN[:10], (200, b"ok")),
        Lie("HEAD with a body", answer(TWO, body=b"ok"), (200, b""), method="HEAD"),
        Lie(
            "HEAD with chunks",
            answer(CHUNKED, body=b"2\r\nok\r\n" + ENDS),
            (200, b""),
            method="HEAD",
        ),
        Lie(
            "HEAD with an answer for its body",
            answer(b"content-length: %d\r\n" % len(FOREIGN), body=FOREIGN),
            (200, b""),
            method="HEAD",
        ),
        Lie("HEAD without a body", answer(TWO), (200, b""), method="HEAD"),  # it may come yet
        Lie("HEAD of nothing", answer(b"content-length: 0\r\n"), (200, b""), True, method="HEAD"),
        Lie("HEAD without a length", answer(), (200, b""), method="HEAD"),
        Lie("204 with a body", answer(TWO, body=b"ok", first=b"HTTP/1.1 204 No\r\n"), (204, b"")),
        Lie(
            "204 with an answer for its body",
            answer(first=b"HTTP/1.1 204 No\r\n") + FOREIGN,
            (204, b""),
        ),
        Lie("204 with a length and no body", answer(TWO, first=b"HTTP/1.1 204 No\r\n"), (204, b"")),
        Lie(
            "204 with chunks and no body",
            answer(CHUNKED, first=b"HTTP/1.1 204 No\r\n"),
            (204, b""),
        ),
        Lie("204 as it should be", answer(first=b"HTTP/1.1 204 No\r\n"), (204, b""), True),
        Lie(
            "204 with a length of zero",
            answer(b"content-length: 0\r\n", first=b"HTTP/1.1 204 No\r\n"),
            (204, b""),
            True,
        ),
        Lie("304 with a body", answer(TWO, body=b"ok", first=b"HTTP/1.1 304 Not\r\n"), (304, b"")),
        Lie(
            "304 with chunks",
            answer(CHUNKED, body=b"2\r\nok\r\n" + ENDS, first=b"HTTP/1.1 304 Not\r\n"),
            (304, b""),
        ),
        Lie(
            "304 with the length of what it has not",
            answer(TWO, first=b"HTTP/1.1 304 Not\r\n"),
            (304, b""),
            True,
        ),
        Lie("HTTP/1.0 with a length", answer(TWO, body=b"ok", first=ten), (200, b"ok")),
        Lie(
            "HTTP/1.0 that is kept alive",
            answer(TWO, alive, body=b"ok", first=ten),
            (200, b"ok"),
            True,
        ),
        Lie("HTTP/1.0 without a length", answer(body=b"ok", first=ten), (200, b"ok"), closes=True),
        Lie(
            "HTTP/1.0 kept alive without a length",
            answer(alive, body=b"ok", first=ten),
            (200, b"ok"),
            closes=True,
        ),
        Lie("no length at all", answer(body=b"ok"), (200, b"ok"), closes=True),
        Lie("Connection: close", answer(TWO, b"connection: close\r\n", body=b"ok"), (200, b"ok")),
        Lie(
            "Connection: content-length",
            answer(TWO, b"connection: content-length\r\n", body=b"ok"),
            (200, b"ok"),
            True,
        ),
        Lie(
            "Connection: transfer-encoding",
            answer(CHUNKED, b"connection: transfer-encoding\r\n", body=b"2\r\nok\r\n" + ENDS),
            (200, b"ok"),
            True,
        ),
        Lie(
            "an upgrade beside 200",
            answer(TWO, b"connection: upgrade\r\nupgrade: websocket\r\n", body=b"ok"),
            (200, b"ok"),
            True,
        ),
        Lie("leading zeros", answer(b"content-length: 0002\r\n", body=b"ok"), (200, b"ok"), True),
        Lie(
            "chunk extensions",
            answer(CHUNKED, body=b'2;a="b;c"\r\nok\r\n0;d\r\n\r\n'),
            (200, b"ok"),
            True,
        ),
        Lie(
            "trailers",
            answer(CHUNKED, body=b"2\r\nok\r\n0\r\nset-cookie: bff=1\r\netag: 1\r\n\r\n"),
            (200, b"ok"),
            True,
        ),
        Lie("eight interim answers", more * 8 + answer(TWO, body=b"ok"), (200, b"ok"), True),
        Lie("no phrase", answer(TWO, body=b"ok", first=b"HTTP/1.1 200 \r\n"), (200, b"ok"), True),
        Lie(
            "no phrase and no space",
            answer(TWO, body=b"ok", first=b"HTTP/1.1 200\r\n"),
            (200, b"ok"),
            True,
        ),
        Lie(
            "a phrase beyond ASCII",
            answer(TWO, body=b"ok", first=b"HTTP/1.1 200 \xe4\r\n"),
            (200, b"ok"),
            True,
        ),
    ]


ODD: Final = _cuts() + _goods()
