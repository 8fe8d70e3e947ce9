"""The known tricks of request smuggling, each with the one thing that may come of it.

Every row ends with a request that nobody sent as one; where it is read as one all the same, it
arrives under a name of its own. A row says with which statuses the connection answers before it
closes, and which requests the upstream may hear: each once, in one reading.
"""

from dataclasses import dataclass
from typing import Final

OURS: Final = (
    b"Host: app.example.com\r\nX-CSRF: 1\r\nSec-Fetch-Site: same-origin\r\nConnection: x-none\r\n"
)
SMUGGLED: Final = b"GET /api/smuggled HTTP/1.1\r\n" + OURS + b"\r\n"
ENDS: Final = b"0\r\n\r\n"  # a body in chunks


@dataclass(frozen=True)
class Trick:
    """Octets, and what may come of them."""

    sentence: str
    octets: bytes
    statuses: tuple[int, ...]  # of the answers; the last is a refusal, or all is well
    heard: tuple[tuple[str, str, bytes], ...] = ()  # method, target and body, as the upstream read

    @property
    def refused(self) -> bool:
        return not self.statuses or self.statuses[-1] >= 400


def refused(sentence: str, octets: bytes, status: int = 400) -> Trick:
    """Nothing goes on; nothing after it is read."""
    return Trick(sentence, octets, (status,))


def relayed(sentence: str, octets: bytes, body: bytes = b"", method: str = "POST") -> Trick:
    """One request, in one reading."""
    return Trick(sentence, octets, (200,), ((method, "/x", body),))


def then_refused(sentence: str, octets: bytes, method: str = "POST") -> Trick:
    """One request without a body, and what follows is none."""
    return Trick(sentence, octets, (200, 501), ((method, "/x", b""),))


def request(
    *lines: bytes, body: bytes = b"", method: bytes = b"POST", target: bytes = b"/api/x"
) -> bytes:
    """A request of ours with those further lines."""
    more = b"".join(line + b"\r\n" for line in lines)
    return method + b" " + target + b" HTTP/1.1\r\n" + OURS + more + b"\r\n" + body


def unfinished(sentence: str, octets: bytes) -> Trick:
    """It waits for more, and what follows is a part of it."""
    return Trick(sentence, octets, ())


def length(count: int) -> bytes:
    return b"Content-Length: %d" % count
