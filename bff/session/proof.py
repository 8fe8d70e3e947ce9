"""What proves that an answer is that of this very call: digests over question and answer.

Replies of Redis are positional. One that comes late, twice or garbled must not be taken for the
answer to what was asked after it; `proof.lua` is the other half. A guard against accidents of
the wire, not against Redis itself: SHA-1 is what its Lua has.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

Part = str | bytes


class Doubt(Exception):
    """The reply is not the answer to what was asked."""


def asked(key: str, args: Sequence[Part]) -> list[Part]:
    """The arguments with a nonce and the digest of them all."""
    with_nonce = [*args, secrets.token_hex(12)]
    return [*with_nonce, _digest(_told([key, *with_nonce]))]


def proven(reply: object, args: Sequence[Part]) -> list[Any]:
    """The answer in the reply to what was `asked`. Raises Doubt."""
    if not (isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], list)):
        raise Doubt
    digest: object = reply[0]
    answer: list[Any] = reply[1]
    try:
        right = _digest(_octets(args[-1]) + _told(answer))
    except (TypeError, RecursionError):  # what Redis never sends, and only garbled octets can mean
        raise Doubt from None
    if digest != right.encode():
        raise Doubt
    return answer


def _digest(text: bytes) -> str:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


def _octets(part: Part) -> bytes:
    return part.encode() if isinstance(part, str) else part


def _told(part: Any) -> bytes:
    """As `told` in proof.lua: every part with its length, so that no two lists read alike."""
    if isinstance(part, list):
        return b"%d*" % len(part) + b"".join(_told(each) for each in part)
    if part is None:
        return b"-"
    text = _octets(part) if isinstance(part, str | bytes) else b"%d" % part
    return b"%d:%s" % (len(text), text)
