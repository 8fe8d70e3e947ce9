"""The BFF on a real socket: uvicorn with the door, in a thread with an event loop of its own."""

import asyncio
import base64
import contextlib
import queue
import socket
import threading
from collections.abc import Collection, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn
import uvloop
from typing_extensions import override

from bff.app import Application
from bff.config.load import Config
from bff.door import door
from bff.door.cycle import Cycle
from bff.door.protocol import Door
from bff.relay.lane import Passage
from tests.canary import RECORDER, Record

T = TypeVar("T")


class _Server(uvicorn.Server):
    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Tap:
    """A transport that lets the recorder see what is written, answer by answer."""

    def __init__(self, transport: asyncio.Transport, connection: Door) -> None:
        self._transport = transport
        self._connection = connection
        self._answering: object = self
        self._record: Record | None = None

    def write(self, data: bytes) -> None:
        running = self._connection.turns.running
        if self._record is None or running is not self._answering:
            name = "the door"
            if isinstance(running, Cycle):
                name = f"{running.scope['method']} {running.scope['raw_path'].decode('latin-1')}"
            elif isinstance(running, Passage):
                name = f"{running.request.method} {running.request.path.decode('latin-1')}"
            self._answering, self._record = running, RECORDER.answer(name)
        self._record.add(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def tapped(protocol: type[Door]) -> type[Door]:
    """The same door; the recorder keeps all that goes out through it."""

    def connection_made(self: Door, transport: asyncio.Transport) -> None:
        tap = _Tap(transport, self)
        protocol.connection_made(self, tap)  # type: ignore[arg-type]  # a transport by its methods

    return type("TappedDoor", (protocol,), {"connection_made": connection_made})


def _learn_secrets(config: Config) -> None:
    for key in config.keyring.all():
        text = base64.urlsafe_b64encode(key.material).decode().rstrip("=")
        RECORDER.secret("keys", text)
    for frontend in config.frontends:
        secret = frontend.provider.client_secret
        RECORDER.secret("client_secrets", secret.get_secret_value() if secret else None)
        for each in frontend.provider.client_keys:
            body = "".join(each.private_key.get_secret_value().splitlines()[1:-1])
            RECORDER.secret("client_keys", body)


@dataclass(frozen=True)
class Site:
    """One running process of the BFF, as far as a thread can be one."""

    port: int
    application: Application
    loop: asyncio.AbstractEventLoop
    frontend: str | None = None  # as which a browser comes; None: the first

    @property
    def origin(self) -> str:
        frontends = self.application.config.frontends
        return next(each.origin for each in frontends if self.frontend in (None, each.name))

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the site's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def settle(self, seconds: float = 0.5) -> None:
        """Wait for what goes on behind the answers, so that no test hears of one before it."""
        background = self.application.site.background
        work = background._tasks - background._endless
        if work:
            self.run(_wait(work, seconds))


async def _wait(work: Collection[asyncio.Task[Any]], seconds: float) -> None:
    await asyncio.wait(work, timeout=seconds)


@contextlib.contextmanager
def serving(config: Config, listening: socket.socket | None = None) -> Iterator[Site]:
    """The BFF of a configuration, listening on a free port of loopback."""
    listening = listening or bind()
    _learn_secrets(config)
    ready: queue.Queue[tuple[Application, asyncio.AbstractEventLoop, uvicorn.Server]] = (
        queue.Queue()
    )

    async def main() -> None:
        application = Application(config)
        await application.start()
        server = _Server(
            uvicorn.Config(
                application,
                http=tapped(door(config, application)),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=2,
            )
        )
        ready.put((application, asyncio.get_running_loop(), server))
        await server.serve(sockets=[listening])
        await application.stop(2)

    thread = threading.Thread(target=lambda: uvloop.run(main()), name="site", daemon=True)
    thread.start()
    application, loop, server = ready.get(timeout=30)
    try:
        yield Site(listening.getsockname()[1], application, loop)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listening.close()


def bind(port: int = 0) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(1024)
    listening.setblocking(False)
    return listening
