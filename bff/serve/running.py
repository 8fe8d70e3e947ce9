"""One Application on listening sockets, served by uvicorn in the current event loop.

uvicorn's own ways are not used: its signal handlers, access log, server header, proxy headers.
"""

import asyncio
import contextlib
import math
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
from typing_extensions import override

from bff.app import Application
from bff.caller.cookies import forget_cookies
from bff.config.load import Config
from bff.door import door
from bff.door.head import sections
from bff.door.known import known as known_heads
from bff.door.protocol import Door
from bff.journal.log import crashed
from bff.relay.exchange import forget_passed
from bff.relay.known import known as known_answers
from bff.serve.listening import BACKLOG
from bff.serve.traces import Traces

AGE_EVERY: Final = 60.0  # seconds; what was worked out is kept for as long after its use, or twice
_KEPT: Final = (sections, known_heads, known_answers)

Around = Callable[[type[Door]], type[Door]]


class Server(uvicorn.Server):
    """uvicorn without a hand on the process's signals: whoever runs it decides when to stop."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Running:
    """A started Application that is being served, until `stop`."""

    def __init__(
        self, config: Config, application: Application, *, around: Around | None = None
    ) -> None:
        """`around` makes another door of the door: `bff dev` listens there."""
        protocol = door(config, application, descriptors=_descriptors())
        self.application = application
        self._door = protocol if around is None else around(protocol)
        self._server = Server(_settings(config, application, self._door))
        self._serving: asyncio.Task[None] | None = None
        self._traces = Traces()
        self._ageing: asyncio.TimerHandle | None = None

    async def start(self, sockets: list[socket.socket]) -> None:
        """Start the application and take connections."""
        asyncio.get_running_loop().set_exception_handler(_tell)
        await self._traces.renew(self.application.config.operate)
        await self.application.start()
        self._serving = asyncio.create_task(self._server.serve(sockets=sockets))
        self._age()

    def _age(self) -> None:
        """Every now and then: let go of what nobody has used of late."""
        for each in _KEPT:
            each.age()
        self._ageing = asyncio.get_running_loop().call_later(AGE_EVERY, self._age)

    async def swap(self, config: Config) -> None:
        """Serve another configuration from the next request on."""
        self.application.swap(config)
        # What was worked out under the former configuration goes, its keys with it.
        for each in _KEPT:
            each.forget()
        forget_passed()
        forget_cookies()
        await self._traces.renew(config.operate)

    def renew_certificate(self) -> None:
        """Show what the files hold by now, to whoever connects from here on.

        Raises OSError, ssl.SSLError among them, where it is no pair: then all stays as it was.
        """
        server, context = self.application.config.server, self._server.config.ssl
        if context is None or server.tls_certificate is None:
            return
        # Tried elsewhere first: half a pair in the context would end every handshake.
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
            each.load_cert_chain(server.tls_certificate, server.tls_key)

    def leave(self) -> None:
        """Serve on, and let each answer be the last on its connection: the end is near."""
        self._door.leaving = True

    async def stop(self, within: float | None = None) -> None:
        """Close listeners and idle connections, let what runs finish, close everything.

        `within`: seconds, if not the configuration's `stop_deadline`.
        """
        if self._serving is None:
            return
        loop = asyncio.get_running_loop()
        seconds = self.application.config.operate.stop_deadline if within is None else within
        end = loop.time() + seconds
        self._server.config.timeout_graceful_shutdown = math.ceil(seconds)
        self.leave()
        self._server.should_exit = True
        await self._serving
        if self._ageing is not None:
            self._ageing.cancel()
        # Revocations of the last logouts get a moment in any case.
        await self.application.stop(max(0.5, end - loop.time()))
        await self._traces.close()


def _descriptors() -> int | None:
    """How many files this process may open; None: as many as it likes."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if most == resource.RLIM_INFINITY else most


def _settings(config: Config, application: Application, protocol: type[Door]) -> uvicorn.Config:
    server = config.server
    settings = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        loop="uvloop",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        backlog=BACKLOG,
        ssl_certfile=server.tls_certificate,
        ssl_keyfile=None if server.tls_key is None else str(server.tls_key),
    )
    settings.load()
    if settings.ssl is not None:
        settings.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return settings


def _tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody awaited: asyncio's own log line would quote the exception's message."""
    error = context.get("exception")
    crashed(error if isinstance(error, BaseException) else RuntimeError())
