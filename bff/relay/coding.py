"""Which content coding of a file a browser would have (RFC 9110 §12.5.3).

Pure. Nothing is compressed here: what lies beside a file with the suffix of a coding is that file
in that coding.
"""

import re
from collections.abc import Mapping
from typing import Final

SUFFIXES: Final[Mapping[str, str]] = {"br": ".br", "gzip": ".gz"}  # by our own liking
IDENTITY: Final = "identity"

_LONGEST: Final = 1024  # octets; nobody means more than that
_MEMBER: Final = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?))?[ \t]*"
)


def codings(accept_encoding: bytes | None) -> tuple[str, ...]:
    """The codings to look for, the one to look for first in front; `identity` is one of them.

    Empty, or without `identity`: what is not there in one of these may go out as it is all the
    same, as if the field had not been sent (RFC 9110 §12.4.1).
    """
    if accept_encoding is None or len(accept_encoding) > _LONGEST:
        return (IDENTITY,)
    weights = _weights(accept_encoding.decode("latin-1"))
    others = weights.get("*", 0.0)
    found = [(weights.get(name, others), name) for name in SUFFIXES]
    # Not named, plain octets are welcome, and the least of what is.
    found.append((weights.get(IDENTITY, weights.get("*", 0.0005)), IDENTITY))
    # Sorting is stable: of what they like the same, ours comes first.
    return tuple(name for weight, name in sorted(found, key=lambda each: -each[0]) if weight)


def _weights(text: str) -> dict[str, float]:
    """Each coding that is named, with its weight; one that cannot be read is not wanted."""
    found: dict[str, float] = {}
    for member in text.split(","):
        read = _MEMBER.fullmatch(member)
        if read is not None:
            name = read[1].lower()
            found["gzip" if name == "x-gzip" else name] = min(float(read[2] or 1), 1.0)
    return found
