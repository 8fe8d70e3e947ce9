"""One call to a store: within its deadline, repeated once if the connection broke.

Repeating is safe because every write carries a token that the store knows again. The libraries'
own retries stay off: ten repeats of a lost answer turn a stored write into a refusal.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bff.session.store import OutcomeUnknown, StoreUnavailable

T = TypeVar("T")


class ConnectionLost(Exception):
    """The connection broke, or an answer cannot be trusted; whether it was done is unknown."""


async def within(seconds: float, ask: Callable[[], Awaitable[T]], *, writes: bool) -> T:
    """The answer of `ask`, asked at most twice in `seconds`. Raises StoreUnavailable and kin."""
    try:
        async with asyncio.timeout(seconds):
            try:
                return await ask()
            except ConnectionLost:
                return await ask()
    except (ConnectionLost, TimeoutError):
        # `from None`: the libraries' errors name addresses and may quote a command.
        raise (OutcomeUnknown if writes else StoreUnavailable)() from None
