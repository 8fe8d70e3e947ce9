"""Questions that travel together on a peek line, and what their replies may be.

Pure: `peek` carries them. A reply is believed only when the batch's nonce has come after it. A
record that nobody writes answers the same again and again, octet for octet: such a reply is
compared with the last one, and not parsed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, cast

from typing_extensions import override

from bff.journal.metrics import STORE_SECONDS, timed
from bff.session.store import Ended, Glimpse, Live, Question, StoreUnavailable

_PEEKS: Final = timed(STORE_SECONDS, "peek")
FIELDS: Final = (b"t", b"v", b"ia", b"ab", b"rf", b"se", b"r")
GLANCED: Final = (b"t", b"v", b"se")  # those of them that must be known on every request

Fields = list[bytes | None]
Said = Fields | Glimpse  # what a server replied, or what that same reply meant the last time
Answer = Callable[[Said | None], None]  # None: the connection is lost, or in doubt


def bulk(part: bytes) -> bytes:
    """A bulk string (RESP2)."""
    return b"$%d\r\n%s\r\n" % (len(part), part)


def command(*parts: bytes) -> bytes:
    """A command, or a reply of so many strings, as octets."""
    return b"*%d\r\n" % len(parts) + b"".join(map(bulk, parts))


@dataclass(slots=True, kw_only=True, repr=False)
class Asked:
    """A question that is asked once."""

    key: str
    name: bytes
    asks: bytes = b""
    size: int = 0
    said: bytes = b""
    glimpse: Glimpse | None = None


def asked(key: str, name: bytes) -> Asked:
    """A question for the fields of the record at `name`, whose tag is its key."""
    found = Asked(key=key, name=name)
    ask_for(found, FIELDS)
    return found


def ask_for(question: Question, fields: Sequence[bytes]) -> None:
    """Let it ask for those fields; the first must be the tag."""
    question.size = len(fields)
    question.asks = command(b"HMGET", question.name, *fields)


def heard(question: Question, said: Said) -> Glimpse | None:
    """What lives, if that is what was said; the octets that say so are kept with the question."""
    if not isinstance(said, list):
        return said
    question.glimpse = None
    # Without its tag an answer proves nothing; a tombstone has neither of the others.
    if all(isinstance(part, bytes) for part in said):
        tag, version, seen_at = cast("list[bytes]", said)
        with contextlib.suppress(ValueError):  # garbled on the way
            glimpse = Glimpse(version=version.decode(), seen_at=_seconds(seen_at))
            question.said, question.glimpse = command(tag, version, seen_at), glimpse
    return question.glimpse


@dataclass(slots=True)
class Batch:
    """The questions of one turn of the loop."""

    nonce: bytes
    questions: list[Question] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    asked_at: float = 0.0
    replies: list[Said] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Whether nothing but the nonce is still to come."""
        return len(self.replies) == len(self.questions)

    def octets(self) -> bytes:
        """What asks all of it."""
        asks = [each.asks for each in self.questions]
        asks.append(command(b"ECHO", self.nonce))
        return b"".join(asks)

    def recognise(self, data: bytes, start: int) -> int:
        """Where the batch's replies end in a read, if they are all what they were the last time.

        0 where one of them is not, or the nonce: then the parser is to say what they are.
        """
        known: list[Said] = []
        for each in self.questions:
            if each.glimpse is None or not data.startswith(each.said, start):
                return 0
            start += len(each.said)
            known.append(each.glimpse)
        nonce = bulk(self.nonce)
        if not data.startswith(nonce, start):
            return 0
        self.replies = known
        return start + len(nonce)

    def take(self, reply: object) -> bool:
        """Take the next reply before the nonce; whether it can be the right one."""
        question = self.questions[len(self.replies)]
        if not isinstance(reply, list) or len(reply) != question.size:
            return False
        if reply[0] is not None and reply[0] != question.key.encode():
            return False
        self.replies.append(reply)
        return True

    def settle(self) -> None:
        """Hand out the answers, now that the nonce has proved them."""
        if self.timer is not None:
            self.timer.cancel()
        _PEEKS.observe(perf_counter() - self.asked_at)
        for answer, said in zip(self.answers, self.replies, strict=True):
            answer(said)


class Check(Batch):
    """A batch of one question: whether the server is a master."""

    __slots__ = ()

    @property
    @override
    def answered(self) -> bool:
        return bool(self.replies)

    @override
    def octets(self) -> bytes:
        """What asks it."""
        return ROLE + command(b"ECHO", self.nonce)

    @override
    def recognise(self, data: bytes, start: int) -> int:
        """It is read each time."""
        return 0

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


ROLE: Final = command(b"ROLE")


def is_master(reply: object) -> bool:
    """What a server replied to `ROLE`."""
    return isinstance(reply, list) and bool(reply) and reply[0] == b"master"


def read_fields(fields: Fields) -> Live | Ended:
    """What the fields of a record or tombstone say. Raises StoreUnavailable."""
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
    except (ValueError, AttributeError, TypeError):  # no number, or an error in a field
        raise StoreUnavailable from None
    raise StoreUnavailable  # a hash of ours without these was never written by us


def _seconds(ms: bytes) -> float:
    return int(ms) / 1000
