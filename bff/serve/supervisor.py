"""The parent: it holds the sockets, keeps the workers alive, answers for them, and ends them.

SIGHUP: the file and the key files it names are read again, and the workers serve what they say
from the next request on; if anything is wrong with them nothing changes. What the environment
holds cannot change in a process that runs, and what the sockets and the door were made of needs a
restart.

A first SIGTERM or SIGINT: not ready at once, listening for `drain_delay` more, then everything
ends in order. A second one ends it at once.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn

from bff.config.load import Config, ConfigFaults
from bff.config.risks import risks
from bff.journal.log import Event, configure, crashed, tell
from bff.journal.metrics import Snapshot, joined, snapshot
from bff.operate.admin.admin import Admin
from bff.operate.admin.desk import Desk
from bff.operate.admin.history import EVERY, History, Sample, sample
from bff.operate.admin.overview import Known
from bff.operate.exposition import exposition
from bff.operate.health import Health, Operations
from bff.serve.keeper import Keeper
from bff.serve.listening import CannotListen, address, close, inherited, listen
from bff.serve.notify import READY, STOPPING, live, notify, reloading
from bff.serve.people import reaching
from bff.serve.reload import refuse_what_needs_a_restart
from bff.serve.running import Server

GRACE: Final = 3.0  # seconds beyond the deadline, before workers are killed


class Supervisor:
    """The sockets, the workers, the operations address. One `run` per object."""

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket],
        operations: list[socket.socket],
        read: Callable[[], Config],
    ) -> None:
        self._config = config
        self._read = read
        self._sockets = sockets
        self._operations = operations
        self._keepers: list[Keeper] = []
        self._first = asyncio.Event()
        self._second = asyncio.Event()
        self._history = History()

    async def run(self, workers: int) -> int:
        """Serve until a signal ends it; the exit status."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        admin = Admin(
            lambda: self._config.operate,
            self._known,
            Desk(lambda: self._config, reaching(lambda: self._config)),
        )
        health = Server(_settings(Operations(self.health, self.metrics, admin)))
        answering = asyncio.create_task(health.serve(sockets=self._operations))
        self._keepers = [Keeper(each, self._config, self._sockets) for each in range(workers)]
        keeping = [asyncio.create_task(keeper.keep()) for keeper in self._keepers]
        telling = [asyncio.create_task(self._tell_ready()), asyncio.create_task(live())]
        telling.append(asyncio.create_task(self._sample()))
        self._announce()
        await self._first.wait()
        notify(STOPPING)
        in_order = await self._end(keeping)
        health.should_exit = True
        await answering
        for task in telling:
            task.cancel()
        await asyncio.wait(telling)
        tell(Event.STOPPED, pid=os.getpid())
        return 0 if in_order else 1

    async def _tell_ready(self) -> None:
        """Every worker serves. Whether provider and store answer is for `/ready` to say."""
        await asyncio.gather(*(keeper.serving.wait() for keeper in self._keepers))
        notify(READY)

    def health(self) -> Health:
        """How the workers are."""
        return Health(
            workers=tuple(keeper.state() for keeper in self._keepers),
            draining=self._first.is_set(),
        )

    def metrics(self) -> bytes:
        """What the workers have counted, in Prometheus' text format."""
        return exposition(self._taken())

    def _taken(self) -> Snapshot:
        """Sessions that were ended from the admin page are counted here, in no worker."""
        return joined([*(keeper.metrics() for keeper in self._keepers), snapshot(())])

    def _known(self) -> Known:
        taken = self._taken()
        now = _sampled(taken)
        return Known(
            at=now.at, health=self.health(), taken=taken, samples=self._history.and_now(now)
        )

    async def _sample(self) -> None:
        """Remember what was counted, for the admin page; it may be switched on by a reload."""
        while True:
            self._history.add(_sampled(self._taken()))
            await asyncio.sleep(EVERY)

    def _signalled(self) -> None:
        (self._second if self._first.is_set() else self._first).set()

    def _reload(self) -> None:
        # READY would be untrue before every worker serves, and would take STOPPING back.
        tells = self._serves() and not self._first.is_set()
        if tells:
            notify(reloading())
        try:
            self._read_again()
        except Exception as error:  # noqa: BLE001 - as before, and it must be told
            crashed(error)
            tell(Event.RELOAD_REFUSED, reason=type(error).__name__, pid=os.getpid())
        if tells:
            notify(READY)

    def _serves(self) -> bool:
        return all(keeper.serving.is_set() for keeper in self._keepers)

    def _read_again(self) -> None:
        """Serve what the file says now, or say why that cannot be."""
        if self._first.is_set():
            tell(Event.RELOAD_REFUSED, reason="draining", pid=os.getpid())
            return
        try:
            config = self._read()
            refuse_what_needs_a_restart(self._config, config)
        except ConfigFaults as refused:
            for fault in refused.faults:
                tell(
                    Event.RELOAD_REFUSED,
                    reason=fault.text(),
                    key=fault.key,
                    mend=fault.mend,  # by itself: the whole may be longer than a field
                    pid=os.getpid(),
                )
            return
        self._config = config
        self._warn()
        for keeper in self._keepers:
            keeper.serve(config)
        tell(Event.RELOADED, pid=os.getpid(), kid=config.keyring.current.kid)

    def _warn(self) -> None:
        for risk in risks(self._config):
            tell(Event.WARNED, code=risk.code, key=risk.key)

    def _announce(self) -> None:
        self._warn()
        scheme = "http" if self._config.server.tls_key is None else "https"
        for each in self._sockets:
            tell(Event.STARTED, address=f"{scheme}://{address(each)}", pid=os.getpid())
        for each in self._operations:
            where = f"http://{address(each)}"
            tell(Event.STARTED, address=where, pid=os.getpid(), endpoint="operations")

    async def _end(self, keeping: list[asyncio.Task[None]]) -> bool:
        """End all workers; whether they ended in order."""
        for keeper in self._keepers:
            keeper.leave()
        await self._unless_second(asyncio.sleep(self._config.operate.drain_delay))
        close(self._sockets)
        for keeper in self._keepers:
            keeper.stop()
        patience = self._config.operate.stop_deadline + GRACE
        await self._unless_second(asyncio.wait(keeping, timeout=patience))
        in_order = all(task.done() for task in keeping)
        for keeper in self._keepers:
            keeper.kill()
        await asyncio.gather(*keeping)
        return in_order

    async def _unless_second(self, work: Awaitable[object]) -> None:
        """Wait for the work, or for a second signal if that comes first."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self._second.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _sampled(taken: Snapshot) -> Sample:
    return sample(taken, time.time())  # noqa: TID251 - read by people, decides nothing


def serve(config: Config, *, host: str, port: int, workers: int, read: Callable[[], Config]) -> int:
    """Run the supervisor; the exit status. `read` reads the file again. Raises CannotListen."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a loop to hear it
    sockets, operations = inherited()
    try:
        sockets = sockets or listen(host, port, option="--host or --port")
        operations = operations or listen(*config.operate.listen, option="listen in [operate]")
    except CannotListen:
        close(sockets)
        raise
    configure(human=sys.stdout.isatty())

    async def run() -> int:
        return await Supervisor(config, sockets, operations, read).run(workers)

    return asyncio.run(run())


def _settings(app: Operations) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
