"""How long a refresh may take at most, and what must therefore last as long: lease and stop.

Shared by the check of a file and by the refresh itself, so that they cannot fall apart. Seconds
throughout; both arguments are the configured time-outs.
"""

from collections.abc import Iterator
from math import ceil

from bff.config.faults import Fault


def refresh_budget(total_timeout: float, store_deadline: float) -> float:
    """From the moment a refresh token is presented to the moment its successor is stored.

    One whole exchange for the token request, one for the keys that verify its ID token, one write.
    """
    return 2 * total_timeout + store_deadline


def shortest_lease(total_timeout: float, store_deadline: float) -> float:
    """The budget, and what the answer to the request for the lease may take of it."""
    return refresh_budget(total_timeout, store_deadline) + store_deadline


def lease_seconds(configured: float | None, total_timeout: float, store_deadline: float) -> float:
    """The configured length, or one that fits, with room for a write that is asked for again."""
    if configured is not None:
        return configured
    return refresh_budget(total_timeout, store_deadline) + 4 * store_deadline


def check_lease(
    configured: float | None, total_timeout: float, store_deadline: float
) -> Iterator[Fault]:
    """A lease that lapses while its owner is at it would let another present the same token."""
    shortest = shortest_lease(total_timeout, store_deadline)
    if configured is not None and configured < shortest:
        yield Fault(
            key="refresh.lease",
            message="is shorter than a refresh may take: a token could be presented twice",
            mend=f"write {ceil(shortest)}s or more, or shorten provider.total_timeout",
        )


def check_stop(
    stop_deadline: float, total_timeout: float, store_deadline: float
) -> Iterator[Fault]:
    """A refresh that a stop cuts off may lose the tokens that the provider has just granted."""
    longest = shortest_lease(total_timeout, store_deadline)
    if stop_deadline < longest:
        yield Fault(
            key="operate.stop_deadline",
            message="is shorter than a refresh may take: a stop could cost a session",
            mend=f"write {ceil(longest)}s or more, or shorten provider.total_timeout",
        )
