"""Finding and ending sessions for an operator: bounded in time and number, one at a time.

How the people of a front end are reached is the caller's: a store is opened around each deed.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from bff.config.load import Config, FrontEnd
from bff.config.store_url import StoreKind, parse_store_url
from bff.session.people import Listed, People
from bff.session.store import StoreUnavailable

T = TypeVar("T")

SECONDS: Final = 15.0  # for a deed with all that it waits for
READING: Final = 5.0  # of these for reading the index where nobody is named
MOST: Final = 2000  # sessions that are read then
CAUSE: Final = "by_an_operator"

Opening = Callable[[FrontEnd], AbstractAsyncContextManager[People]]


class Trouble(StrEnum):
    """Why a deed was not done, or not to its end."""

    STORE = "store"
    TIME = "time"
    MEMORY = "memory"
    FRONTEND = "frontend"


TROUBLES: Final[Mapping[Trouble, tuple[int, str]]] = {
    Trouble.STORE: (
        503,
        "The store does not answer, or does not let us. Try again: nothing is done twice.",
    ),
    Trouble.TIME: (503, "This took too long and was stopped. Try again: nothing is done twice."),
    Trouble.MEMORY: (
        409,
        "The store is memory:, which lives in a worker and cannot be asked from here.",
    ),
    Trouble.FRONTEND: (404, "There is no such front end."),
}


class NotDone(Exception):
    """A deed was not done, or not to its end."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Live sessions, the newest first; `cut`: there may be more than were read."""

    sessions: tuple[Listed, ...] = field(repr=False)
    cut: bool


class Desk:
    """The deeds. Each raises NotDone."""

    def __init__(self, config: Callable[[], Config], opening: Opening) -> None:
        self._config = config
        self._opening = opening
        self._turn = asyncio.Lock()  # a store is opened for each: a second operator waits

    def frontends(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(each.name for each in self._config().frontends)

    async def find(self, name: str, subject: str) -> Found:
        """The sessions of a person; of anybody, as far as they are read, if none is named."""

        async def find(people: People) -> Found:
            if subject:
                return Found(sessions=tuple(await people.listed(subject)), cut=False)
            listed, cut = await people.some(most=MOST, seconds=READING)
            return Found(sessions=tuple(listed), cut=cut)

        return await self._done(name, find)

    async def end(self, name: str, subject: str, handle: str) -> int:
        """End the session with that handle, or without one all of the person; how many lived."""

        async def end(people: People) -> int:
            listed = await people.listed(subject)
            if not handle:
                await people.end_all(subject, spared=None, cause=CAUSE)
                return len(listed)
            meant = [each for each in listed if each.entry.handle == handle]
            await people.end(meant, cause=CAUSE)
            return len(meant)

        return await self._done(name, end)

    async def _done(self, name: str, deed: Callable[[People], Coroutine[Any, Any, T]]) -> T:
        frontend = next((each for each in self._config().frontends if each.name == name), None)
        if frontend is None:
            raise NotDone(Trouble.FRONTEND)
        if parse_store_url(frontend.session.store.get_secret_value()).kind is StoreKind.MEMORY:
            raise NotDone(Trouble.MEMORY)
        try:
            async with asyncio.timeout(SECONDS), self._turn, self._opening(frontend) as people:
                return await deed(people)
        except TimeoutError:
            raise NotDone(Trouble.TIME) from None
        except StoreUnavailable:
            raise NotDone(Trouble.STORE) from None
