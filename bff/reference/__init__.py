"""The parts of the manual's reference that are made from what the code itself says.

A page holds them between two comments, amid prose of its own; `make reference` makes them anew, and
a test compares. Above all other rooms, so that it may read each; nothing that serves imports it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from bff.reference.commands import commands
from bff.reference.configuration import configuration
from bff.reference.endpoints import endpoints
from bff.reference.metrics import buckets, metrics
from bff.reference.presets import presets
from bff.reference.reasons import reasons

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "buckets": buckets,
    "commands": commands,
    "configuration": configuration,
    "endpoints": endpoints,
    "metrics": metrics,
    "presets": presets,
    "reasons": reasons,
}
_PART: Final = re.compile(r"(<!-- made: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def named(page: str) -> list[str]:
    """The parts that a page holds."""
    return [found[2] for found in _PART.finditer(page)]


def renewed(page: str) -> str:
    """The page with its parts as the code has them now. Raises KeyError for a name unknown."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", page)
