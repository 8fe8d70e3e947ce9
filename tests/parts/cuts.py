"""Octets that arrive in other pieces than they were sent in: as a network may, but told how."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Cuts:
    """How large the pieces are, over and over; none: as they come."""

    sizes: list[int] = field(default_factory=list)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if not self.sizes:
            yield data
            return
        at = 0
        for size in itertools.cycle(self.sizes):
            if at >= len(data):
                return
            yield data[at : at + size]
            at += size


@contextlib.contextmanager
def cutting(protocol: type[Any], is_open: Callable[[Any], bool]) -> Iterator[Cuts]:
    """Every connection of that class is told what it receives in the pieces of the Cuts."""
    cuts = Cuts()
    whole = protocol.data_received

    def data_received(self: Any, data: bytes) -> None:
        for piece in cuts.pieces(data):
            if is_open(self):
                whole(self, piece)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "data_received", data_received)
        yield cuts
