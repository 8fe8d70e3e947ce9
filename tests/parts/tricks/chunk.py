"""Chunks, their extensions and trailers, in more than one reading."""

from typing import Final

from tests.parts.tricks.trick import (
    ENDS,
    SMUGGLED,
    Trick,
    length,
    refused,
    relayed,
    request,
    unfinished,
)

_CHUNKED: Final = b"Transfer-Encoding: chunked"
_CHUNKS: Final = {
    "a hexadecimal prefix": b"0x3\r\nabc\r\n" + ENDS,
    "a plus": b"+3\r\nabc\r\n" + ENDS,
    "a minus": b"-3\r\nabc\r\n" + ENDS,
    "an underscore": b"0_3\r\nabc\r\n" + ENDS,
    "a space before it": b" 3\r\nabc\r\n" + ENDS,
    "a tab before it": b"\t3\r\nabc\r\n" + ENDS,
    "a vertical tab before it": b"\x0b3\r\nabc\r\n" + ENDS,
    "a NUL after it": b"3\0\r\nabc\r\n" + ENDS,
    "a space after it": b"3 \r\nabc\r\n" + ENDS,
    "a CR after it": b"3\r\r\nabc\r\n" + ENDS,
    "a bare LF after it": b"3\nabc\r\n" + ENDS,
    "a bare CR after it": b"3\rabc\r\n" + ENDS,
    "a comma": b"3,3\r\nabc\r\n" + ENDS,
    "quotes": b'"3"\r\nabc\r\n' + ENDS,
    "nothing": b"\r\nabc\r\n" + ENDS,
    "no number": b"xyz\r\nabc\r\n" + ENDS,
    "2 to the 64th and three": b"10000000000000003\r\nabc\r\n" + ENDS,
    "a thousand digits": b"f" * 1000 + b"\r\nabc\r\n" + ENDS,
    "one more than there is": b"4\r\nabc\r\n" + ENDS,
    "one less than there is": b"2\r\nabc\r\n" + ENDS,
    "no end of the chunk": b"3\r\nabc" + ENDS,
    "a bare LF as the chunk's end": b"3\r\nabc\n" + ENDS,
    "a bare CR as the chunk's end": b"3\r\nabc\r" + ENDS,
    "two other octets as the chunk's end": b"3\r\nabcXX" + ENDS,
    "LF and CR turned as the chunk's end": b"3\r\nabc\n\r" + ENDS,
    "a last chunk that ends in a bare LF": b"3\r\nabc\r\n0\n\r\n",
    "a last chunk that ends in a bare CR": b"3\r\nabc\r\n0\r\r\n",
    "a bare LF for the empty line": b"3\r\nabc\r\n0\r\n\n",
    "an extension with a bare LF": b"3;a\nabc\r\n" + ENDS,
    "an extension with a bare LF within": b"3;a\nx\r\nabc\r\n" + ENDS,
    "an extension with a bare CR within": b"3;a\rx\r\nabc\r\n" + ENDS,
    "an extension with a NUL": b"3;a\0\r\nabc\r\n" + ENDS,
    "an extension with a control": b"3;a=\x01\r\nabc\r\n" + ENDS,
    "an extension with a line end in quotes": b'3;a="\r\nabc\r\n0\r\n\r\n"\r\nabc\r\n' + ENDS,
    "an extension with a bare LF in quotes": b'3;a="\n"\r\nabc\r\n' + ENDS,
    "an extension with an escaped line end": b'3;a="\\\r\n"\r\nabc\r\n' + ENDS,
    "an extension without a semicolon": b"3 a\r\nabc\r\n" + ENDS,
    "an extension on the last chunk with a bare LF": b"3\r\nabc\r\n0;\n\r\n",
}  # fmt: skip

_GOOD_CHUNKS: Final = {
    "leading zeros": b"0003\r\nabc\r\n" + ENDS,
    "capital digits": b"A\r\nabcdefghij\r\n" + ENDS,
    "an extension": b"3;a\r\nabc\r\n" + ENDS,
    "an extension with a value": b"3;a=b;c=d\r\nabc\r\n" + ENDS,
    "an extension in quotes": b'3;a="b;c"\r\nabc\r\n' + ENDS,
    "an extension on the last": b"3\r\nabc\r\n0;a=b\r\n\r\n",
    "one octet each": b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n" + ENDS,
    "many zeros at the end": b"3\r\nabc\r\n0000\r\n\r\n",
    "chunks within a chunk": b"5\r\n" + ENDS + b"\r\n" + ENDS,
    "a request within a chunk": b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED) + ENDS,
}
_IN_CHUNKS: Final = {
    "capital digits": b"abcdefghij", "chunks within a chunk": ENDS,
    "a request within a chunk": SMUGGLED,
}  # fmt: skip

_TRAILERS: Final = {
    "Host": b"Host: evil.example",
    "Cookie": b"Cookie: a=b",
    "Authorization": b"Authorization: Bearer mine",
    "a method": b"X-HTTP-Method-Override: DELETE",
    "a field of ours": b"X-Forwarded-For: 6.6.6.6",
    "any other": b"X-T: 1",
}
_BAD_TRAILERS: Final = {
    "Connection": b"Connection: close",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: websocket",
    "Content-Length": b"Content-Length: 5",
    "Transfer-Encoding": b"Transfer-Encoding: chunked",
    "a fold": b"X-T: 1\r\n 2",
    "a bare LF": b"X-T: 1\nX-U: 2",
    "a bare CR": b"X-T: 1\rX-U: 2",
    "a NUL": b"X-T: 1\0",
    "a space before the colon": b"X-T : 1",
    "no colon": b"X-T",
    "no name": b": 1",
    "a request": SMUGGLED[:-4],
}


def _chunks() -> list[Trick]:
    rows = []
    for sentence, body in _CHUNKS.items():
        rows.append(refused(f"a chunk with {sentence}", request(_CHUNKED, body=body + SMUGGLED)))
    for sentence, body in _GOOD_CHUNKS.items():
        content = _IN_CHUNKS.get(sentence, b"abc")
        rows.append(relayed(f"chunks with {sentence}", request(_CHUNKED, body=body), content))
    for sentence, lines in _TRAILERS.items():
        body = b"3\r\nabc\r\n0\r\n" + lines + b"\r\n\r\n"
        rows.append(relayed(f"a trailer that is {sentence}", request(_CHUNKED, body=body), b"abc"))
    for sentence, lines in _BAD_TRAILERS.items():
        body = b"3\r\nabc\r\n0\r\n" + lines + b"\r\n\r\n"
        rows.append(refused(f"a trailer with {sentence}", request(_CHUNKED, body=body + SMUGGLED)))
    return rows


_UNFINISHED: Final = [
    unfinished(
        "a chunk of 2 to the 63rd", request(_CHUNKED, body=b"8000000000000000\r\n" + SMUGGLED)
    ),
    unfinished("a chunk of 2 to the 32nd", request(_CHUNKED, body=b"100000000\r\n" + SMUGGLED)),
    unfinished("a last chunk without an end", request(_CHUNKED, body=b"3\r\nabc\r\n0\r\n")),
    unfinished("a length over a request that follows", request(length(10_000), body=SMUGGLED)),
]


CHUNKS: Final = _chunks() + _UNFINISHED
