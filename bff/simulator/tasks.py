"""The tasks that the small API keeps, in memory."""

import itertools
from typing import Final

import msgspec

from bff.simulator.feed import now

SAMPLES: Final = (
    ("Read the token endpoint's answer", True),
    ("Look for a token in the browser", False),
    ("Give up looking", False),
)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list; `created` is an RFC 3339 time."""

    id: int
    title: str
    done: bool
    created: str


class Tasks:
    """Everybody's tasks, in memory."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._of_person: dict[str, dict[int, Task]] = {}

    def of(self, sub: str) -> dict[int, Task]:
        """One person's tasks by id; a new person begins with samples."""
        if sub not in self._of_person:
            self._of_person[sub] = {}
            for title, done in SAMPLES:
                self.add(sub, title, done=done)
        return self._of_person[sub]

    def add(self, sub: str, title: str, *, done: bool = False) -> Task:
        """The new task."""
        task = Task(id=next(self._numbers), title=title, done=done, created=now())
        self.of(sub)[task.id] = task
        return task
