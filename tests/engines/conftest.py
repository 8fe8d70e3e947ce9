"""A site over https as `bff serve` has it, and each engine in front of it.

Application and provider are two sites: `localhost` and `127.0.0.1`. Of package scope: Playwright
keeps an event loop running in this thread, and tests elsewhere start their own.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from bff.simulator import Client, Plan, Switches
from bff.simulator import running as provider_running
from tests.engines import chromium, firefox, webkit
from tests.engines.engine import Engine
from tests.parts.certificates import authority
from tests.parts.config import SECRET, config_text
from tests.parts.redis_process import free_port, redis_process
from tests.parts.socket_server import socketeer
from tests.wire.serve_process import running

PAGE = "<!doctype html><title>home</title><h1>home</h1>"
MORE = """
[server]
tls_certificate = "{certificate}"
tls_key = "{key}"

[operate]
listen = "127.0.0.1:0"
"""
ROUTES = """
[[routes]]
path = "/socket"
upstream = "{socket}"
websocket = true

[[routes]]
path = "/"
static = "{pages}"
"""
OPENERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "chromium": (chromium.chromium, chromium.window),
    "firefox": (firefox.firefox, firefox.window),
    "webkit": (webkit.webkit, webkit.window),
}


@dataclass(frozen=True)
class Place:
    """Where the application and the provider are."""

    origin: str
    issuer: str


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("engines"), free_port()
    origin = f"https://localhost:{port}"
    client = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{origin}/bff/callback",),
        post_logout_redirect_uris=(f"{origin}/",),
    )
    plan = Plan(clients=(client,), switches=Switches(access_token_seconds=300))
    pages, pair = folder / "pages", authority(folder / "tls", "localhost")
    pages.mkdir()
    (pages / "index.html").write_text(PAGE)
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(provider_running(plan))
        redis = stack.enter_context(redis_process())
        echo = stack.enter_context(_echoing())
        file = folder / "bff.toml"
        file.write_text(
            config_text(
                issuer=provider.issuer,
                api=provider.api,
                store=redis.url,
                origin=origin,
                routes=ROUTES.format(socket=echo, pages=pages),
                more=MORE.format(certificate=pair.certificate, key=pair.key),
            )
        )
        process = stack.enter_context(running("serve", "--config", str(file), "--port", str(port)))
        process.event("started")
        yield Place(origin, provider.issuer)


@contextlib.contextmanager
def _echoing() -> Iterator[str]:
    """A WebSocket server that says again what it hears."""

    def echo(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                connection.send(message)

    def serve() -> None:
        while (connection := found.opened.get()) is not None:
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    with socketeer() as found:
        threading.Thread(target=serve, daemon=True).start()
        yield found.url


@pytest.fixture(scope="package", params=sorted(OPENERS))
def opener(request: pytest.FixtureRequest) -> Iterator[Callable[[], Any]]:
    browser, window = OPENERS[request.param]
    with browser() as running_browser:
        yield lambda: window(running_browser)


@pytest.fixture
def engine(opener: Callable[[], Any]) -> Iterator[Engine]:
    """A browser as on the first day, for one test."""
    with opener() as found:
        yield found
