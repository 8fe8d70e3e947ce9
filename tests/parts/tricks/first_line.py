"""Request lines that are none, or not HTTP/1.1."""

from typing import Final

from tests.parts.tricks.trick import OURS, SMUGGLED, Trick, refused, relayed

_GET: Final = b"GET /api/x HTTP/1.1\r\n"


def _first(line: bytes) -> bytes:
    return line + OURS + b"\r\n" + SMUGGLED


_FIRST_LINES: Final = {
    "a space after the version": b"GET /api/x HTTP/1.1 \r\n",
    "a tab before the version": b"GET /api/x\tHTTP/1.1\r\n",
    "a NUL for a space": b"GET /api/x\0HTTP/1.1\r\n",
    "a space within the target": b"GET /api/x y HTTP/1.1\r\n",
    "a second version": b"GET /api/x HTTP/1.1 HTTP/1.1\r\n",
    "a bare LF at its end": b"GET /api/x HTTP/1.1\n",
    "a bare CR at its end": b"GET /api/x HTTP/1.1\r",
    "a bare CR within": b"GET /api/x\r HTTP/1.1\r\n",
    "LF and CR turned at its end": b"GET /api/x HTTP/1.1\n\r",
    "no version": b"GET /api/x\r\n",
    "no version, and a space": b"GET /api/x \r\n",
    "HTTP/0.9": b"GET /api/x HTTP/0.9\r\n",
    "HTTP/1.2": b"GET /api/x HTTP/1.2\r\n",
    "HTTP/1.10": b"GET /api/x HTTP/1.10\r\n",
    "HTTP/01.1": b"GET /api/x HTTP/01.1\r\n",
    "HTTP/1": b"GET /api/x HTTP/1\r\n",
    "HTTP/2": b"GET /api/x HTTP/2\r\n",
    "HTTP/2.0": b"GET /api/x HTTP/2.0\r\n",
    "HTTP/3.0": b"GET /api/x HTTP/3.0\r\n",
    "a version in lower case": b"GET /api/x http/1.1\r\n",
    "a version in mixed case": b"GET /api/x Http/1.1\r\n",
    "a version with a space": b"GET /api/x HTTP/ 1.1\r\n",
    "a version with a comma": b"GET /api/x HTTP/1,1\r\n",
    "another protocol": b"GET /api/x ICE/1.0\r\n",
    "a target without a slash": b"GET api/x HTTP/1.1\r\n",
    "no target": b"GET HTTP/1.1\r\n",
    "an asterisk for a target": b"GET * HTTP/1.1\r\n",
    "a line end in the target": b"GET /api/x\r\nX: HTTP/1.1\r\n",
    "a fragment in the target": b"GET /api/x#y HTTP/1.1\r\n",
    "an octet beyond ASCII in the target": b"GET /api/\xff HTTP/1.1\r\n",
    "an upper-case scheme of another kind": b"GET FTP://app.example.com/api/x HTTP/1.1\r\n",
    "a scheme without an authority": b"GET http:/api/x HTTP/1.1\r\n",
    "an authority with a user": b"GET http://u@app.example.com/api/x HTTP/1.1\r\n",
    "an authority with a space": b"GET http://app.example.com /api/x HTTP/1.1\r\n",
    "an authority with a backslash": b"GET http://app.example.com\\@evil.example/ HTTP/1.1\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}  # fmt: skip

# What begins with none of the methods known here is not implemented.
_METHODS: Final = {
    "a method in lower case": b"get",
    "a method of letters": b"FROB",
    "a method of one letter": b"G",
    "a longer method": b"GETX",
    "a method with a hyphen": b"M-SEARCHX",
    "a method with a colon": b"GET:",
    "a method with an octet beyond ASCII": b"G\xcbT",
    "a method with a slash": b"GE/T",
    "a method in quotes": b'"GET"',
    "a method with an underscore": b"GET_",
    "a method with a tab": b"GET\t",
    "a method with a vertical tab": b"GET\x0b",
    "a method and a line end": b"POST\r\n",
    "a NUL before the method": b"\0GET",
    "a space before the method": b" GET",
    "a digit for a method": b"1",
    "no method": b"",
}


def _request_lines() -> list[Trick]:
    rows = [
        refused(f"a request line with {sentence}", _first(line))
        for sentence, line in _FIRST_LINES.items()
    ]
    for sentence, method in _METHODS.items():
        rows.append(refused(sentence, _first(method + b" /api/x HTTP/1.1\r\n"), 501))
    for method in (b"CONNECT", b"TRACE"):
        rows.append(refused(f"{method.decode()}", _first(method + b" /api/x HTTP/1.1\r\n"), 405))
    evil = b"http://evil.example/api/x HTTP/1.1\r\n"
    rows += [
        refused("a foreign authority", _first(b"GET " + evil), 421),
        refused("a foreign authority of https", _first(b"GET https" + evil[4:]), 421),
        relayed(
            "an authority of ours and another host",
            b"GET http://app.example.com/api/x HTTP/1.1\r\n"
            + OURS.replace(b"app.example.com", b"evil.example") + b"\r\n",
            method="GET",
        ),
        # Space and protocol are left to the parser; what goes on is said anew.
        relayed("two spaces before the target",
                _GET.replace(b"GET ", b"GET  ") + OURS + b"\r\n", method="GET"),
        relayed("two spaces before the version",
                _GET.replace(b" HTTP", b"  HTTP") + OURS + b"\r\n", method="GET"),
        Trick("a request in RTSP closes", b"GET /api/x RTSP/1.0\r\n" + OURS + b"\r\n" + SMUGGLED,
              (200,), (("GET", "/x", b""),)),
        refused("two slashes and another host",
                b"GET //evil.example/api/x HTTP/1.1\r\n" + OURS + b"Connection: close\r\n\r\n"),
        relayed("an empty line before it", b"\r\n" + _GET + OURS + b"\r\n", method="GET"),
    ]  # fmt: skip
    return rows


FIRST_LINES: Final = _request_lines()
