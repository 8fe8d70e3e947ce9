"""Questions that travel together on a peek line, and what their replies may be.

Pure: `peek` carries them. A reply is believed only when the batch's nonce has come after it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from typing_extensions import override

from bff.journal.metrics import STORE_SECONDS, timed
from bff.session.store import Ended, Live, StoreUnavailable

_PEEKS: Final = timed(STORE_SECONDS, "peek")
FIELDS: Final = (b"t", b"v", b"ia", b"ab", b"rf", b"se", b"r")

Fields = list[bytes | None]
Answer = Callable[[Fields | None], None]  # None: the connection is lost, or in doubt


@dataclass(slots=True)
class Batch:
    """The questions of one turn of the loop."""

    tags: list[bytes]
    answers: list[Answer]
    nonce: bytes
    timer: asyncio.TimerHandle | None = None
    asked_at: float = 0.0
    replies: list[Fields] = field(default_factory=list)

    def take(self, reply: object) -> bool:
        """Take the next reply before the nonce; whether it can be the right one."""
        if not isinstance(reply, list) or len(reply) != len(FIELDS):
            return False
        if reply[0] is not None and reply[0] != self.tags[len(self.replies)]:
            return False
        self.replies.append(reply)
        return True

    def settle(self) -> None:
        """Hand out the answers, now that the nonce has proved them."""
        if self.timer is not None:
            self.timer.cancel()
        _PEEKS.observe(perf_counter() - self.asked_at)
        for answer, fields in zip(self.answers, self.replies, strict=True):
            answer(fields)


class Check(Batch):
    """A batch of one question: whether the server is a master."""

    __slots__ = ()

    @override
    def take(self, reply: object) -> bool:
        """Only a master will do."""
        self.replies.append([])
        return is_master(reply)

    @override
    def settle(self) -> None:
        """Nobody waits for it."""
        if self.timer is not None:
            self.timer.cancel()


def is_master(reply: object) -> bool:
    """What a server replied to `ROLE`."""
    return isinstance(reply, list) and bool(reply) and reply[0] == b"master"


def read_fields(fields: Fields) -> Live | Ended:
    """What the fields of a record or tombstone say. Raises StoreUnavailable.

    A record that nobody writes answers the same again and again: the last answer of each key is
    kept, until `let_go`, and of a key no more than that, for records change as long as they live.
    """
    tag = fields[0] or b""
    known = _last.get(tag)
    if known is not None and known[0] == fields:
        return known[1]
    there = _read(fields)
    if isinstance(there, Live):
        if len(_last) >= KEPT:
            _last.clear()
        _last[tag] = fields, there
    return there


def let_go(tag: bytes) -> None:
    """Nobody here asks for that key any more."""
    _last.pop(tag, None)


KEPT: Final = 8192  # keys, whoever forgets to let go
_last: Final[dict[bytes, tuple[Fields, Live]]] = {}


def _read(fields: Fields) -> Live | Ended:
    _, version, idle_at, absolute_at, refresh_at, seen_at, reason = fields
    try:
        if reason is not None:
            return Ended(reason=reason.decode())
        if version is not None and idle_at and absolute_at and seen_at:
            return Live(
                version=version.decode(),
                idle_at=_seconds(idle_at),
                absolute_at=_seconds(absolute_at),
                refresh_at=_seconds(refresh_at) if refresh_at else None,
                seen_at=_seconds(seen_at),
            )
    except (ValueError, AttributeError):  # garbled on the way: no number, or an error in a field
        raise StoreUnavailable from None
    raise StoreUnavailable  # a hash of ours without these was never written by us


def _seconds(ms: bytes) -> float:
    return int(ms) / 1000
