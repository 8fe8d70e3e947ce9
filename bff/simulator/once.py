"""What may be used once: who has seen it before."""


class Once:
    """Names by kind; in memory, until a reset."""

    def __init__(self) -> None:
        self._used: set[tuple[str, ...]] = set()

    def use(self, *name: str) -> bool:
        """Whether this is the first time."""
        if name in self._used:
            return False
        self._used.add(name)
        return True
