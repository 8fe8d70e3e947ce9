"""People of a front end within reach of the supervisor, which has no store otherwise.

A site of its own is built around each deed, as `bff sessions` does it: asking a worker would need
answers and their deadlines on the control channel, and a worker that hangs would have to be
noticed on the way, when an operator needs the page most.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from bff.app import build, close_site
from bff.config.load import Config, FrontEnd
from bff.session.people import People


def reaching(
    config: Callable[[], Config],
) -> Callable[[FrontEnd], AbstractAsyncContextManager[People]]:
    """Opens the store that the configuration names at that time. Raises StoreUnavailable."""

    @asynccontextmanager
    async def reach(frontend: FrontEnd) -> AsyncIterator[People]:
        site = build(config(), {})
        try:
            front = site.fronts[frontend.name].front
            await front.sessions.store.ping()  # sets the clock
            yield front.people
        finally:
            await close_site(site, frontend.session.store_deadline)

    return reach
