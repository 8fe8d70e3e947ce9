"""Provider and API on sockets: in this event loop, in a thread, or (see `__main__`) as a process.

The socket is bound first, so that the issuer can name the real port; early connections wait in its
backlog and nobody polls. uvicorn's signal handlers stay out: the caller decides when to stop.
"""

import asyncio
import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bff.simulator.access_token import Proofs
from bff.simulator.api import api_app
from bff.simulator.call import PEER
from bff.simulator.provider import provider_app
from bff.simulator.realm import Realm
from bff.simulator.settings import (
    ACCOUNTS,
    Account,
    Client,
    Settings,
    SettingsError,
    is_loopback,
)
from bff.simulator.switches import Switches
from bff.simulator.watch import ABORT

GRACE: Final = 2  # seconds for running requests when it stops


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one.

    Raises SettingsError for any other host, OSError where the port is taken."""
    if not is_loopback(host):
        raise SettingsError(f"{host!r}: the simulator listens on loopback only, e.g. 127.0.0.1")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: asyncio sets TCP_NODELAY only on sockets that say IPPROTO_TCP, and
    # accepted sockets inherit it. Without, every answer waits 40 ms for a delayed ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1" if host == "localhost" else host, port))
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def url_of(host: str, listening: socket.socket) -> str:
    """`http://host:port` of a bound socket."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


class DroppableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a way for the application to close the connection unanswered."""

    @override
    def on_message_begin(self) -> None:
        """Gives the new request's scope the callable."""
        super().on_message_begin()
        # The type wants a dict per extension; ours is under "call".
        self.scope["extensions"] = {ABORT: {"call": self.transport.abort}}
        tls = self.transport.get_extra_info("ssl_object")
        if tls is not None:
            self.scope["extensions"][PEER] = {"der": tls.getpeercert(binary_form=True)}

    @override
    def shutdown(self) -> None:
        """Over TLS an idle connection would wait for the peer's goodbye, and outlive the loop."""
        super().shutdown()
        if self.transport.is_closing() and self.transport.get_extra_info("ssl_object"):
            self.transport.abort()


class _Server(uvicorn.Server):
    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Serving:
    """One application that is being served."""

    def __init__(
        self, app: ASGIApp, listening: socket.socket, tls: ssl.SSLContext | None = None
    ) -> None:
        config = uvicorn.Config(
            app,
            http=DroppableProtocol,
            ws="wsproto",
            lifespan="off",
            log_config=None,
            access_log=False,  # URLs carry codes
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE,
        )
        config.load()
        config.ssl = tls
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))

    async def stop(self) -> None:
        """Closes the socket, lets running requests finish for a moment, and returns."""
        self._server.should_exit = True
        await self._task


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to start; issuer and addresses follow from the ports that are bound."""

    clients: tuple[Client, ...]
    accounts: tuple[Account, ...] = ACCOUNTS
    switches: Switches = field(default_factory=Switches)
    issuer_host: str = "127.0.0.1"
    issuer_port: int = 0
    issuer_path: str = ""
    api_host: str = "127.0.0.1"
    api_port: int = 0
    api_write_scope: str | None = None
    api_public_url: str | None = None
    audience: str = "urn:simulator:tasks"
    openid: bool = True
    mtls: ssl.SSLContext | None = None  # the provider answers over it as well


class Simulator:
    """Provider and API, running in the current event loop."""

    def __init__(self, plan: Plan) -> None:
        with contextlib.ExitStack() as undo:  # a plan that is refused leaves no socket open
            provider_socket = undo.enter_context(bind(plan.issuer_host, plan.issuer_port))
            api_socket = undo.enter_context(bind(plan.api_host, plan.api_port))
            origin = url_of(plan.issuer_host, provider_socket)
            mtls_socket = None
            if plan.mtls is not None:
                mtls_socket = undo.enter_context(bind("localhost", 0))
            settings = Settings(
                issuer=origin + plan.issuer_path,
                clients=plan.clients,
                accounts=plan.accounts,
                audience=plan.audience,
                openid=plan.openid,
                switches=plan.switches,
                mtls_base=None if mtls_socket is None else _over_tls(mtls_socket, plan),
            )
            undo.pop_all()
        self.control = f"{origin}/control"
        self.issuer = settings.issuer
        self.api = url_of(plan.api_host, api_socket)
        self.realm = Realm(settings)
        api = api_app(
            issuer=self.issuer,
            audience=plan.audience,
            jwks_uri=f"{settings.base}/jwks",
            # A call, not a bound method: a reset replaces the registry.
            is_dead=lambda jti: self.realm.grants.is_dead(jti),
            write_scope=plan.api_write_scope,
            proofs=Proofs(
                nonces=self.realm.api_nonces,
                habit=lambda: self.realm.switches.api_dpop_nonces,
                public_url=plan.api_public_url,
            ),
        )
        provider = provider_app(self.realm)
        self._servings = [Serving(provider, provider_socket), Serving(api, api_socket)]
        if mtls_socket is not None:
            self._servings.append(Serving(provider, mtls_socket, plan.mtls))

    async def stop(self) -> None:
        """Ends both; requests that are held go on first."""
        self.realm.faults.clear()
        self.realm.faults.release()
        self.realm.exchanges.close()
        await asyncio.gather(*(serving.stop() for serving in self._servings))


def _over_tls(listening: socket.socket, plan: Plan) -> str:
    url = url_of("localhost", listening).replace("http:", "https:", 1)
    return url + plan.issuer_path.rstrip("/")


async def start(plan: Plan) -> Simulator:
    """Provider and API, already listening; `await simulator.stop()` ends them."""
    return Simulator(plan)


@contextlib.contextmanager
def running(plan: Plan) -> Iterator[Simulator]:
    """Provider and API in a thread of their own, for tests that are not coroutines.

    Read `issuer`, `api` and `control` of what it yields; everything else over HTTP."""
    ready: queue.Queue[tuple[Simulator, asyncio.AbstractEventLoop, asyncio.Event] | BaseException]
    ready = queue.Queue()

    async def main() -> None:
        stopped = asyncio.Event()
        simulator = await start(plan)
        ready.put((simulator, asyncio.get_running_loop(), stopped))
        await stopped.wait()
        await simulator.stop()

    def body() -> None:
        try:
            asyncio.run(main())
        except (OSError, SettingsError) as error:
            ready.put(error)
        finally:  # read only where nothing else came: the start must not hang
            ready.put(RuntimeError("the simulator ended before it began"))

    thread = threading.Thread(target=body, name="simulator", daemon=True)
    thread.start()
    started = ready.get()
    if isinstance(started, BaseException):
        raise started
    simulator, loop, stopped = started
    try:
        yield simulator
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
