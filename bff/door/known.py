"""Heads that have been read before: what the parser said of their octets, it would say again.

A browser asks again and again with the same method and header section, of one target or another.
Where such a head comes as one read, whole and alone, its section is found by its octets, every one
of them, and neither the parser nor the judge is asked a third time.
"""

from collections.abc import Mapping
from typing import Final

from bff.again import Again
from bff.caller.request import SECTIONS_KEPT, Section
from bff.door.head import ORIGIN_FORM, frontend_of

OCTETS: Final = 4096  # of a whole head: within every bound that the door sets

known: Final[Again[Section]] = Again(SECTIONS_KEPT)


def split(data: bytes) -> tuple[bytes, bytes] | None:
    """A read without the target of its first line, and that target; None: it is not looked up.

    The target has octets that mean the same to the parser, whichever they are.
    """
    if len(data) > OCTETS:
        return None
    method, _, rest = data.partition(b" ")
    target, _, rest = rest.partition(b" ")
    return (b"%s %s" % (method, rest), target) if ORIGIN_FORM.fullmatch(target) else None


def learn(octets: bytes, section: Section, hosts: Mapping[bytes, str]) -> None:
    """Keep what the parser made of octets that `split` left: one request, which has no body.

    After it the parser must be as it was before, or the next head would not mean the same. Its host
    must have been found among those `hosts`.
    """
    if octets.startswith(section.method.encode() + b" HTTP/1.1\r\n") and known.note(octets):
        section.hosts, section.frontend = hosts, frontend_of(section, hosts)
        known.keep(octets, section)
