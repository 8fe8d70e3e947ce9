"""What a claim of a signed token says, if it has the type that it must have."""

from collections.abc import Mapping
from typing import Final

Claims = Mapping[str, object]

_MAX_TIME: Final = 1e12  # beyond any date


def number_of(value: object) -> float | None:
    """The number, as times are; None for all else, also for what is no date any more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -_MAX_TIME <= value <= _MAX_TIME else None


def text_of(value: object) -> str | None:
    """The string, or None."""
    return value if isinstance(value, str) else None


def audiences_of(claims: Claims) -> frozenset[str]:
    """The audiences, a single one perhaps without a list (RFC 7519 §4.1.3); none if malformed."""
    aud = claims.get("aud")
    listed = aud if isinstance(aud, list) else [aud]
    texts = [each for each in listed if isinstance(each, str)]
    return frozenset(texts if len(texts) == len(listed) else [])
