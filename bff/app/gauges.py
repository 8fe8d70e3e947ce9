"""What of a Site is measured rather than counted: how much is open just now."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from bff.app.site import Site
from bff.journal.metrics import (
    IN_FLIGHT,
    LOOP_LAG,
    REVOCATIONS,
    STREAMS,
    UPSTREAM_CONNECTIONS,
    Gauge,
    timed,
)
from bff.relay.authorize import Relay
from bff.session.store import StoreUnavailable

LAG_EVERY: Final = 0.5  # seconds


def gauges(site: Site, leaving: Iterable[Site]) -> Iterator[Gauge]:
    """What is open in this process: streams may live on for a day at sites that are `leaving`."""
    yield IN_FLIGHT, (), site.crowd.requests.taken
    yield STREAMS, (), site.crowd.streams.taken
    held: Counter[tuple[str, str, str]] = Counter()
    for each in (site, *leaving):
        for name, front in each.fronts.items():
            for route, way in front.ways.items():
                if isinstance(way, Relay):
                    idle, busy = way.upstream.held
                    held[name, route, "idle"] += idle
                    held[name, route, "busy"] += busy
    for labels, connections in held.items():
        yield UPSTREAM_CONNECTIONS, labels, connections


async def queued(site: Site) -> list[Gauge]:
    """What waits in the stores; nothing of one that does not answer."""
    found: list[Gauge] = []
    for name, each in site.fronts.items():
        try:
            length = await each.front.sessions.queued_revocations()
        except StoreUnavailable:
            continue
        found.append((REVOCATIONS, (name,), length))
    return found


async def watch_loop() -> None:
    """For ever: how late does a timer come?"""
    loop, lag = asyncio.get_running_loop(), timed(LOOP_LAG)
    while True:
        due = loop.time() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        lag.observe(max(0.0, loop.time() - due))
