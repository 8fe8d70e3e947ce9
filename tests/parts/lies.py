"""What an upstream may say about its answer that is not true, each with what may come of it."""

from dataclasses import dataclass
from typing import Final

FAULT: Final = "fault"  # 502 `upstream_protocol`
UNREACHABLE: Final = "unreachable"  # 502 `upstream_unreachable`
CUT: Final = "cut"  # the answer begins, and breaks off


@dataclass(frozen=True)
class Lie:
    """An answer, and what a browser is told of it."""

    sentence: str
    octets: bytes
    told: str | tuple[int, bytes]  # FAULT, CUT, or status and body
    kept: bool = False  # whether the connection may serve another exchange
    method: str = "GET"
    closes: bool = False  # the upstream closes after it


OK_LINE: Final = b"HTTP/1.1 200 OK\r\n"
TWO: Final = b"content-length: 2\r\n"
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
ENDS: Final = b"0\r\n\r\n"
FOREIGN: Final = OK_LINE + b"content-length: 7\r\n\r\nforeign"


def answer(*lines: bytes, body: bytes = b"", first: bytes = OK_LINE) -> bytes:
    return first + b"".join(lines) + b"\r\n" + body


_FRAMINGS: Final = {
    "both framings": (TWO, CHUNKED),
    "both framings, turned": (CHUNKED, TWO),
    "one length twice": (TWO, TWO),
    "two lengths": (TWO, b"content-length: 3\r\n"),
    "a list of equal lengths": (b"content-length: 2, 2\r\n",),
    "a list of lengths": (b"content-length: 2, 3\r\n",),
    "a plus": (b"content-length: +2\r\n",),
    "a minus": (b"content-length: -2\r\n",),
    "a hexadecimal length": (b"content-length: 0x2\r\n",),
    "a length with a space within": (b"content-length: 2 2\r\n",),
    "a length with a letter": (b"content-length: 2a\r\n",),
    "a fraction": (b"content-length: 2.0\r\n",),
    "an empty length": (b"content-length:\r\n",),
    "a length beyond 64 bits": (b"content-length: 18446744073709551618\r\n",),
    "a length with a NUL": (b"content-length: 2\0\r\n",),
    "a length with a vertical tab": (b"content-length: \x0b2\r\n",),
    "a folded length": (b"content-length:\r\n 2\r\n",),
    "a space before the colon of a length": (b"content-length : 2\r\n",),
    "a space before the colon of a coding": (b"transfer-encoding : chunked\r\n",),
    "a coding twice": (CHUNKED, CHUNKED),
    "chunked twice in a list": (b"transfer-encoding: chunked, chunked\r\n",),
    "gzip and chunked": (b"transfer-encoding: gzip, chunked\r\n",),
    "chunked and gzip": (b"transfer-encoding: chunked, gzip\r\n",),
    "identity": (b"transfer-encoding: identity\r\n",),
    "an unknown coding": (b"transfer-encoding: xchunked\r\n",),
    "a coding in quotes": (b'transfer-encoding: "chunked"\r\n',),
    "an empty coding": (b"transfer-encoding:\r\n",),
    "a coding with a vertical tab": (b"transfer-encoding: \x0bchunked\r\n",),
    "a coding with a NUL": (b"transfer-encoding: chunked\0\r\n",),
    "a folded coding": (b"transfer-encoding:\r\n chunked\r\n",),
    "a coding after a bare LF": (b"x-a: 1\ntransfer-encoding: chunked\r\n",),
    "a length after a bare CR": (b"x-a: 1\rcontent-length: 2\r\n",),
}  # fmt: skip

_LINES: Final = {
    "a folded line": b"x-a: 1\r\n 2\r\n",
    "a line folded by a tab": b"x-a: 1\r\n\t2\r\n",
    "a bare LF": b"x-a: 1\n",
    "a bare CR": b"x-a: 1\r2\r\n",
    "CR CR LF": b"x-a: 1\r\r\n",
    "a NUL in a value": b"x-a: 1\x002\r\n",
    "a control in a value": b"x-a: 1\x012\r\n",
    "a NUL in a name": b"x\0a: 1\r\n",
    "a space in a name": b"x a: 1\r\n",
    "an octet beyond ASCII in a name": b"x\xe4: 1\r\n",
    "no colon": b"x-a\r\n",
    "no name": b": 1\r\n",
    "a space before the first field": b" x-a: 1\r\n",
    "more fields than anybody reads": b"a:1\r\n" * 20_000,
    "a field without end": b"x-a: " + b"a" * 100_000 + b"\r\n",
}  # fmt: skip

