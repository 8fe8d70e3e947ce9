"""Who may see the page: HTTP Basic with one password (RFC 7617), and few attempts at it.

Pure but for the table of attempts. The user name is not looked at.
"""

import base64
import binascii
import hmac
from collections import OrderedDict
from typing import Final

ATTEMPTS: Final = 5  # wrong passwords that one address may send at once
SECONDS: Final = 2.0  # after which it has one more
ADDRESSES: Final = 1024  # that are remembered; the oldest is forgotten first


def knows(authorization: bytes | None, password: str) -> bool:
    """Whether the header field holds that password. Constant time, whatever it holds."""
    given = b""
    if authorization is not None:
        scheme, _, credentials = authorization.partition(b" ")
        if scheme.lower() == b"basic":
            given = _password(credentials.strip())
    return hmac.compare_digest(given, password.encode())


def _password(credentials: bytes) -> bytes:
    try:
        pair = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return b""
    return pair.partition(b":")[2]


class Attempts:
    """How many wrong passwords an address may still send: a bucket each, filled again by time."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def too_many(self, address: str, now: float) -> bool:
        """Whether it has to wait, with a right password too: else waiting would say it is wrong."""
        return self._left(address, now) < 1.0

    def wrong(self, address: str, now: float) -> None:
        """It has sent a wrong one."""
        self._wrong[address] = (self._left(address, now) - 1.0, now)
        self._wrong.move_to_end(address)
        if len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)

    def _left(self, address: str, now: float) -> float:
        left, at = self._wrong.get(address, (float(ATTEMPTS), now))
        return min(float(ATTEMPTS), left + (now - at) / SECONDS)
