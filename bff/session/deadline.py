"""One call to a store: within its deadline, repeated once if the connection broke.

Repeating is safe because every write carries a token that the store knows again. The libraries'
own retries stay off: ten repeats of a lost answer turn a stored write into a refusal.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeVar

from bff.journal.metrics import STORE_ERRORS, STORE_SECONDS, count, timed
from bff.session.store import OutcomeUnknown, StoreUnavailable

T = TypeVar("T")


class ConnectionLost(Exception):
    """The connection broke, or an answer cannot be trusted; whether it was done is unknown."""


class NotDone(ConnectionLost):
    """The store was not reached, or said no before it did anything."""


async def within(
    seconds: float, ask: Callable[[], Awaitable[T]], *, operation: str, writes: bool
) -> T:
    """The answer of `ask`, asked at most twice in `seconds`. Raises StoreUnavailable and kin."""
    began_at = perf_counter()
    try:
        return await _within(seconds, ask, writes=writes)
    except StoreUnavailable:
        count(STORE_ERRORS, operation)
        raise
    finally:
        timed(STORE_SECONDS, operation).observe(perf_counter() - began_at)


async def _within(seconds: float, ask: Callable[[], Awaitable[T]], *, writes: bool) -> T:
    unknown = OutcomeUnknown if writes else StoreUnavailable
    failed = unknown
    try:
        async with asyncio.timeout(seconds):
            try:
                return await ask()
            except NotDone:
                failed = StoreUnavailable
            except ConnectionLost:
                pass
            return await ask()
    # `from None`: the libraries' errors name addresses and may quote a command.
    except NotDone:
        raise failed from None
    except (ConnectionLost, TimeoutError):
        raise unknown from None
