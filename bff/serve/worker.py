"""One worker: `python -m bff.serve.worker CONTROL LISTENER…`, file descriptors it inherits.

It serves until the supervisor says stop or is gone. Signals mean nothing to it: a service manager
may send them to the whole group, and the supervisor alone knows when listening ends.
"""

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from typing import Final

import uvloop

from bff.app import Application
from bff.app.gauges import gauges, queued, watch_loop
from bff.config.load import Config
from bff.journal.log import Event, configure, crashed, tell
from bff.journal.metrics import Gauge, snapshot
from bff.serve.control import LEAVE, SECONDS, Channel, config_of, report_line
from bff.serve.running import Running

CRASHED: Final = "crashed"  # a trouble: whether there are others cannot be known

State = tuple[list[str], list[Gauge]]  # the troubles, and what waits in the stores


async def work(control: socket.socket, sockets: list[socket.socket]) -> None:
    """Serve what the supervisor says, until it says stop."""
    channel = await Channel.over(control)
    config = await _configuration(channel)
    if config is not None:
        application = Application(config)
        running = Running(config, application)
        await running.start(sockets)
        # What is here now stays: the collector need not walk over it again and again, nor come
        # every few requests, each of which leaves a handful of cycles.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        reports = asyncio.create_task(_report(application, channel))
        heeding = asyncio.create_task(_heed(running, channel))
        watching = asyncio.create_task(watch_loop())
        await asyncio.wait([heeding, reports], return_when=asyncio.FIRST_COMPLETED)
        if heeding.done():
            heeding.result()
        if reports.done():
            reports.result()  # it has no end but an exception
        await running.stop()
        for task in (heeding, reports, watching):
            task.cancel()
        await asyncio.wait([heeding, reports, watching])
    channel.close()


async def _configuration(channel: Channel) -> Config | None:
    """The next configuration to serve, or None: it is time to stop, or the parent is gone."""
    line = await channel.read()
    return None if line is None else config_of(line)


async def _heed(running: Running, channel: Channel) -> None:
    """Serve what the supervisor says, until it says stop."""
    while (line := await channel.read()) is not None:
        if line == LEAVE:
            running.leave()
            continue
        config = config_of(line)
        if config is None:
            return
        # The files that it names may have changed since the supervisor read them.
        try:
            await running.swap(config)
        except OSError as error:
            crashed(error)  # nothing has been swapped: a site is built whole, or not at all
            continue
        try:
            running.renew_certificate()
        except OSError as error:
            crashed(error)
        tell(Event.RELOADED, pid=os.getpid(), kid=config.keyring.current.kid)


async def _report(application: Application, channel: Channel) -> None:
    """Say once a second how the application is.

    That a line comes at all says that the loop runs, so a slow answer of the store or the
    provider must not hold it up.
    """
    troubles = ["starting"]
    waiting: list[Gauge] = []
    asking = asyncio.create_task(_asked(application))
    try:
        while True:
            done, _ = await asyncio.wait([asking], timeout=SECONDS)
            if done:
                troubles, waiting = heard(asking, troubles, waiting)
            taken = snapshot([*gauges(application.site, application.leaving), *waiting])
            await channel.write(report_line(troubles, taken))
            if done:
                await asyncio.sleep(SECONDS)
                asking = asyncio.create_task(_asked(application))
    finally:
        asking.cancel()


async def _asked(application: Application) -> State:
    """What has to be asked of others: why it is not ready, and what waits in the store."""
    return await application.troubles(), await queued(application.site)


def heard(asking: asyncio.Task[State], troubles: list[str], waiting: list[Gauge]) -> State:
    """What was found; what was known before, if the question was taken back.

    That happens when the site it was put to is closed: another is served, and is asked next.
    """
    if asking.cancelled():
        return troubles, waiting
    if (error := asking.exception()) is not None:
        crashed(error)
        return [CRASHED], waiting
    return asking.result()


def main(descriptors: list[int]) -> int:
    """Serve on those descriptors; the exit status."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    configure(human=sys.stdout.isatty())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the soft limit is for select()
    control, *sockets = (socket.socket(fileno=each) for each in descriptors)
    try:
        uvloop.run(work(control, sockets))
    except Exception as error:  # noqa: BLE001 - told without its message, and the process ends
        crashed(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main([int(each) for each in sys.argv[1:]]))