_FIRST_LINES: Final = {
    "a bare LF": b"HTTP/1.1 200 OK\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n",
    "a version in lower case": b"http/1.1 200 OK\r\n",
    "no version": b"200 OK\r\n",
    "two spaces": b"HTTP/1.1  200 OK\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n",
    "a status of zero": b"HTTP/1.1 000 OK\r\n",
    "a status beyond 599": b"HTTP/1.1 600 OK\r\n",
    "a bare CR in its phrase": b"HTTP/1.1 200 O\rK\r\n",
    "another protocol": b"SIP/2.0 200 OK\r\n",
    "octets before it": b"xHTTP/1.1 200 OK\r\n",
    "a request": b"GET / HTTP/1.1\r\n",
}  # fmt: skip

_CHUNKS: Final = {
    "no number": b"zz\r\nok\r\n" + ENDS,
    "a prefix": b"0x2\r\nok\r\n" + ENDS,
    "a minus": b"-2\r\nok\r\n" + ENDS,
    "a space after it": b"2 \r\nok\r\n" + ENDS,
    "a space before it": b" 2\r\nok\r\n" + ENDS,
    "a bare LF": b"2\nok\r\n" + ENDS,
    "beyond 64 bits": b"10000000000000002\r\nok\r\n" + ENDS,
    "an extension with a bare LF": b"2;a\nok\r\n" + ENDS,
    "an extension with a bare CR": b"2;a\rok\r\n" + ENDS,
    "an extension with a line end in quotes": b'2;a="\r\nok\r\n"\r\n' + ENDS,
}  # fmt: skip

# The head has left when the fault is seen.
_LATE_CHUNKS: Final = {
    "more octets than said": b"1\r\nok\r\n" + ENDS,
    "a bare LF at its end": b"2\r\nok\n" + ENDS,
    "a bare CR at its end": b"2\r\nok\r" + ENDS,
    "a second one with no number": b"2\r\nok\r\nzz\r\n" + ENDS,
    "a last one that ends in a bare LF": b"2\r\nok\r\n0\n\r\n",
    "a trailer with a fold": b"2\r\nok\r\n0\r\nx-t: 1\r\n 2\r\n\r\n",
    "a trailer with a NUL": b"2\r\nok\r\n0\r\nx-t: 1\0\r\n\r\n",
    "a trailer with a space before its colon": b"2\r\nok\r\n0\r\nx-t : 1\r\n\r\n",
    "a trailer that is a length": b"2\r\nok\r\n0\r\ncontent-length: 2\r\n\r\n",
}  # fmt: skip


def _faults() -> list[Lie]:
    rows = [
        Lie(f"an answer with {sentence}", answer(*lines, body=b"2\r\nok\r\n" + ENDS), FAULT)
        for sentence, lines in _FRAMINGS.items()
    ]
    rows += [
        Lie(f"a head with {sentence}", answer(TWO, line, body=b"ok"), FAULT)
        for sentence, line in _LINES.items()
        if not sentence.startswith("a space before the first")
    ]
    rows += [
        Lie(f"a status line with or of {sentence}", answer(TWO, body=b"ok", first=line), FAULT)
        for sentence, line in _FIRST_LINES.items()
    ]
    rows += [
        Lie(f"a chunk with {sentence}", answer(CHUNKED, body=body), FAULT)
        for sentence, body in _CHUNKS.items()
    ]
    rows += [
        Lie(f"chunks with {sentence}", answer(CHUNKED, body=body), FAULT)
        for sentence, body in _LATE_CHUNKS.items()
    ]
    interim = b"HTTP/1.1 103 Early Hints\r\n"
    rows += [
        Lie("a space before the first field", answer(b" x-a: 1\r\n", TWO, body=b"ok"), FAULT),
        Lie(
            "chunks in HTTP/1.0",
            answer(CHUNKED, body=b"2\r\nok\r\n" + ENDS, first=b"HTTP/1.0 200 OK\r\n"),
            FAULT,
        ),
        Lie(
            "101 that nobody asked for",
            answer(b"upgrade: x\r\nconnection: upgrade\r\n", first=b"HTTP/1.1 101 Switching\r\n"),
            FAULT,
        ),
        Lie("101 and an answer", answer(first=b"HTTP/1.1 101 Switching\r\n") + FOREIGN, FAULT),
        Lie("nine interim answers", (interim + b"\r\n") * 9 + FOREIGN, FAULT),
        Lie("a hundred times 100", b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + FOREIGN, FAULT),
        Lie("an interim answer with a length", interim + TWO + b"\r\nok" + FOREIGN, FAULT),
        Lie("an interim answer with chunks", interim + CHUNKED + b"\r\n" + ENDS + FOREIGN, FAULT),
        Lie("100 with a length", b"HTTP/1.1 100 Continue\r\n" + TWO + b"\r\n" + FOREIGN, FAULT),
        Lie(
            "interim answers of 64 KiB",
            (interim + b"x-a: " + b"a" * 20_000 + b"\r\n\r\n") * 4 + FOREIGN,
            FAULT,
        ),
        Lie("half a head and a close", OK_LINE + b"content-le", UNREACHABLE, closes=True),
    ]
    return rows


FAULTS: Final = _faults()
