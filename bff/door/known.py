"""Heads that have been read before: what the parser said of their octets, it would say again.

A browser asks again and again with the same method and header section, of one target or another.
Where such a head comes as one read, whole and alone, its section is found by its octets, every one
of them, and neither the parser nor the judge of sections is asked a second time.
"""

import re
from collections import OrderedDict
from typing import Final

from bff.caller.request import SECTIONS_KEPT, Section

OCTETS: Final = 4096  # of a whole head; a larger one is read anew each time

# Octets that mean the same to the parser, whichever they are (RFC 9112 §3.2.1).
_TARGET: Final = re.compile(rb"/[\x21-\x22\x24-\x7e]*")

_known: Final[OrderedDict[tuple[bytes, bytes], Section]] = OrderedDict()


def recognise(data: bytes) -> tuple[Section, bytes] | None:
    """The section and the target of octets that are one head, if the like was learnt."""
    if len(data) > OCTETS:
        return None
    method, _, rest = data.partition(b" ")
    target, _, rest = rest.partition(b" ")
    section = _known.get((method, rest))
    if section is None or not _TARGET.fullmatch(target):
        return None
    return section, target


def learn(data: bytes, section: Section) -> None:
    """Keep what the parser made of these octets: one request of HTTP/1.1, which has no body.

    After it the parser must be as it was before, or the next head would not mean the same.
    """
    method, _, rest = data.partition(b" ")
    target, _, rest = rest.partition(b" ")
    whole = method == section.method.encode() and rest.startswith(b"HTTP/1.1\r\n")
    if len(data) > OCTETS or not whole or not _TARGET.fullmatch(target):
        return
    _known[method, rest] = section
    if len(_known) > SECTIONS_KEPT:
        _known.popitem(last=False)


def forget_heads() -> None:
    """Let go of all that was learnt."""
    _known.clear()
