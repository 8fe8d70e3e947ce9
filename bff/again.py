"""What was worked out and is wanted again: kept as long as it is in use, and no longer.

Two generations: what was used since the last `age`, and what was used before that only. With each
`age` the second goes. So what nobody uses is let go of, secrets in it as well, and a worker is as
large as what it did of late and not as what it has ever done.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import Final, Generic, TypeVar

from typing_extensions import override

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


SHORT: Final = 64  # octets; nearly all names and types that anybody sends


def remembered(
    most: int, octets: int = SHORT
) -> Callable[[Callable[[bytes], Value]], Callable[[bytes], Value]]:
    """As `lru_cache`, of arguments of so many octets at most; a longer one is worked out anew.

    For what is the same for ever: else long texts of anybody's would stay for as long.
    """

    def of(work: Callable[[bytes], Value]) -> Callable[[bytes], Value]:
        kept = lru_cache(maxsize=most)(work)

        @wraps(work)
        def found(text: bytes) -> Value:
            return kept(text) if len(text) <= octets else work(text)

        return found

    return of


class Recent(Generic[Key, Value]):
    """So many values at most in a generation; one more, and it is the elder at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._young) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """The value that is kept."""
        value = self._young.get(key)
        if value is None and (value := self._old.pop(key, None)) is not None:
            self.keep(key, value)
        return value

    def keep(self, key: Key, value: Value) -> None:
        """Keep the value."""
        if len(self._young) >= self._most:
            self.age()
        self._young[key] = value

    def age(self) -> None:
        """Let go of what was not used since the last time."""
        self._old, self._young = self._young, {}

    def forget(self) -> None:
        """Let go of all of them."""
        self._young.clear()
        self._old.clear()


class Again(Recent[bytes, Value]):
    """The same, of what has come twice: of what never comes again, nothing is worth the memory."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        # Hashes: a wrong guess costs one place, and no more.
        self._noted: Recent[int, bool] = Recent(most)

    def note(self, octets: bytes) -> bool:
        """Note that they have come; whether they had before, so that a value is worth keeping."""
        mark = hash(octets)
        if self._noted.get(mark):
            return True
        self._noted.keep(mark, True)
        return False

    @override
    def age(self) -> None:
        super().age()
        self._noted.age()

    @override
    def forget(self) -> None:
        super().forget()
        self._noted.forget()
