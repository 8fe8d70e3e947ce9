"""Answers' heads that have been read before: what the parser said of their octets, it would again.

Of one thing asked for again and again an upstream says the same head for a second at least, until
its Date is another. Where such an answer comes as one read, whole and alone, its head is found by
its octets, every one of them, and the parser is not asked a third time.
"""

from typing import Final

from msgspec import structs

from bff.again import Again
from bff.relay.framing import AnswerHead

HEADS_KEPT: Final = 512
OCTETS: Final = 2048  # of a head; a larger one is read anew each time
_END: Final = b"\r\n\r\n"

known: Final[Again[tuple[AnswerHead, int]]] = Again(HEADS_KEPT)


def head_in(data: bytes) -> bytes:
    """The head that a read begins with, if it ends within bounds; else nothing."""
    end = data.find(_END, 0, OCTETS)
    return data[: end + len(_END)] if end >= 0 else b""


def recognise(head: bytes, data: bytes) -> tuple[AnswerHead, bytes] | None:
    """The head and the body of a read that is one whole answer, if such a head was learnt."""
    found = known.get(head)
    if found is None or len(data) - len(head) != found[1]:
        return None
    return found[0], data[len(head) :]


def learn(head: bytes, read: AnswerHead, length: int) -> None:
    """Keep what the parser made of a head that comes again: of an answer with a body so long.

    After it the parser must be as it was before, or the next answer would not mean the same. What
    sets a cookie is one person's, and is not kept.
    """
    if read.status != 200 or any(name == b"set-cookie" for name, _ in read.headers):
        return
    if known.note(head):
        known.keep(head, (structs.replace(read, kept={}), length))
