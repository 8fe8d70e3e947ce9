"""Lines of a header section that end, begin or name in more than one way; and Host."""

from typing import Final

from tests.parts.tricks.trick import OURS, SMUGGLED, Trick, refused, request

_GET: Final = b"GET /api/x HTTP/1.1\r\n"
_LINES: Final = {
    "a fold": b"X-A: a\r\n b",
    "a fold by a tab": b"X-A: a\r\n\tb",
    "an empty fold": b"X-A: a\r\n ",
    "a fold of the Host": b"X-A: a\r\n\r",
    "a space before the colon": b"X-A : a",
    "a tab before the colon": b"X-A\t: a",
    "a space within the name": b"X A: a",
    "a NUL within the name": b"X\0A: a",
    "a control within the name": b"X\x01A: a",
    "a delimiter within the name": b"X(A): a",
    "an octet beyond ASCII in the name": b"X\xe4: a",
    "quotes in the name": b'"X-A": a',
    "a slash in the name": b"X/A: a",
    "no name": b": a",
    "a space for a name": b" : a",
    "no colon": b"X-A",
    "a bare LF in the value": b"X-A: a\nX-B: b",
    "a bare LF and a space in the value": b"X-A: a\n b",
    "a bare CR in the value": b"X-A: a\rb",
    "a bare CR at the end of the value": b"X-A: a\r",
    "CR CR LF": b"X-A: a\r\r\nX-B: b",
    "LF CR": b"X-A: a\n\rX-B: b",
    "a NUL in the value": b"X-A: a\0b",
    "a NUL at the end of the value": b"X-A: a\0",
    "a control in the value": b"X-A: a\x01b",
    "a backspace in the value": b"X-A: a\x08b",
    "an escape in the value": b"X-A: a\x1bb",
    "a DEL in the value": b"X-A: a\x7fb",
    "a request in the value": b"X-A: a\n\nGET /api/smuggled HTTP/1.1",
    "a request line as a field": b"GET /api/smuggled HTTP/1.1",
}  # fmt: skip

_HOSTS: Final = {
    "none": b"",
    "empty": b"Host:\r\n",
    "two alike": b"Host: app.example.com\r\nHost: app.example.com\r\n",
    "two, the second foreign": b"Host: app.example.com\r\nHost: evil.example\r\n",
    "two, the first foreign": b"Host: evil.example\r\nHost: app.example.com\r\n",
    "two in two cases": b"Host: app.example.com\r\nhOST: evil.example\r\n",
    "a list": b"Host: app.example.com, evil.example\r\n",
    "two in one, by a space": b"Host: app.example.com evil.example\r\n",
    "a user": b"Host: evil.example@app.example.com\r\n",
    "a path": b"Host: app.example.com/evil\r\n",
    "a query": b"Host: app.example.com?evil\r\n",
    "a fragment": b"Host: app.example.com#evil\r\n",
    "a backslash": b"Host: app.example.com\\evil\r\n",
    "a scheme": b"Host: https://app.example.com\r\n",
    "a port that is none": b"Host: app.example.com:x\r\n",
    "a port and a port": b"Host: app.example.com:443:443\r\n",
    "a port beyond all": b"Host: app.example.com:4430000\r\n",
    "an empty port": b"Host: app.example.com:\r\n",
    "a NUL": b"Host: app.example.com\0\r\n",
    "a fold": b"Host: app.example.com\r\n evil.example\r\n",
    "a space before the colon": b"Host : app.example.com\r\n",
    "a space before the name": b" Host: app.example.com\r\n",
    "a bare LF": b"Host: app.example.com\nX: evil\r\n",
    "quotes": b'Host: "app.example.com"\r\n',
    "octets beyond ASCII": b"Host: \xe4pp.example.com\r\n",
}  # fmt: skip
_OTHER_HOSTS: Final = {
    "a foreign one": b"evil.example",
    "a foreign one that begins alike": b"app.example.com.evil.example",
    "a foreign one that ends alike": b"evil-app.example.com",
    "a final dot": b"app.example.com.",
    "another port": b"app.example.com:8443",
    "an address": b"127.0.0.1",
    "localhost": b"localhost",
    "an address of six": b"[::1]",
}  # fmt: skip


def _section_lines() -> list[Trick]:
    rows = []
    for sentence, line in _LINES.items():
        rows.append(refused(f"a field with {sentence}", request(line, method=b"GET") + SMUGGLED))
    rows += [
        refused(
            "a space before the first field", _GET + b" X-A: a\r\n" + OURS + b"\r\n" + SMUGGLED
        ),
        refused("a tab before the first field", _GET + b"\tX-A: a\r\n" + OURS + b"\r\n" + SMUGGLED),
        refused("a fold before the first field", _GET + b" \r\n" + OURS + b"\r\n" + SMUGGLED),
        refused("a bare LF as the empty line", _GET + OURS + b"\n" + SMUGGLED),
        refused("a bare CR as the empty line", _GET + OURS + b"\r" + SMUGGLED),
        refused("two bare LF at the end", _GET + OURS[:-2] + b"\n\n" + SMUGGLED),
        refused("nothing but bare LF", (_GET + OURS + b"\r\n" + SMUGGLED).replace(b"\r", b"")),
        refused("nothing but bare CR", (_GET + OURS + b"\r\n" + SMUGGLED).replace(b"\n", b"")),
    ]
    for sentence, lines in _HOSTS.items():
        octets = _GET + lines + OURS.partition(b"\r\n")[2] + b"\r\n" + SMUGGLED
        rows.append(refused(f"a Host that is or has {sentence}", octets))
    for sentence, host in _OTHER_HOSTS.items():
        octets = _GET + OURS.replace(b"app.example.com", host) + b"\r\n" + SMUGGLED
        rows.append(refused(f"a Host that is {sentence}", octets, 421))
    return rows


SECTIONS: Final = _section_lines()
