"""One place for a worker: a process stands in it, and when it dies another takes its place.

A worker that dies at once is replaced later and later, so that a broken start does not eat the
machine; one that has lived a while is replaced at once.
"""

import asyncio
import contextlib
import errno
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from typing import Final

from bff.config.load import Config
from bff.journal.log import Event, tell
from bff.journal.metrics import Snapshot, joined, lasting
from bff.operate.health import Worker
from bff.serve.control import LEAVE, STOP, Channel, metrics_of, serve_line, troubles_of

LIVED: Final = 10.0  # seconds after which a death is not the start's fault
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0
TICK: Final = 1.0  # seconds between two looks at whether a worker has spoken
HUNG: Final = 30.0  # seconds of silence after which a worker is ended: another can serve


def pause(lived: float, before: float) -> float:
    """Seconds to wait before the next start; `before`: how long the last wait was."""
    if lived >= LIVED:
        return 0.0
    return min(LONGEST_PAUSE, max(FIRST_PAUSE, before * 2))


class Keeper:
    """Keeps one worker running until `stop`."""

    def __init__(self, number: int, config: Config, sockets: list[socket.socket]) -> None:
        self._number = number
        self._config = config
        self._sockets = sockets
        self._leaving = False
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._process: Process | None = None
        self._troubles: tuple[str, ...] = ()
        self._heard_at: float | None = None
        self.serving = asyncio.Event()  # set when a worker has been heard for the first time
        self._taken: Snapshot = {}  # of the process that stands here
        self._departed: Snapshot = {}  # of those that stood here before: counters never go back

    def metrics(self) -> Snapshot:
        """What has been counted in this place, as far as it has been heard."""
        return joined((self._departed, self._taken))

    def state(self) -> Worker:
        """How the worker is."""
        now = asyncio.get_running_loop().time()
        return Worker(
            worker=self._number,
            pid=None if self._process is None else self._process.pid,
            troubles=self._troubles,
            heard=None if self._heard_at is None else now - self._heard_at,
        )

    def serve(self, config: Config) -> None:
        """Let the worker serve that instead, and all that come after it."""
        self._config = config
        self._news.set()

    def leave(self) -> None:
        """Let the worker serve on, and close each connection with its next answer."""
        self._leaving = True
        self._news.set()

    def stop(self) -> None:
        """Let the worker end in order, and start no other."""
        self._stopping.set()
        self._news.set()

    def kill(self) -> None:
        """End the worker at once, and start no other."""
        self._stopping.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def keep(self) -> None:
        """Start a worker, and another whenever one ends; until `stop`."""
        wait = 0.0
        while not self._stopping.is_set():
            wait = pause(await self._stint(), wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)

    async def _stint(self) -> float:
        """Let one worker live, and tell of its end; for how many seconds it lived."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        try:
            code = await self._one()
        except (OSError, RuntimeError) as error:
            # The machine is short of something, which passes; the place is not given up.
            tell(Event.WORKER_DIED, worker=self._number, seconds=0.0, error=_lacking(error))
            return 0.0
        lived = loop.time() - started_at
        if not self._stopping.is_set():
            tell(Event.WORKER_DIED, worker=self._number, code=code, seconds=round(lived, 1))
        return lived

    async def _one(self) -> int:
        """Run one worker to its end; its exit status, negative for the signal that ended it.

        Raises OSError or RuntimeError if none can be started.
        """
        process, channel = await self._start()
        self._process = process
        tasks = [
            asyncio.create_task(self._talk(channel)),
            asyncio.create_task(self._end_hung(process)),
        ]
        try:
            return await process.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            channel.close()
            self._process, self._heard_at = None, None
            self._departed = joined((self._departed, lasting(self._taken)))
            self._taken = {}

    async def _start(self) -> tuple[Process, Channel]:
        """A new worker and the channel to it. Raises OSError or RuntimeError.

        A process that was started all the same ends by itself: nobody holds its channel.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = [theirs.fileno(), *(each.fileno() for each in self._sockets)]
            try:
                process = await asyncio.create_subprocess_exec(
                    *command(),
                    *(str(each) for each in descriptors),
                    pass_fds=descriptors,
                    stdin=DEVNULL,
                    # Ctrl-C goes to the whole group of the terminal; the workers are not of it.
                    process_group=0,
                )
            except (OSError, RuntimeError):
                ours.close()
                raise
        return process, await Channel.over(ours)

    async def _end_hung(self, process: Process) -> None:
        """End a worker whose event loop does not turn any more: it holds connections for nothing.

        One that has not been heard yet is starting, or waits for a slow machine. Silence is counted
        in ticks of our own and not by the clock: while the whole container was frozen nobody could
        speak, and when it goes on we may well be the first to look.
        """
        heard_at, silent = self._heard_at, 0.0
        while self._heard_at is None or silent <= HUNG:
            await asyncio.sleep(TICK)
            silent = silent + TICK if self._heard_at == heard_at else 0.0
            heard_at = self._heard_at
        tell(Event.WORKER_HUNG, worker=self._number, pid=process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    async def _talk(self, channel: Channel) -> None:
        listening = asyncio.create_task(self._listen(channel))
        said: Config | None = None
        try:
            while True:
                self._news.clear()
                if said is not self._config:
                    said = self._config
                    await channel.write(serve_line(said))
                if self._leaving:
                    await channel.write(LEAVE)
                if not self._stopping.is_set():
                    await self._news.wait()
                if self._stopping.is_set():
                    break
            await channel.write(STOP)
            await listening
        finally:
            listening.cancel()

    async def _listen(self, channel: Channel) -> None:
        while (line := await channel.read()) is not None:
            self._troubles = tuple(troubles_of(line))
            self._taken = metrics_of(line)
            self._heard_at = asyncio.get_running_loop().time()
            self.serving.set()


def _lacking(error: OSError | RuntimeError) -> str:
    """Why no process could be started, as the system calls it."""
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return errno.errorcode[errno.EAGAIN]  # Python 3.11 waits for a child in a thread: none is left


def command() -> list[str]:
    """How a worker is started: with our interpreter, finding modules where we find them.

    `-m` puts the current folder first, where anybody's file could take a module's name; unless
    we ourselves look there it must not.
    """
    here = {""}
    with contextlib.suppress(FileNotFoundError):  # it has been removed since
        here.add(os.getcwd())
    return [sys.executable, *([] if here & set(sys.path) else ["-P"]), "-m", "bff.serve.worker"]
