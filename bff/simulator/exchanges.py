"""The last exchanges between browser, BFF, provider and API, for whoever wants to see the protocol.

Of a token only its claims are kept, never the token. The provider writes what it is asked; what
goes on elsewhere is told by whoever sees it: `bff dev`.
"""

import asyncio
import base64
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from starlette.responses import Response

Party = Literal["browser", "bff", "provider", "api"]
Claims = Mapping[str, Any]

KEPT: Final = 200
TOKENS: Final = ("id_token", "access_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer."""

    source: Party
    target: Party
    what: str  # in words: a method and a path without its query, or an endpoint
    status: int | None  # None: no answer
    note: str = ""  # what became of it
    at: float  # when it began: seconds since the epoch
    seconds: float
    claims: Mapping[str, Claims] = field(default_factory=dict)  # by the token that says so
    number: int = 0


class Exchanges:
    """The last ones, and who is told of each new one."""

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)
        self._listening: set[asyncio.Queue[Exchange | None]] = set()

    def add(self, exchange: Exchange) -> None:
        """Keep one, and tell it."""
        numbered = replace(exchange, number=next(self._numbers))
        self._kept.append(numbered)
        for queue in self._listening:
            queue.put_nowait(numbered)

    def report(self) -> list[Exchange]:
        """Those that are kept, in the order in which they ended."""
        return list(self._kept)

    async def follow(self) -> AsyncIterator[Exchange]:
        """Those that are kept, then each new one, until `close`."""
        queue: asyncio.Queue[Exchange | None] = asyncio.Queue()
        for exchange in self._kept:
            queue.put_nowait(exchange)
        self._listening.add(queue)
        try:
            while (told := await queue.get()) is not None:
                yield told
        finally:
            self._listening.discard(queue)

    def clear(self) -> None:
        """Forget them."""
        self._kept.clear()

    def close(self) -> None:
        """Tell those who listen that nothing more will come."""
        for queue in self._listening:
            queue.put_nowait(None)


def claims_in(response: Response) -> dict[str, Claims]:
    """What the tokens of a token response say; an opaque one says nothing."""
    found: dict[str, Claims] = {}
    with suppress(ValueError, RecursionError):
        document = json.loads(bytes(response.body))
        if isinstance(document, dict):
            for name in TOKENS:
                said = _payload(document.get(name))
                if said is not None:
                    found[name] = said
    return found


def _payload(token: object) -> Claims | None:
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        return None
    with suppress(ValueError):
        octets = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        said = json.loads(octets)
        return said if isinstance(said, dict) else None
    return None
