"""What was worked out of octets that come again: kept under those octets, every one of them.

Only what has come twice is kept. Of what never comes again, nothing is worth the memory.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Again(Generic[Value]):
    """So many values at most; the oldest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Value] = OrderedDict()
        self._noted: set[int] = set()  # hashes: a wrong guess costs one place, and no more

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def get(self, octets: bytes) -> Value | None:
        """The value that is kept."""
        return self._kept.get(octets)

    def note(self, octets: bytes) -> bool:
        """Note that they have come; whether they had before, so that a value is worth keeping."""
        mark = hash(octets)
        if mark in self._noted:
            return True
        if len(self._noted) >= self._most:
            self._noted.clear()
        self._noted.add(mark)
        return False

    def keep(self, octets: bytes, value: Value) -> None:
        """Keep the value."""
        self._kept[octets] = value
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self) -> None:
        """Let go of all of them."""
        self._kept.clear()
        self._noted.clear()
