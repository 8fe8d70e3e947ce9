"""Traces by OpenTelemetry's SDK to a collector (OTLP over HTTP): the extra `bff[otel]`.

The one room that knows the SDK, and loads it only where `operate.traces` names a collector.
"""

import asyncio
import contextlib
import logging
from threading import Thread
from typing import TYPE_CHECKING, Final

from bff.config.model import Operate
from bff.journal import trace

if TYPE_CHECKING:
    from bff.serve.otlp import Exporting

SECONDS: Final = 2.0  # what a collector that is slow may take of a stop


class Traces:
    """What this process tells a collector, as the configuration now says."""

    def __init__(self) -> None:
        self._wanted: tuple[str | None, float] = (None, 0.0)
        self._exporting: Exporting | None = None

    async def renew(self, operate: Operate) -> None:
        """Trace as this configuration says, from the next request on."""
        wanted = (operate.traces, operate.trace_ratio)
        if wanted == self._wanted:
            return
        await self.close()
        self._wanted = wanted
        if operate.traces is not None:
            # Here and not above: who does not trace need not have it.
            from bff.serve.otlp import Exporting

            for name in ("opentelemetry", "urllib3", "requests"):  # they quote URLs and answers
                logging.getLogger(name).setLevel(logging.CRITICAL)
            self._exporting = Exporting(operate.traces, operate.trace_ratio)
            trace.use(self._exporting)

    async def close(self) -> None:
        """Tell what is left, and no more."""
        trace.use(None)
        former, self._exporting = self._exporting, None
        self._wanted = (None, 0.0)
        if former is None:
            return
        # A thread that nothing waits for longer than that: the SDK's own patience is half a minute.
        closed, loop = asyncio.Event(), asyncio.get_running_loop()
        Thread(target=_close, args=(former, loop, closed), daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), SECONDS)


def _close(former: "Exporting", loop: asyncio.AbstractEventLoop, closed: asyncio.Event) -> None:
    former.close()
    with contextlib.suppress(RuntimeError):  # the loop is over: nobody waits any more
        loop.call_soon_threadsafe(closed.set)
