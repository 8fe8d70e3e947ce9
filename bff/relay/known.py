"""Answers' heads that have been read before: what the parser said of their octets, it would again.

Of one thing asked for again and again an upstream says the same head for a second at least, until
its Date is another. Where such an answer comes as one read, whole and alone, its head is found by
its octets, every one of them, and the parser is not asked a second time.
"""

from collections import OrderedDict
from typing import Final

from bff.relay.framing import AnswerHead

HEADS_KEPT: Final = 512
OCTETS: Final = 2048  # of a head; a larger one is read anew each time
_END: Final = b"\r\n\r\n"

_known: Final[OrderedDict[bytes, tuple[AnswerHead, int]]] = OrderedDict()


def recognise(data: bytes) -> tuple[AnswerHead, bytes] | None:
    """The head and the body of octets that are one whole answer, if such a head was learnt."""
    end = data.find(_END, 0, OCTETS) + len(_END)
    known = _known.get(data[:end])
    if known is None or len(data) - end != known[1]:
        return None
    return known[0], data[end:]


def learn(data: bytes, head: AnswerHead, length: int) -> None:
    """Keep what the parser made of these octets: one answer, whose body has that length.

    After it the parser must be as it was before, or the next answer would not mean the same. What
    sets a cookie is one person's, and is not kept.
    """
    end = data.find(_END, 0, OCTETS) + len(_END)
    if len(data) - end != length or head.status != 200:
        return  # another end of the head than that, or of no use
    if any(name == b"set-cookie" for name, _ in head.headers):
        return
    _known[data[:end]] = head, length
    if len(_known) > HEADS_KEPT:
        _known.popitem(last=False)


def forget_answers() -> None:
    """Let go of all that was learnt, and of what others keep with it."""
    _known.clear()
